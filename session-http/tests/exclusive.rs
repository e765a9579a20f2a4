//! An exclusive session whose handler did not come to its end.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::time::Duration;

use http::{HeaderMap, StatusCode, header::COOKIE};
use session_core::{ErrorKind, MemoryStore, SessionManager};
use session_http::{Exchange, SavePolicy, WebSessions};

async fn visitor() -> (WebSessions, HeaderMap) {
    let manager = SessionManager::new(MemoryStore::new()).unwrap();
    let sessions = WebSessions::builder(manager)
        .save_policy(SavePolicy::Always)
        .lock_wait(Duration::from_secs(30))
        .build();
    let exchange = sessions.begin(&HeaderMap::new());
    exchange.session().insert("count", 1).await.unwrap();
    let mut response = HeaderMap::new();
    exchange.finish(StatusCode::OK, &mut response).await.unwrap();
    let cookie = response["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    let request = HeaderMap::from_iter([(COOKIE, cookie.parse().unwrap())]);
    (sessions, request)
}

async fn add(exchange: &Exchange) -> u32 {
    let mut session = exchange.session().exclusive().await.unwrap();
    let count = session.get::<u32>("count").unwrap().unwrap() + 1;
    session.insert("count", count).unwrap();
    count
}

#[tokio::test]
async fn a_panic_gives_the_changes_up_and_frees_the_lock() {
    let (sessions, request) = visitor().await;
    let exchange = sessions.begin(&request);
    let session = exchange.session().clone();
    let handler = tokio::spawn(async move {
        let mut session = session.exclusive().await.unwrap();
        session.insert("count", 7).unwrap();
        panic!("planted");
    });
    assert!(handler.await.is_err());
    // A middleware made a response of the panic.
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    exchange.finish(status, &mut HeaderMap::new()).await.unwrap();
    assert_eq!(add(&sessions.begin(&request)).await, 2);
}

#[tokio::test]
async fn a_request_that_is_dropped_frees_the_lock_and_saves_nothing() {
    let (sessions, request) = visitor().await;
    let exchange = sessions.begin(&request);
    assert_eq!(add(&exchange).await, 2);
    drop(exchange);
    assert_eq!(add(&sessions.begin(&request)).await, 2);
}

#[tokio::test]
async fn who_takes_the_session_twice_goes_on_with_what_the_first_did() {
    let (sessions, request) = visitor().await;
    let exchange = sessions.begin(&request);
    assert_eq!((add(&exchange).await, add(&exchange).await), (2, 3));
    exchange.finish(StatusCode::OK, &mut HeaderMap::new()).await.unwrap();
    assert_eq!(add(&sessions.begin(&request)).await, 4);
}

#[tokio::test]
async fn who_holds_the_session_beyond_the_response_is_told_so() {
    let (sessions, request) = visitor().await;
    let exchange = sessions.begin(&request);
    let held = exchange.session().exclusive().await.unwrap();
    let refused = exchange.finish(StatusCode::OK, &mut HeaderMap::new()).await;
    let error = refused.expect_err("it was not committed");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("commit it before"), "{error}");
    held.rollback().await.unwrap();
    exchange.finish(StatusCode::OK, &mut HeaderMap::new()).await.unwrap();
}
