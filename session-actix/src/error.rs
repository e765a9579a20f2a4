//! Session errors as handlers return them.

use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use session_core::Error;
use session_http::status_of;

/// What a handler returns that uses its session with `?`.
pub type Result<T, E = SessionError> = std::result::Result<T, E>;

/// An error of the session, which actix turns into a response.
///
/// The response tells the visitor nothing but whether to try again; its status is that of
/// [`session_http::status_of`], and [`on_error`](session_http::WebSessionsBuilder::on_error) may
/// change it. The error itself is logged as an event by the middleware.
pub struct SessionError(Error);

impl SessionError {
    /// The error of the session.
    #[must_use]
    pub const fn inner(&self) -> &Error {
        &self.0
    }
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl fmt::Debug for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl ResponseError for SessionError {
    fn status_code(&self) -> StatusCode {
        let status = status_of(&self.0).as_u16();
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The bare status: the middleware makes the page.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}
