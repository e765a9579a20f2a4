//! The conformance suite of session stores: the contract of
//! [`SessionStore`](session_core::SessionStore), executable.
//!
//! Each statement of the contract has a number (C01, L13, …), and each number a case: a function
//! that shows the statement on a real store, through two independent handles where it is about
//! several servers. What a store declares in its [`Capabilities`](session_core::Capabilities)
//! selects the cases; what it declares not to have is tested too, for a typed `Unsupported`.
//! The suite is itself proven by [`broken`] stores, each of which is wrong in one way and caught
//! by the case that is meant to catch it.
//!
//! # Running it on your own store
//!
//! Add this crate to the `dev-dependencies`, and a test without Rust's own harness:
//!
//! ```toml
//! [[test]]
//! name = "conformance"
//! harness = false
//! ```
//!
//! The whole of `tests/conformance.rs`, for a store with an `open` of its own:
//!
//! ```no_run
//! use std::{process::ExitCode, sync::Arc};
//!
//! use session_conformance::{Backend, Namespace, Suite};
//! use session_core::{Result, SessionStore};
//! # use session_core::MemoryStore as MyStore;
//! # trait Open: Sized { async fn open(_: &str, _: &str) -> Result<Self>; }
//! # impl Open for MyStore {
//! #     async fn open(_: &str, _: &str) -> Result<Self> { Ok(Self::new()) }
//! # }
//!
//! #[derive(Debug)]
//! struct Mine(String);
//!
//! #[async_trait::async_trait]
//! impl Backend for Mine {
//!     fn name(&self) -> &str {
//!         "mine"
//!     }
//!
//!     async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
//!         Ok(Arc::new(MyStore::open(&self.0, namespace.as_str()).await?))
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     Suite::new().backend_at("mine", "MY_STORE_URL", |url| Mine(url.to_owned())).run()
//! }
//! ```
//!
//! `cargo test --test conformance` then runs all cases; `-- L13` only some. A store whose variable
//! is not set shows its cases as ignored; with `SESSION_REQUIRE=mine` (or `all`) that is a failure.
//! A full run ends with a line like `conformance mine: 110 run, 15 ignored, 0 failed` and writes
//! `target/conformance/mine.json`.
//!
//! The fixture may do more than open the store: move its clock, count its writes, reach its bytes.
//! See [`Backend`] for each ability and what it adds; without it the cases that need it are
//! ignored and say why.

mod backend;
pub mod broken;
mod case;
pub mod cases;
mod client;
mod context;
mod memory;
mod not_here;
mod outcome;
#[cfg(test)]
mod proof;
mod report;
mod run;
mod suite;
mod together;

pub use backend::{
    Backend, Damage, Layout, MovableClock, Namespace, RawAccess, SingleConnectionOpen, Skew,
    SkewedOpen, WriteCounter,
};
pub use case::{Case, Need};
pub use memory::MemoryBackend;
pub use not_here::NOT_HERE;
pub use outcome::Verdict;
pub use run::{HANG_BOUND, run_case};
pub use suite::Suite;
