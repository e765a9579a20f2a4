#![doc = include_str!("../README.md")]

mod extract;
mod headers;
mod middleware;
mod session;

pub use middleware::{SessionMiddleware, SessionService};
pub use session::{CsrfGuard, ExclusiveSession, ReadOnlySession, Result, Session, SessionError};
