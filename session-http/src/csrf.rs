//! Tokens against forged requests (CSRF), bound to the session.
//!
//! `SameSite=Lax`, the default of the cookie, keeps it off requests that other sites send, but for
//! links. What is left to forge: requests from the other hosts of the own site, `GET` requests that
//! change something, and everything with [`SameSite::None`](crate::SameSite::None). A page that asks
//! for a [`token`] and a handler that [`check`]s it are safe from those as well.
//!
//! ```
//! use session_core::{Result, Session};
//! use session_http::csrf;
//!
//! async fn form(session: &Session) -> Result<String> {
//!     let token = csrf::token(session).await?;
//!     Ok(format!(
//!         r#"<form method="post"><input type="hidden" name="csrf" value="{token}">…</form>"#
//!     ))
//! }
//!
//! async fn submit(session: &Session, csrf_field: &str) -> Result<()> {
//!     csrf::check(session, csrf_field).await?; // 403 otherwise
//!     // …
//!     Ok(())
//! }
//! ```
//!
//! Scripts send the token in the header [`HEADER`]; the adapters' extractor `CsrfGuard` checks it
//! before the handler begins. It reads that header and nothing else: the body is the handler's, so a form
//! that sends the token in a field is checked by [`check`], as above.
//!
//! A session that is carried by a header of its own needs no token: no browser adds it by itself.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderName;
use serde::{Deserialize, Serialize};
use session_core::{
    Error, ErrorKind, LockedSession, Operation, Result, Session, SessionData, SessionFacts,
    Timestamp,
};
use sha2::Sha256;

use crate::Headers;

/// The header in which scripts send the token: `X-CSRF-Token`.
pub const HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// The entry that the secret is kept in.
const ENTRY: &str = "_csrf";
/// Bytes of the random part of a token; the rest is its MAC.
const NONCE: usize = 16;
/// Bytes of a token.
const TOKEN: usize = NONCE + 32;

/// What tokens are made of: a secret for each log-in.
#[derive(Clone, Serialize, Deserialize)]
struct Secret {
    key: String,
    /// When the session was authenticated, in milliseconds. A log-in ends the tokens of before.
    since: Option<u64>,
}

/// A token for a form or a script: 64 characters that need no escaping. Each call makes another,
/// so that a compressed page does not give it away (BREACH); all of them are valid until the next
/// log-in, or until the session ends.
///
/// The first token of a session saves it at once; in exclusive mode, use [`token_in`].
///
/// # Errors
/// Those of [`Session::update`].
pub async fn token(session: &Session) -> Result<String> {
    match current(session).await? {
        Some(secret) => secret.token(),
        None => begin(session).await?.token(),
    }
}

/// [`token`] for a session that is held exclusively.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt) when something else is kept in the entry `_csrf`.
pub async fn token_in(held: &mut LockedSession) -> Result<String> {
    let facts = held.facts().await?;
    Secret::generate(facts)?.settle(held)?.token()
}

/// Refuses a request without a valid token: compared in constant time, and stored nothing.
///
/// # Errors
/// [`Forbidden`](ErrorKind::Forbidden), which adapters answer with 403, and those of the transport.
pub async fn check(session: &Session, token: impl AsRef<[u8]> + Send) -> Result<()> {
    let token = BASE64URL_NOPAD.decode(token.as_ref()).ok().filter(|token| token.len() == TOKEN);
    let token = token.ok_or_else(forbidden)?;
    let (nonce, mac) = token.split_at_checked(NONCE).ok_or_else(forbidden)?;
    let secret = current(session).await?.ok_or_else(forbidden)?;
    secret.mac(nonce)?.verify_slice(mac).map_err(|_says_no_more| forbidden())
}

/// [`check`] of the token in the header [`HEADER`].
///
/// # Errors
/// As [`check`].
pub async fn check_header(session: &Session, headers: &(impl Headers + Sync)) -> Result<()> {
    let token = headers.values(&HEADER).next().unwrap_or_default().to_vec();
    check(session, token).await
}

/// The secret, unless it is one of before the log-in.
async fn current(session: &Session) -> Result<Option<Secret>> {
    let secret: Option<Secret> = session.get(ENTRY).await?;
    let since = since(session.facts().await?);
    Ok(secret.filter(|secret| secret.since == since))
}

async fn begin(session: &Session) -> Result<Secret> {
    let fresh = Secret::generate(session.facts().await?)?;
    session.update(|data| fresh.settle(data)).await
}

fn since(facts: Option<SessionFacts>) -> Option<u64> {
    facts.and_then(|facts| facts.authenticated_at).map(Timestamp::as_millis)
}

impl Secret {
    fn generate(facts: Option<SessionFacts>) -> Result<Self> {
        let mut key = [0; 32];
        fill_random(&mut key)?;
        Ok(Self { key: BASE64URL_NOPAD.encode(&key), since: since(facts) })
    }

    /// The secret in `data`; this one, if there is none of the same log-in.
    fn settle(&self, data: &mut SessionData) -> Result<Self> {
        let known: Option<Self> = data.get(ENTRY)?;
        match known.filter(|known| known.since == self.since) {
            Some(known) => Ok(known),
            None => data.insert(ENTRY, self).map(|()| self.clone()),
        }
    }

    fn token(&self) -> Result<String> {
        let mut nonce = [0; NONCE];
        fill_random(&mut nonce)?;
        let mac = self.mac(&nonce)?.finalize().into_bytes();
        Ok(BASE64URL_NOPAD.encode(&[nonce.as_slice(), &mac].concat()))
    }

    fn mac(&self, nonce: &[u8]) -> Result<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(self.key.as_bytes());
        let mac = mac.map_err(|_any_length_will_do| forbidden())?;
        Ok(mac.chain_update(b"session csrf token\0").chain_update(nonce))
    }
}

fn fill_random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|source| {
        Error::new(ErrorKind::Unavailable, "http", Operation::Id)
            .with_detail("the operating system gave no random bytes")
            .with_source(source)
    })
}

fn forbidden() -> Error {
    Error::new(ErrorKind::Forbidden, "http", Operation::Load)
        .with_detail("the CSRF token is missing or wrong")
}
