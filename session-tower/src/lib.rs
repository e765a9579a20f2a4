//! Shared web sessions for axum and every other framework on tower.
//!
//! [`SessionLayer`] wraps a service; within it, handlers take their [`Session`]:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use axum::{Router, routing::get};
//! use session_core::{MemoryStore, SessionManager};
//! use session_tower::{Result, Session, SessionLayer};
//!
//! async fn visits(session: Session) -> Result<String> {
//!     let visits = session
//!         .update(|data| {
//!             let visits = data.get::<u64>("visits")?.unwrap_or_default() + 1;
//!             data.insert("visits", visits)?;
//!             Ok(visits)
//!         })
//!         .await?;
//!     Ok(format!("visit number {visits}"))
//! }
//!
//! # fn main() -> session_core::Result<()> {
//! let sessions = SessionManager::new(MemoryStore::new())?;
//! let app: Router = Router::new().route("/", get(visits)).layer(SessionLayer::new(sessions));
//! # Ok(())
//! # }
//! # }
//! ```
//!
//! What the layer does to a request, and when, is written in [`session_http`]: it is the same on
//! every framework. The extractors need the feature `axum`. Services that are not axum's find the
//! [`Session`] in the request's extensions.
//!
//! # How a route uses its session
//!
//! A handler says it by what it takes:
//!
//! | takes | the session is |
//! | --- | --- |
//! | [`Session`] | read when it is used and saved at the end; parallel requests run in parallel |
//! | [`ReadOnlySession`] | never written, not even touched |
//! | [`ExclusiveSession`] | locked before the handler begins, committed when it is done |
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use axum::{Router, routing::post};
//! use session_tower::{ExclusiveSession, Result};
//!
//! async fn import(mut session: ExclusiveSession) -> Result<&'static str> {
//!     let step = session.get::<u32>("step")?.unwrap_or_default();
//!     session.insert("step", step + 1)?;
//!     session.commit().await?; // early, because the answer takes its time; otherwise by itself
//!     Ok("…")
//! }
//! # Router::<()>::new().route("/", post(import));
//! # }
//! ```
//!
//! # Coming from tower-sessions
//!
//! The calls have the same names: `get`, `insert`, `remove`, `clear`, `flush`, `cycle_id`, `save`.
//! What differs:
//!
//! - Requests of one session that run in parallel do not overwrite each other's entries. For a
//!   read-modify-write of one entry, `get` and `insert` are as wrong as they were; use
//!   [`update`](session_core::Session::update).
//! - `cycle_id` and `flush` act at once, not after the handler; [`login`](session_core::Session::login)
//!   is `cycle_id` for log-ins.
//! - An unmodified session lives on by being used. There is no `always_save`.
//! - The default cookie is `__Host-id` with `SameSite=Lax`.

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
