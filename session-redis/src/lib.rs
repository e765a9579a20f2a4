#![doc = include_str!("../README.md")]

mod answer;
mod builder;
mod clock;
mod config;
mod index;
mod keys;
mod link;
#[cfg(feature = "php")]
pub mod php;
mod record;
mod scripts;
mod seen;
mod servers;
mod store;
mod url;
mod wait;

pub use builder::RedisStoreBuilder;
pub use config::RedisConfig;
pub use servers::{Endpoint, Protocol, Servers, Tls};
pub use store::RedisStore;

/// The store's name in errors and capabilities.
const BACKEND: &str = "redis";
