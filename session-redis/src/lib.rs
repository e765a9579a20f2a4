#![doc = include_str!("../README.md")]

mod clock;
mod config;
mod keys;
mod link;
mod record;
mod scripts;
mod store;
mod wait;

pub use config::RedisConfig;
pub use store::RedisStore;

/// The store's name in errors and capabilities.
const BACKEND: &str = "redis";
