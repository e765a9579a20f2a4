//! One request and its response.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode, header::SET_COOKIE};
use session_core::{CookieChange, Error, Result, Session};

use crate::{
    WebSessions, events,
    headers::{forbid_storing, vary_by_cookie},
};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// The session of one request, from the request's headers to the response's.
///
/// Made by [`WebSessions::begin`]; for the authors of framework adapters. Hand
/// [`session`](Self::session) to the handler, then either
/// - call [`finish`](Self::finish) with the handler's response before any of it is sent, and send
///   it if that succeeds;
/// - or answer with [`error_response`](Self::error_response) instead, when it fails, or when the
///   handler itself reports a session error.
///
/// Dropping it (a client that went away, a panic) saves nothing.
#[derive(Debug)]
pub struct Exchange {
    sessions: WebSessions,
    session: Session,
    /// Whether the connection may carry the cookie.
    is_safe: bool,
}

impl Exchange {
    pub(crate) const fn new(sessions: WebSessions, session: Session, is_safe: bool) -> Self {
        Self { sessions, session, is_safe }
    }

    /// The session. Clones of it go on with the same one.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Saves the session and completes the response's headers: the cookie, and what caches must
    /// know. Without any traffic, and without a change to the headers, when the handler did not
    /// touch the session.
    ///
    /// # Errors
    /// Those of [`Session::save`]. Nothing was saved then, and the handler's response must not be
    /// sent: it speaks of changes that were not made.
    pub async fn finish(&self, status: StatusCode, headers: &mut HeaderMap) -> Result<()> {
        if !self.session.was_used() {
            return Ok(());
        }
        if !self.is_safe {
            self.give_up().await?;
        } else if self.sessions.saves(status) {
            self.session.save().await?;
        }
        self.complete(headers)
    }

    /// The response to send instead of the handler's when the session failed. It reports the error
    /// as an event, and passes on the id under which the session is stored, if the handler had
    /// changed it before.
    #[must_use]
    pub fn error_response(&self, error: &Error) -> Response<Bytes> {
        let mut response = self.sessions.page(error);
        if let Err(error) = self.complete(response.headers_mut()) {
            events::failed(&error);
        }
        response
    }

    /// Ends what was begun on a request whose response cannot carry the cookie, so that no record
    /// is left that nobody can reach.
    async fn give_up(&self) -> Result<()> {
        if !self.session.is_empty().await? {
            events::dropped_on_plain_http();
        }
        self.session.delete().await
    }

    fn complete(&self, headers: &mut HeaderMap) -> Result<()> {
        let cookie = self.sessions.cookie();
        let header = match self.session.cookie_change() {
            _ if !self.is_safe => None,
            CookieChange::Set { id, remaining } => Some(cookie.set(&id, remaining)?),
            CookieChange::Extend { id, remaining } if cookie.is_persistent() => {
                Some(cookie.set(&id, remaining)?)
            }
            CookieChange::Clear => {
                if let Some(value) = self.sessions.clear_site_data() {
                    headers.insert(CLEAR_SITE_DATA, value.clone());
                }
                Some(cookie.clear()?)
            }
            _ => None,
        };
        if let Some(header) = header {
            headers.append(SET_COOKIE, header);
            forbid_storing(headers);
        }
        if self.session.was_used() {
            vary_by_cookie(headers);
        }
        Ok(())
    }
}
