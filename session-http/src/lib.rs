//! The life cycle of a web session, once for every framework.

#![allow(dead_code, reason = "the life cycle that uses it comes next")]

mod cookie;
mod headers;
mod presented;
mod transport;

pub use cookie::{MAX_COOKIE_AGE, SameSite, SessionCookie, SessionCookieBuilder};
pub use transport::Transport;
