//! What is particular to axum and tower.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use axum::{
    Json, Router,
    body::Body,
    http::{Request, StatusCode},
    routing::get,
};
use http_body_util::{BodyExt, Full};
use session_core::{Error, ErrorKind, MemoryStore, Operation, SessionManager};
use session_tower::{
    CsrfGuard, ExclusiveSession, ReadOnlySession, Result, Session, SessionError, SessionLayer,
};
use tower::{Layer, Service, ServiceExt, service_fn};

fn layer() -> SessionLayer {
    SessionLayer::new(SessionManager::new(MemoryStore::new()).unwrap())
}

async fn text(app: &Router, path: &str, cookie: Option<&str>) -> (StatusCode, String, String) {
    let mut request = Request::get(path);
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let cookie = response.headers().get("set-cookie").map(|value| value.to_str().unwrap());
    let cookie = cookie.unwrap_or_default().split(';').next().unwrap_or_default().to_owned();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap(), cookie)
}

#[tokio::test]
async fn without_the_layer_the_rejection_says_what_to_do() {
    async fn writes(_: Session) {}
    async fn reads(_: ReadOnlySession) {}
    async fn locks(_: ExclusiveSession) {}
    async fn checks(_: CsrfGuard) {}
    let app = Router::new().route("/writes", get(writes)).route("/reads", get(reads));
    let app = app.route("/locks", get(locks)).route("/checks", get(checks));
    for path in ["/writes", "/reads", "/locks", "/checks"] {
        let (status, body, _) = text(&app, path, None).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(body.contains("add a `SessionLayer` to the router"), "{body}");
    }
}

#[tokio::test]
async fn a_session_may_be_optional() {
    async fn handler(session: Option<Session>) -> Json<bool> {
        Json(session.is_some())
    }
    let without = Router::new().route("/", get(handler));
    let with = without.clone().layer(layer());
    assert_eq!(text(&without, "/", None).await.1, "false");
    assert_eq!(text(&with, "/", None).await.1, "true");
}

#[tokio::test]
async fn handlers_and_their_extractors_share_one_session() {
    async fn handler(one: Session, other: Session, reader: ReadOnlySession) -> Result<String> {
        one.insert("a", 1).await?;
        let sum = other.get::<u8>("a").await?.unwrap() + reader.get::<u8>("a").await?.unwrap();
        Ok(sum.to_string())
    }
    async fn read(reader: ReadOnlySession) -> Result<String> {
        Ok(format!("{:?}", reader.get::<u8>("a").await?))
    }
    let app = Router::new().route("/", get(handler)).route("/read", get(read)).layer(layer());
    let (_, body, cookie) = text(&app, "/", None).await;
    assert_eq!(body, "2");
    assert_eq!(text(&app, "/read", Some(&cookie)).await.1, "Some(1)");
}

#[tokio::test]
async fn an_error_answers_with_its_status_also_without_the_layer() {
    async fn fails() -> Result<()> {
        Err(Error::new(ErrorKind::Unavailable, "planted", Operation::Load).into())
    }
    let app = Router::new().route("/", get(fails));
    let (status, body, _) = text(&app, "/", None).await;
    assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, ""));
    let (status, body, _) = text(&app.layer(layer()), "/", None).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!body.is_empty() && !body.contains("planted"), "{body}");
}

#[tokio::test]
async fn an_error_is_shown_by_its_source_and_kind() {
    let error = SessionError::from(Error::new(ErrorKind::LockTimeout, "memory", Operation::Lock));
    assert_eq!(error.inner().kind(), ErrorKind::LockTimeout);
    assert_eq!(error.to_string(), "memory lock: the lock was not free in time");
}

#[tokio::test]
async fn any_tower_service_finds_the_session_in_the_extensions() {
    let service = service_fn(|request: Request<()>| async move {
        let session = request.extensions().get::<Session>().unwrap().clone();
        session.insert("a", 1).await.unwrap();
        Ok::<_, std::convert::Infallible>(axum::http::Response::new(Full::from("plain")))
    });
    let mut service = layer().layer(service);
    let response = service.ready().await.unwrap().call(Request::new(())).await.unwrap();
    assert!(response.headers().contains_key("set-cookie"));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "plain");
}
