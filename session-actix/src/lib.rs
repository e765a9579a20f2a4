//! Shared web sessions for actix-web.
//!
//! [`SessionMiddleware`] wraps an application; within it, handlers take their [`Session`]:
//!
//! ```
//! use actix_web::{App, HttpServer, web};
//! use session_actix::{Result, Session, SessionMiddleware};
//! use session_core::{MemoryStore, SessionManager};
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
//! let sessions = SessionMiddleware::new(SessionManager::new(MemoryStore::new())?);
//! let server = HttpServer::new(move || {
//!     App::new().wrap(sessions.clone()).route("/", web::get().to(visits))
//! });
//! # Ok(())
//! # }
//! ```
//!
//! Make the middleware once, outside of the closure: each worker then gets a handle to the same store.
//!
//! What the middleware does to a request, and when, is written in [`session_http`]: it is the same on
//! every framework. actix runs what was wrapped last first, so what changes the status of a response
//! (a handler of errors) belongs *before* this middleware in the source, and a logger after it. When such
//! a middleware within returns an error, the session is saved by the status of its response; the error
//! that goes on outwards is then an `InternalError` around it.
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
//! use session_actix::{ExclusiveSession, Result};
//!
//! async fn import(mut session: ExclusiveSession) -> Result<&'static str> {
//!     let step = session.get::<u32>("step")?.unwrap_or_default();
//!     session.insert("step", step + 1)?;
//!     session.commit().await?; // early, because the answer takes its time; otherwise by itself
//!     Ok("…")
//! }
//! # let _ = actix_web::web::post().to(import);
//! ```
//!
//! # Coming from actix-session
//!
//! - `get` and `insert` are asynchronous: the store is read when the session is first used, and not on
//!   requests that do not use it.
//! - `renew` is [`cycle_id`](session_core::Session::cycle_id), and
//!   [`login`](session_core::Session::login) for log-ins; `purge` is
//!   [`flush`](session_core::Session::flush). They act at once.
//! - Requests of one session that run in parallel do not overwrite each other's entries. For a
//!   read-modify-write of one entry, use [`update`](session_core::Session::update).
//! - A session that was deleted or has expired is never created again by a request that was still
//!   running.
//! - The default cookie is `__Host-id` with `SameSite=Lax`; it holds a random id, is looked up under
//!   its digest, and needs no signing key that all nodes share.

mod extract;
mod headers;
mod middleware;
mod session;

pub use middleware::{SessionMiddleware, SessionService};
pub use session::{CsrfGuard, ExclusiveSession, ReadOnlySession, Result, Session, SessionError};
