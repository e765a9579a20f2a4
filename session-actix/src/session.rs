//! The session as handlers take it.

use std::ops::Deref;

/// The session of this request: a [`session_core::Session`], for handlers to take.
///
/// Taking it costs nothing; the store is read when the session is first used. What was changed is
/// saved before the response is sent.
///
/// ```
/// use actix_web::web;
/// use session_actix::{Result, Session};
///
/// async fn choose(session: Session) -> Result<&'static str> {
///     session.insert("theme", "dark").await?;
///     Ok("dark it is")
/// }
/// # let _ = web::post().to(choose);
/// ```
#[derive(Debug, Clone)]
pub struct Session(session_core::Session);

impl Session {
    pub(crate) const fn new(session: session_core::Session) -> Self {
        Self(session)
    }

    /// The handle itself, for code that knows no actix.
    #[must_use]
    pub fn into_inner(self) -> session_core::Session {
        self.0
    }
}

impl Deref for Session {
    type Target = session_core::Session;

    fn deref(&self) -> &session_core::Session {
        &self.0
    }
}

/// The session of this request, to be read only: a [`session_core::ReadOnlySession`], for handlers to
/// take.
///
/// Such a request costs one read at most, and does not count as activity.
#[derive(Debug, Clone)]
pub struct ReadOnlySession(session_core::ReadOnlySession);

impl ReadOnlySession {
    pub(crate) const fn new(session: session_core::ReadOnlySession) -> Self {
        Self(session)
    }

    /// The handle itself, for code that knows no actix.
    #[must_use]
    pub fn into_inner(self) -> session_core::ReadOnlySession {
        self.0
    }
}

impl Deref for ReadOnlySession {
    type Target = session_core::ReadOnlySession;

    fn deref(&self) -> &session_core::ReadOnlySession {
        &self.0
    }
}
