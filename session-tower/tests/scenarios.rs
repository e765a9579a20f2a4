//! The scenarios of `session-http`, through axum.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, Response, Uri},
    response::IntoResponse,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use session_http::{
    WebSessions,
    scenarios::{Adapter, Server, TestApp},
};
use session_tower::{Session, SessionError, SessionLayer};
use tower::ServiceExt;

struct Axum;

struct Running(Router);

async fn handle(State(app): State<TestApp>, session: Session, uri: Uri) -> impl IntoResponse {
    let response = app.handle(session.into_inner(), uri.path()).await;
    response.map(|response| response.map(Body::from)).map_err(SessionError::from)
}

#[async_trait(?Send)]
impl Adapter for Axum {
    async fn serve(&self, sessions: WebSessions, app: TestApp) -> Box<dyn Server> {
        let router = Router::new().fallback(handle).with_state(app);
        Box::new(Running(router.layer(SessionLayer::new(sessions))))
    }
}

#[async_trait(?Send)]
impl Server for Running {
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let response = self.0.clone().oneshot(request.map(Body::from)).await.unwrap();
        let (parts, body) = response.into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }
}

session_http::scenario_tests!(#[tokio::test], Axum);
