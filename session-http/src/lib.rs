#![doc = include_str!("../README.md")]

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
pub use remember::{forget_me, remember_me};
pub use signing::Signing;
pub use transport::Transport;
pub use web::{SavePolicy, SiteData, WebSessions, WebSessionsBuilder};
