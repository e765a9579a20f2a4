//! axum's side: extractors and error responses.

use axum_core::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};
use session_http::{csrf, status_of};

use crate::{CsrfGuard, ExclusiveSession, ReadOnlySession, Session, SessionError};

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

fn session(parts: &Parts) -> Result<&Session, MissingSessionLayer> {
    parts.extensions.get::<Session>().ok_or(MissingSessionLayer)
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = MissingSessionLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingSessionLayer> {
        session(parts).cloned()
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
        Ok(Self(session(parts)?.read_only()))
    }
}

/// Why a handler did not begin that needs more of its session than that it is there.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Rejection {
    /// There is no layer.
    MissingSessionLayer(MissingSessionLayer),
    /// The lock was not won, the request was refused, or the store failed.
    Session(SessionError),
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        match self {
            Self::MissingSessionLayer(missing) => missing.into_response(),
            Self::Session(error) => error.into_response(),
        }
    }
}

impl From<MissingSessionLayer> for Rejection {
    fn from(missing: MissingSessionLayer) -> Self {
        Self::MissingSessionLayer(missing)
    }
}

impl From<session_core::Error> for Rejection {
    fn from(error: session_core::Error) -> Self {
        Self::Session(error.into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ExclusiveSession {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let session = session(parts)?;
        Ok(session.exclusive().await?)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CsrfGuard {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let session = session(parts)?;
        csrf::check_header(session, &parts.headers).await?;
        Ok(Self)
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
