#![doc = include_str!("../README.md")]

mod body;
#[cfg(feature = "axum")]
mod extract;
mod layer;
mod session;

pub use body::SessionBody;
#[cfg(feature = "axum")]
pub use extract::{MissingSessionLayer, Rejection};
pub use layer::{SessionFuture, SessionLayer, SessionMiddleware};
pub use session::{CsrfGuard, ExclusiveSession, ReadOnlySession, Result, Session, SessionError};
