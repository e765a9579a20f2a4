//! What is particular to actix.

#![expect(clippy::unwrap_used, clippy::future_not_send, reason = "a test, on one thread")]

use actix_web::{
    App, HttpResponse, Scope,
    body::{MessageBody, to_bytes},
    dev::{Service, ServiceResponse},
    error::ErrorImATeapot,
    http::StatusCode,
    test, web,
};
use session_actix::{
    CsrfGuard, ExclusiveSession, ReadOnlySession, Result, Session, SessionError, SessionMiddleware,
};
use session_core::{Error, ErrorKind, MemoryStore, Operation, SessionManager};

fn middleware() -> SessionMiddleware {
    SessionMiddleware::new(SessionManager::new(MemoryStore::new()).unwrap())
}

fn planted() -> Error {
    Error::new(ErrorKind::Unavailable, "planted", Operation::Load)
}

async fn parts<B: MessageBody>(response: ServiceResponse<B>) -> (StatusCode, String, String) {
    let cookie = response.headers().get("set-cookie").map(|value| value.to_str().unwrap());
    let cookie = cookie.unwrap_or_default().split(';').next().unwrap_or_default().to_owned();
    let status = response.status();
    let body = to_bytes(response.into_body()).await.ok().unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap(), cookie)
}

/// Asks an application whose only route is `scope`, within the middleware.
async fn ask(scope: Scope) -> (StatusCode, String, String) {
    let app = test::init_service(App::new().service(scope).wrap(middleware())).await;
    let request = test::TestRequest::get().uri("/").to_request();
    parts(test::call_service(&app, request).await).await
}

#[actix_web::test]
async fn without_the_middleware_the_rejection_says_what_to_do() {
    async fn writes(_: Session) -> &'static str {
        ""
    }
    async fn reads(_: ReadOnlySession) -> &'static str {
        ""
    }
    async fn locks(_: ExclusiveSession) -> &'static str {
        ""
    }
    async fn checks(_: CsrfGuard) -> &'static str {
        ""
    }
    let app = App::new().route("/w", web::get().to(writes)).route("/r", web::get().to(reads));
    let app = app.route("/l", web::get().to(locks)).route("/c", web::get().to(checks));
    let app = test::init_service(app).await;
    for path in ["/w", "/r", "/l", "/c"] {
        let request = test::TestRequest::get().uri(path).to_request();
        let (status, body, _) = parts(test::call_service(&app, request).await).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(body.contains("wrap the application in a `SessionMiddleware`"), "{body}");
    }
}

#[actix_web::test]
async fn a_session_may_be_optional() {
    async fn handler(session: Option<Session>) -> String {
        session.is_some().to_string()
    }
    let with = ask(web::scope("").route("/", web::get().to(handler))).await;
    assert_eq!(with.1, "true");
    let app = test::init_service(App::new().route("/", web::get().to(handler))).await;
    let without = test::call_service(&app, test::TestRequest::get().to_request()).await;
    assert_eq!(parts(without).await.1, "false");
}

#[actix_web::test]
async fn handlers_and_their_extractors_share_one_session() {
    async fn handler(one: Session, other: Session, reader: ReadOnlySession) -> Result<String> {
        one.insert("a", 1).await?;
        let sum = other.get::<u8>("a").await?.unwrap() + reader.get::<u8>("a").await?.unwrap();
        Ok(sum.to_string())
    }
    async fn read(reader: ReadOnlySession) -> Result<String> {
        Ok(format!("{:?}", reader.get::<u8>("a").await?))
    }
    let app = App::new()
        .route("/", web::get().to(handler))
        .route("/read", web::get().to(read))
        .wrap(middleware());
    let app = test::init_service(app).await;
    let written = test::call_service(&app, test::TestRequest::get().to_request()).await;
    let (_, body, cookie) = parts(written).await;
    assert_eq!(body, "2");
    let request = test::TestRequest::get().uri("/read").insert_header(("cookie", cookie));
    let read = test::call_service(&app, request.to_request()).await;
    assert_eq!(parts(read).await.1, "Some(1)");
}

#[actix_web::test]
async fn an_error_answers_with_its_status_also_without_the_middleware() {
    async fn fails() -> Result<HttpResponse> {
        Err(planted().into())
    }
    let scope = || web::scope("").route("/", web::get().to(fails));
    let app = test::init_service(App::new().service(scope())).await;
    let bare = test::call_service(&app, test::TestRequest::get().to_request()).await;
    let (status, body, _) = parts(bare).await;
    assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, ""));
    let (status, body, _) = ask(scope()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!body.is_empty() && !body.contains("planted"), "{body}");
}

/// What a middleware within does on its way out.
async fn ask_within(error: fn() -> actix_web::Error) -> actix_web::Error {
    async fn handler(session: Session) -> Result<&'static str> {
        session.insert("a", 1).await?;
        Ok("")
    }
    let app = App::new()
        .route("/", web::get().to(handler))
        .wrap_fn(move |request, service| {
            let handled = service.call(request);
            async move {
                let _: ServiceResponse = handled.await?;
                Err::<ServiceResponse, _>(error())
            }
        })
        .wrap(middleware());
    let app = test::init_service(app).await;
    app.call(test::TestRequest::get().to_request()).await.unwrap_err()
}

#[actix_web::test]
async fn what_a_middleware_within_returns_as_an_error_saves_the_session_too() {
    let error = ask_within(|| ErrorImATeapot("short and stout")).await;
    let response = error.error_response();
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert!(response.headers().contains_key("set-cookie"));
    assert_eq!(error.to_string(), "short and stout");

    let response = ask_within(|| SessionError::from(planted()).into()).await.error_response();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!to_bytes(response.into_body()).await.unwrap().is_empty());
}
