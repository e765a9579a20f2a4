#![doc = include_str!("../README.md")]

mod config;
mod keys;
mod link;
mod record;
mod scripts;
mod store;

pub use config::RedisConfig;
pub use store::RedisStore;

/// The store's name in errors and capabilities.
const BACKEND: &str = "redis";
