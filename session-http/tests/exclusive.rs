//! An exclusive session whose handler did not come to its end.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::time::Duration;

use http::{HeaderMap, StatusCode, header::COOKIE};
use session_core::{
    CookieChange, Error, ErrorKind, MemoryStore, Operation, SessionManager, Timestamp,
};
use session_http::{
    Exchange, KeyRing, SavePolicy, SessionCookie, Signing, WebSessions,
    scenarios::{Counts, ProbedStore},
};

async fn visitor() -> (WebSessions, HeaderMap) {
    visitor_with(SavePolicy::Always).await
}

/// The lease outlasts every wait, so that no lock is free because it lapsed.
async fn visitor_with(policy: SavePolicy) -> (WebSessions, HeaderMap) {
    let hour = Duration::from_secs(3600);
    let manager = SessionManager::builder(MemoryStore::new()).lock_lease(hour).max_hold(hour);
    let sessions = WebSessions::builder(manager.build().unwrap())
        .save_policy(policy)
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

#[tokio::test]
async fn a_handler_that_was_cut_off_by_a_timeout_saves_nothing() {
    let (sessions, request) = visitor_with(SavePolicy::default()).await;
    let exchange = sessions.begin(&request);
    assert_eq!(add(&exchange).await, 2);
    // What a timeout inside answers when it drops the handler.
    exchange.finish(StatusCode::REQUEST_TIMEOUT, &mut HeaderMap::new()).await.unwrap();
    assert_eq!(add(&sessions.begin(&request)).await, 2);
}

#[tokio::test]
async fn who_takes_the_session_after_the_response_leaves_no_lock_behind() {
    let (sessions, request) = visitor().await;
    let exchange = sessions.begin(&request);
    assert_eq!(add(&exchange).await, 2);
    let kept = exchange.session().clone();
    exchange.finish(StatusCode::OK, &mut HeaderMap::new()).await.unwrap();
    drop(exchange);

    let mut late = kept.exclusive().await.unwrap();
    late.insert("count", 7).unwrap();
    drop(late);
    assert_eq!(add(&sessions.begin(&request)).await, 3, "dropping it gave its changes up");

    let mut late = kept.exclusive().await.unwrap();
    late.insert("count", 7).unwrap();
    late.commit().await.unwrap();
    assert_eq!(add(&sessions.begin(&request)).await, 8, "committing it saves");
}

#[tokio::test]
async fn who_ends_the_session_that_he_holds_is_done() {
    let (sessions, request) = visitor().await;
    let exchange = sessions.begin(&request);
    let mut held = exchange.session().exclusive().await.unwrap();
    held.insert("count", 7).unwrap();
    exchange.session().delete().await.unwrap();
    drop(held);
    exchange.session().insert("next", 1).await.unwrap();
    let mut response = HeaderMap::new();
    exchange.finish(StatusCode::OK, &mut response).await.unwrap();
    let cookie = response["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    let next = sessions.begin(&HeaderMap::from_iter([(COOKIE, cookie.parse().unwrap())]));
    assert_eq!(next.session().get::<u8>("count").await.unwrap(), None);
    assert_eq!(next.session().get::<u8>("next").await.unwrap(), Some(1));
    let former = sessions.begin(&request);
    assert!(former.session().is_empty().await.unwrap());
}

#[tokio::test]
async fn the_new_id_goes_out_also_when_the_lock_cannot_be_given_back() {
    let store = ProbedStore::new(MemoryStore::new());
    let sessions = WebSessions::new(SessionManager::new(store.clone()).unwrap());
    let exchange = sessions.begin(&HeaderMap::new());
    exchange.session().login("alice").await.unwrap();
    drop(exchange.session().exclusive().await.unwrap());
    store.take_down();
    let error = Error::new(ErrorKind::Unavailable, "memory", Operation::Save);
    let response = exchange.error_response(&error).await;
    assert!(response.headers().contains_key("set-cookie"), "she is logged in under this id");
}

#[tokio::test]
async fn a_store_that_is_down_is_not_asked_again_for_the_error_page() {
    let store = ProbedStore::new(MemoryStore::new());
    let manager = SessionManager::new(store.clone()).unwrap();
    let ring = KeyRing::new(["a key of 32 bytes at the very least"]).unwrap();
    let stored = manager.open(None);
    stored.login("alice").await.unwrap();
    let CookieChange::Set { id, .. } = stored.cookie_change() else {
        panic!("a log-in makes an id");
    };
    let signing = Signing::new(ring).accept_unsigned_until(Timestamp::from_millis(u64::MAX));
    let cookie = SessionCookie::builder().signed(signing).build().unwrap();
    let sessions = WebSessions::builder(manager).cookie(cookie).build();
    let cookie = format!("__Host-id={}", id.expose());
    let exchange = sessions.begin(&HeaderMap::from_iter([(COOKIE, cookie.parse().unwrap())]));
    exchange.session().insert("a", 1).await.unwrap();
    store.take_down();
    let failed = exchange.finish(StatusCode::OK, &mut HeaderMap::new()).await;
    let _before = store.take_counts();
    exchange.error_response(&failed.expect_err("it is down")).await;
    assert_eq!(store.take_counts(), Counts::new(0, 0));
}
