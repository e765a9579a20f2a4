#![doc = include_str!("../README.md")]

mod builder;
mod config;
mod engine;
mod link;
mod statement;

pub use builder::SqlStoreBuilder;
pub use config::SqlConfig;
pub use engine::Engine;
