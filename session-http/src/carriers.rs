//! What carries the session id: the cookie, a header, or either.

use http::{
    HeaderName,
    header::{COOKIE, SET_COOKIE},
};
use session_core::{Result, SessionId, Timestamp, Ttl};

use crate::{
    Headers, KeyRing, ResponseHeaders, SessionCookie, SessionHeader, Signing,
    presented::{Refusal, choose, cookie_values},
    token::Token,
};

#[derive(Debug, Clone)]
pub(crate) enum Carriers {
    Cookie(SessionCookie),
    Header(SessionHeader),
    Either(SessionHeader, SessionCookie),
}

/// The way that a request came, and that its response goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    Cookie,
    Header,
}

/// What carries the id of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Carrier<'a> {
    Cookie(&'a SessionCookie),
    Header(&'a SessionHeader),
}

impl Carriers {
    /// A request that has the header, even an empty one, is served by it, whatever cookies it has.
    /// So no script is shown the id of a cookie.
    pub(crate) fn via(&self, headers: &impl Headers) -> Via {
        match self {
            Self::Header(_) => Via::Header,
            Self::Either(header, _) if header.is_sent(headers) => Via::Header,
            _ => Via::Cookie,
        }
    }

    pub(crate) const fn get(&self, via: Via) -> Carrier<'_> {
        match (self, via) {
            (Self::Cookie(cookie), _) | (Self::Either(_, cookie), Via::Cookie) => {
                Carrier::Cookie(cookie)
            }
            (Self::Header(header), _) | (Self::Either(header, _), Via::Header) => {
                Carrier::Header(header)
            }
        }
    }

    /// The headers that responses depend on.
    pub(crate) fn vary(&self) -> impl Iterator<Item = &HeaderName> {
        let (first, second) = match self {
            Self::Cookie(_) => (&COOKIE, None),
            Self::Header(header) => (header.request(), None),
            Self::Either(header, _) => (&COOKIE, Some(header.request())),
        };
        std::iter::once(first).chain(second)
    }
}

impl Carrier<'_> {
    pub(crate) fn read(
        self,
        headers: &impl Headers,
        now: impl Fn() -> Timestamp,
    ) -> Result<Option<Token>, Refusal> {
        match self {
            Self::Cookie(cookie) => {
                let values = cookie_values(headers, cookie.name())?;
                choose(cookie.form(), cookie.name(), values, now)
            }
            Self::Header(header) => header.read(headers, now),
        }
    }

    /// Whether the id must not travel over plain HTTP.
    pub(crate) const fn is_secure(self) -> bool {
        match self {
            Self::Cookie(cookie) => cookie.is_secure(),
            Self::Header(_) => true,
        }
    }

    /// Whether the client has to hear of it when the session's life is extended.
    pub(crate) const fn is_persistent(self) -> bool {
        match self {
            Self::Cookie(cookie) => cookie.is_persistent(),
            Self::Header(_) => false,
        }
    }

    pub(crate) fn key_ring(&self) -> Option<&KeyRing> {
        let form = match self {
            Self::Cookie(cookie) => cookie.form(),
            Self::Header(header) => header.form(),
        };
        form.signing.as_ref().map(Signing::ring)
    }

    /// Gives the client the id of a session that lives for `remaining` at most.
    pub(crate) fn hand_out(
        self,
        id: &SessionId,
        remaining: Ttl,
        is_remembered: bool,
        headers: &mut impl ResponseHeaders,
    ) -> Result<()> {
        match self {
            Self::Cookie(cookie) => {
                headers.append(SET_COOKIE, cookie.set(id, remaining, is_remembered)?);
            }
            Self::Header(header) => {
                headers.insert(header.response().clone(), header.value(Some(id))?);
            }
        }
        Ok(())
    }

    /// Tells the client that the session is over.
    pub(crate) fn take_back(self, headers: &mut impl ResponseHeaders) -> Result<()> {
        match self {
            Self::Cookie(cookie) => headers.append(SET_COOKIE, cookie.clear()?),
            Self::Header(header) => {
                headers.insert(header.response().clone(), header.value(None)?);
            }
        }
        Ok(())
    }
}
