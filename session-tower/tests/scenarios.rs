//! The scenarios of `session-http`, through axum, on every kind of store.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::process::ExitCode;

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, Response, Uri},
    response::IntoResponse,
    routing::get,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use libtest_mimic::Arguments;
use session_http::{
    WebSessions,
    scenarios::{Adapter, Server, TestApp},
};
use session_tower::{CsrfGuard, ExclusiveSession, ReadOnlySession, Result, Session, SessionLayer};
use tower::ServiceExt;

struct Axum;

struct Running(Router);

fn answer(response: session_core::Result<Response<Bytes>>) -> Result<Response<Body>> {
    Ok(response?.map(Body::from))
}

async fn handle(
    State(app): State<TestApp>,
    session: Session,
    uri: Uri,
) -> Result<impl IntoResponse> {
    answer(app.handle(session.into_inner(), uri.path()).await)
}

async fn exclusively(
    State(app): State<TestApp>,
    session: ExclusiveSession,
    uri: Uri,
) -> Result<impl IntoResponse> {
    answer(app.handle_exclusive(session.into_inner(), uri.path()).await)
}

async fn reading(
    State(app): State<TestApp>,
    session: ReadOnlySession,
    uri: Uri,
) -> Result<impl IntoResponse> {
    answer(app.handle_read_only(session.into_inner(), uri.path()).await)
}

async fn guarded(
    _: CsrfGuard,
    app: State<TestApp>,
    session: Session,
    uri: Uri,
) -> Result<impl IntoResponse> {
    handle(app, session, uri).await
}

#[async_trait(?Send)]
impl Adapter for Axum {
    async fn serve(&self, sessions: WebSessions, app: TestApp) -> Box<dyn Server> {
        let router = Router::new()
            .route("/exclusively/{*rest}", get(exclusively))
            .route("/reading/{*rest}", get(reading))
            .route("/guarded/{*rest}", get(guarded))
            .fallback(handle)
            .with_state(app);
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

fn main() -> ExitCode {
    let trials = test_stores::scenarios("", |_name| Some(Axum));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
