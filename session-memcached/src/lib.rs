#![doc = include_str!("../README.md")]

mod builder;
mod change;
mod config;
mod hints;
mod index;
mod item;
mod keys;
mod link;
mod lock;
#[cfg(feature = "php")]
pub mod php;
mod revision;
mod servers;
mod store;
mod url;

pub use builder::MemcachedStoreBuilder;
pub use config::MemcachedConfig;
pub use servers::{Endpoint, Failover, Hashing, Protocol, Tls};
pub use store::MemcachedStore;

/// The store's name in errors and capabilities.
const BACKEND: &str = "memcached";
