//! Extractors, and errors as responses.

use std::{
    future::{Ready, ready},
    pin::Pin,
};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError, dev::Payload,
    http::StatusCode,
};
use session_http::{csrf, status_of};

use crate::{
    CsrfGuard, ExclusiveSession, ReadOnlySession, Session, SessionError, headers::Request,
};

/// A handler takes a session, and no middleware put one there.
#[derive(Debug)]
struct MissingMiddleware;

impl std::fmt::Display for MissingMiddleware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no session in this request: wrap the application in a `SessionMiddleware`")
    }
}

impl ResponseError for MissingMiddleware {
    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(StatusCode::INTERNAL_SERVER_ERROR).body(self.to_string())
    }
}

fn session(request: &HttpRequest) -> Result<Session, actix_web::Error> {
    let session = request.extensions().get::<Session>().cloned();
    session.ok_or_else(|| MissingMiddleware.into())
}

impl FromRequest for Session {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(session(request))
    }
}

impl FromRequest for ReadOnlySession {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(session(request).map(|session| Self(session.read_only())))
    }
}

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, actix_web::Error>>>>;

impl FromRequest for ExclusiveSession {
    type Error = actix_web::Error;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let session = session(request);
        Box::pin(async move { Ok(session?.exclusive().await.map_err(SessionError::from)?) })
    }
}

impl FromRequest for CsrfGuard {
    type Error = actix_web::Error;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let (session, headers) = (session(&request)?, Request(request.headers()));
            let checked = csrf::check_header(&session, &headers).await;
            Ok(checked.map(|()| Self).map_err(SessionError::from)?)
        })
    }
}

impl ResponseError for SessionError {
    fn status_code(&self) -> StatusCode {
        let status = status_of(self.inner()).as_u16();
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The bare status: the middleware makes the page.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}
