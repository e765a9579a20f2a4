#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(all(feature = "mysql", feature = "postgres", feature = "sqlite")),
    allow(dead_code, reason = "each database needs its own part of what they share")
)]

mod builder;
mod call;
mod check;
mod config;
mod engine;
mod index;
mod link;
mod listen;
mod lock;
#[cfg(feature = "php")]
pub mod php;
mod record;
mod schema;
mod statement;
mod statements;
mod store;
mod sweep;
mod url;

pub use builder::SqlStoreBuilder;
pub use check::Problem;
pub use config::SqlConfig;
pub use engine::Engine;
pub use store::SqlStore;

/// The store's name in errors before the engine is known.
const BACKEND: &str = "sql";
