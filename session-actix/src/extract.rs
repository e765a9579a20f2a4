//! Extractors.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError, dev::Payload,
    http::StatusCode,
};

use crate::{ReadOnlySession, Session};

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
        ready(session(request).map(|session| Self::new(session.read_only())))
    }
}
