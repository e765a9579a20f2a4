#![doc = include_str!("../README.md")]

mod builder;
mod config;
mod engine;
mod link;
mod statement;
mod url;

pub use builder::SqlStoreBuilder;
pub use config::SqlConfig;
pub use engine::Engine;

/// The store's name in errors, as long as no server has said what it is.
const BACKEND: &str = "sql";
