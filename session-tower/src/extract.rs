//! axum's side: extractors and error responses.

use axum_core::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};
use session_http::status_of;

use crate::{ReadOnlySession, Session, SessionError};

/// A handler takes a session, and no [`SessionLayer`](crate::SessionLayer) put one there.
///
/// A layer covers the routes that were added to the router before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingSessionLayer;

impl std::fmt::Display for MissingSessionLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "no session in this request: add a `SessionLayer` to the router, after its routes",
        )
    }
}

impl std::error::Error for MissingSessionLayer {}

impl IntoResponse for MissingSessionLayer {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = MissingSessionLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingSessionLayer> {
        parts.extensions.get::<Self>().cloned().ok_or(MissingSessionLayer)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> Result<Option<Self>, std::convert::Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ReadOnlySession {
    type Rejection = MissingSessionLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingSessionLayer> {
        let session = parts.extensions.get::<Session>().ok_or(MissingSessionLayer)?;
        Ok(Self::new(session.read_only()))
    }
}

impl IntoResponse for SessionError {
    /// The bare status. The error travels along in the response's extensions, and the layer makes
    /// the page of it.
    fn into_response(self) -> Response {
        let mut response = status_of(self.inner()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}
