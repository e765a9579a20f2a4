//! Session errors as handlers return them.

use std::{fmt, sync::Arc};

use session_core::Error;

/// What a handler returns that uses its session with `?`.
pub type Result<T, E = SessionError> = std::result::Result<T, E>;

/// An error of the session, which axum turns into a response.
///
/// The response tells the visitor nothing but whether to try again; its status is that of
/// [`session_http::status_of`], and [`on_error`](session_http::WebSessionsBuilder::on_error) may
/// change it. The error itself is logged as an event by the layer.
#[derive(Clone)]
pub struct SessionError(Arc<Error>);

impl SessionError {
    /// The error of the session.
    #[must_use]
    pub fn inner(&self) -> &Error {
        &self.0
    }
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        Self(Arc::new(error))
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
