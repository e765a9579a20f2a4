//! One request and its response.

use bytes::Bytes;
use http::{HeaderName, Response, StatusCode};
use session_core::{CookieChange, Error, Result};

use crate::{
    RequestSession, ResponseHeaders, WebSessions,
    caching::{forbid_storing, vary_by},
    carriers::Via,
    events, remember,
};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// How the session id of a request came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) via: Via,
    /// Whether the connection may carry the id.
    pub(crate) is_safe: bool,
    /// Whether the id is to be sent again as it is written by now.
    pub(crate) is_stale: bool,
}

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
    session: RequestSession,
    arrival: Arrival,
}

impl Exchange {
    pub(crate) const fn new(
        sessions: WebSessions,
        session: RequestSession,
        arrival: Arrival,
    ) -> Self {
        Self { sessions, session, arrival }
    }

    /// The session. Clones of it go on with the same one.
    #[must_use]
    pub const fn session(&self) -> &RequestSession {
        &self.session
    }

    /// Saves the session and completes the response's headers: the cookie, and what caches must
    /// know. Without any traffic, and without a change to the headers, when the handler did not
    /// touch the session.
    ///
    /// # Errors
    /// Those of [`Session::save`](session_core::Session::save). The handler's response must not be
    /// sent then: it speaks of changes that were not made. What was committed in exclusive mode may
    /// have been saved all the same.
    pub async fn finish(
        &self,
        status: StatusCode,
        headers: &mut (impl ResponseHeaders + Send),
    ) -> Result<()> {
        if !self.session.was_used() {
            return Ok(());
        }
        let saves = self.arrival.is_safe && self.sessions.saves(status);
        self.session.settle(saves).await?;
        if !self.arrival.is_safe {
            Box::pin(self.give_up()).await?;
        } else if saves {
            self.session.save().await?;
        }
        if self.arrival.is_safe && self.arrival.is_stale {
            Box::pin(self.session.resend_id()).await;
        }
        let outcome = self.outcome().await;
        self.complete(outcome, headers)?;
        if let Some(limiter) = self.sessions.cache_limiter().filter(|it| it.speaks_of(status)) {
            limiter.apply(headers);
        }
        Ok(())
    }

    /// The response to send instead of the handler's when the session failed. It reports the error
    /// as an event, and passes on the id under which the session is stored, if the handler had
    /// changed it before.
    pub async fn error_response(&self, error: &Error) -> Response<Bytes> {
        let mut response = self.sessions.page(error);
        forbid_storing(response.headers_mut());
        if !self.session.was_used() {
            return response;
        }
        let settled = self.session.settle(false).await;
        let given_up = if self.arrival.is_safe { Ok(()) } else { self.give_up().await };
        let outcome = self.outcome().await;
        let completed = self.complete(outcome, response.headers_mut());
        for error in [settled, given_up, completed].into_iter().filter_map(Result::err) {
            events::failed(&error);
        }
        response
    }

    /// Ends what was begun on a request whose response cannot carry the id, so that no record
    /// is left that nobody can reach.
    async fn give_up(&self) -> Result<()> {
        if !self.session.is_empty().await? {
            events::dropped_on_plain_http();
        }
        self.session.delete().await
    }

    /// What the client has to hear of the id, and whether the session is a remembered one. No I/O: a
    /// session whose id is to be sent was read.
    async fn outcome(&self) -> (CookieChange, bool) {
        if !self.arrival.is_safe {
            return (CookieChange::None, false);
        }
        let change = self.session.cookie_change();
        let is_sent = matches!(change, CookieChange::Set { .. } | CookieChange::Extend { .. });
        let is_remembered = is_sent && Box::pin(remember::is_remembered(&self.session)).await;
        (change, is_remembered)
    }

    fn complete(
        &self,
        (change, is_remembered): (CookieChange, bool),
        headers: &mut impl ResponseHeaders,
    ) -> Result<()> {
        let carrier = self.sessions.carriers().get(self.arrival.via);
        let renews = self.arrival.is_stale || is_remembered || carrier.is_persistent();
        match change {
            CookieChange::Set { id, remaining } => {
                carrier.hand_out(&id, remaining, is_remembered, headers)?;
                forbid_storing(headers);
            }
            CookieChange::Extend { id, remaining } if renews => {
                carrier.hand_out(&id, remaining, is_remembered, headers)?;
                forbid_storing(headers);
            }
            CookieChange::Clear => {
                carrier.take_back(headers)?;
                if let Some(value) = self.sessions.clear_site_data() {
                    headers.insert(CLEAR_SITE_DATA, value.clone());
                }
                forbid_storing(headers);
            }
            _ => {}
        }
        for name in self.sessions.carriers().vary() {
            vary_by(name, headers);
        }
        Ok(())
    }
}
