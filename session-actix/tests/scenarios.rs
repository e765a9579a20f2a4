//! The scenarios of `session-http`, through actix-web, on every kind of store.

#![expect(clippy::unwrap_used, clippy::future_not_send, reason = "a test, on one thread")]

use std::{pin::Pin, process::ExitCode, rc::Rc};

use actix_web::{
    App, HttpRequest, HttpResponse,
    body::to_bytes,
    dev::ServiceResponse,
    http::{Method, StatusCode},
    test, web,
};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use libtest_mimic::Arguments;
use session_actix::{
    CsrfGuard, ExclusiveSession, ReadOnlySession, Result, Session, SessionMiddleware,
};
use session_http::{
    WebSessions,
    scenarios::{Adapter, Server, TestApp},
};

struct Actix;

type Call = dyn Fn(test::TestRequest) -> Pin<Box<dyn Future<Output = ServiceResponse>>>;

struct Running(Box<Call>);

fn answer(response: session_core::Result<Response<Bytes>>) -> Result<HttpResponse> {
    let (parts, body) = response?.into_parts();
    let mut response = HttpResponse::build(StatusCode::from_u16(parts.status.as_u16()).unwrap());
    for (name, value) in &parts.headers {
        response.append_header((name.as_str(), value.as_bytes()));
    }
    Ok(response.body(body))
}

async fn handle(
    app: web::Data<TestApp>,
    session: Session,
    request: HttpRequest,
) -> Result<HttpResponse> {
    answer(app.handle(session.into_inner(), request.path()).await)
}

async fn exclusively(
    app: web::Data<TestApp>,
    session: ExclusiveSession,
    request: HttpRequest,
) -> Result<HttpResponse> {
    answer(app.handle_exclusive(session.into_inner(), request.path()).await)
}

async fn reading(
    app: web::Data<TestApp>,
    session: ReadOnlySession,
    request: HttpRequest,
) -> Result<HttpResponse> {
    answer(app.handle_read_only(session.into_inner(), request.path()).await)
}

async fn guarded(
    _: CsrfGuard,
    app: web::Data<TestApp>,
    session: Session,
    request: HttpRequest,
) -> Result<HttpResponse> {
    handle(app, session, request).await
}

#[async_trait(?Send)]
impl Adapter for Actix {
    async fn serve(&self, sessions: WebSessions, app: TestApp) -> Box<dyn Server> {
        let app = App::new()
            .app_data(web::Data::new(app))
            .route("/exclusively/{rest:.*}", web::get().to(exclusively))
            .route("/reading/{rest:.*}", web::get().to(reading))
            .route("/guarded/{rest:.*}", web::get().to(guarded))
            .default_service(web::to(handle))
            .wrap(SessionMiddleware::new(sessions));
        let service = Rc::new(test::init_service(app).await);
        Box::new(Running(Box::new(move |request| {
            let service = Rc::clone(&service);
            Box::pin(async move {
                let answered = test::call_service(&*service, request.to_request()).await;
                answered.map_into_boxed_body()
            })
        })))
    }
}

#[async_trait(?Send)]
impl Server for Running {
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let mut sent = test::TestRequest::with_uri(&parts.uri.to_string())
            .method(Method::from_bytes(parts.method.as_str().as_bytes()).unwrap())
            .set_payload(body);
        for (name, value) in &parts.headers {
            sent = sent.append_header((name.as_str(), value.as_bytes()));
        }
        let answered = (self.0)(sent).await;
        let mut response = Response::builder().status(answered.status().as_u16());
        for (name, value) in answered.headers() {
            response = response.header(name.as_str(), value.as_bytes());
        }
        let body = to_bytes(answered.into_body()).await.ok().unwrap();
        response.body(body).unwrap()
    }
}

fn main() -> ExitCode {
    let trials = test_stores::scenarios("", |_name| Some(Actix));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
