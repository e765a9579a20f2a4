//! Drives the example programs from outside.
//!
//! Every shop answers the same plain HTTP and shows the same page, so one driver tests them
//! all. It starts two instances on one store, as behind a load balancer that knows no stickiness,
//! and plays its scenarios over plain HTTP and, on the page, in headless Chromium.
//!
//! What an example answers:
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /` | the page |
//! | `POST /login`, form `user` | logs in under a new id |
//! | `POST /logout` | ends the session |
//! | `GET /me` | JSON `{user, count, cart, instance, store}`, read only |
//! | `POST /cart`, form `item` | puts the item under its own key (merge mode) |
//! | `POST /count` | JSON `{count}`, one more than before (`update`) |
//! | `POST /exclusive?ms=N` | JSON `{count}`, likewise, holding the lock for N ms |
//! | `GET /test/index?name=X` | stores the name, if there is one; JSON `{name, session, instance}` |
//! | `GET /keys` | JSON `{instance, keys, refused, unknown_key}`, ids of keys only |
//! | `GET /healthz` | 200 |
//!
//! Its environment is `PORT` (0 for any free one), `SESSION_STORE` (a URL), `INSTANCE` and `SESSION_KEYS`; it
//! prints `listening on http://HOST:PORT`.
//!
//! An example has the driver as the `main` of a test without a harness:
//!
//! ```no_run
//! # let program = "target/debug/example-axum";
//! # let target = "target";
//! example_driver::Example::new("axum", program, target).test();
//! ```

#![expect(clippy::missing_errors_doc, reason = "whatever goes wrong, a test fails with it")]

pub mod client;
mod fleet;
mod page;
mod program;
mod scenario;
mod stores;
pub mod transcript;
mod trials;
pub mod webdriver;

pub use trials::Example;

use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Anything that went wrong, in words.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A result in words.
pub type Result<T = ()> = std::result::Result<T, Error>;

/// Starts two instances of an example, each with its own way to one store; a folder is for their logs.
/// A thousand parallel counts of one user are exact, and 200 users stay logged in at both. `tell`
/// hears how far it is.
///
/// # Errors
/// When they do not, or an instance does not start.
pub async fn count_and_stay_logged_in(
    program: &Path,
    stores: [String; 2],
    folder: &Path,
    tell: impl Fn(String) + Send + Sync,
) -> Result<[Duration; 2]> {
    let fleet = fleet::Fleet::on(program, stores, folder).await?;
    let began = Instant::now();
    scenario::a_thousand_counts_are_exact(&fleet, &tell).await?;
    let counted = began.elapsed();
    scenario::all_users_stay_logged_in(&fleet, &tell).await?;
    Ok([counted, began.elapsed() - counted])
}

/// Fails with `otherwise` unless `holds`.
///
/// # Errors
/// That is its purpose.
pub fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}

/// The program in the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
