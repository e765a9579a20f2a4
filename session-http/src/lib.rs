//! The life cycle of a web session, once for every framework.
//!
//! Applications use an adapter (`session-tower` for axum and everything else on tower), which is
//! made of [`WebSessions`]: a manager of sessions, a [`SessionCookie`], and policies. Authors of
//! adapters use [`WebSessions::begin`] and the [`Exchange`] it returns.
//!
//! What holds on every framework:
//!
//! - **A handler that does not touch its session costs nothing**: no store traffic, no cookie, no
//!   header.
//! - **Without data there is no session**: nothing is stored, and no cookie is set.
//! - **The session is saved before the response is sent.** A response that speaks of a change means
//!   that the change is in the store. Changes made later, while a body is streamed, need a
//!   [`save`](session_core::Session::save) of their own.
//! - **A store that is down refuses the request** with 503; a visitor never gets a fresh session
//!   in place of the one that could not be read. A handler that can do without its session goes
//!   on by ignoring the error of the call; nothing is written then.
//! - **The cookie follows the store**: an id is sent once it is stored, and never otherwise.
//! - **Ids come from the cookie only**, never from the URL or the body. An id that the store does
//!   not know is never adopted. Several session cookies with different values are none: which of
//!   them was planted cannot be told. (Browsers let nobody plant a second `__Host-` cookie.)
//! - A response that sets or clears the cookie is kept out of caches; one that depends on the
//!   session says `Vary: Cookie`.
//! - Each turn in a session's life is one `tracing` event under the target `session`. No event and
//!   no response names an id.
//!
//! Responses of 5xx save nothing by default; see [`SavePolicy`].

mod caching;
mod carriers;
mod cookie;
pub mod csrf;
mod diagnostics;
mod events;
mod exchange;
mod exclusive;
mod failure;
pub mod flash;
mod handler_types;
mod header;
mod keys;
mod message;
mod presented;
mod remember;
#[cfg(feature = "scenarios")]
pub mod scenarios;
mod signing;
mod token;
mod transport;
mod web;

pub use caching::CacheLimiter;
pub use cookie::{MAX_COOKIE_AGE, SameSite, SessionCookie, SessionCookieBuilder};
pub use diagnostics::Diagnostics;
pub use exchange::Exchange;
pub use exclusive::{ExclusiveSession, RequestSession};
pub use failure::status_of;
pub use header::SessionHeader;
pub use keys::{KeyId, KeyRing};
pub use message::{Headers, ResponseHeaders};
pub use remember::remember_me;
pub use signing::Signing;
pub use transport::Transport;
pub use web::{SavePolicy, SiteData, WebSessions, WebSessionsBuilder};
