#![doc = include_str!("../README.md")]

mod builder;
mod check;
mod config;
mod engine;
mod index;
mod link;
mod lock;
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
