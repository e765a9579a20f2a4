#![doc = include_str!("../README.md")]

mod aside;
mod builder;
mod change;
mod config;
mod expression;
mod fault;
mod folded;
mod item;
mod keys;
mod link;
mod lock;
mod mark;
mod meter;
#[cfg(feature = "php")]
pub mod php;
mod principal;
mod quick;
mod schema;
mod segments;
mod store;
mod sweep;
mod walk;

pub use builder::DynamoStoreBuilder;
pub use config::{DynamoConfig, Leases};
pub use meter::Consumed;
pub use store::DynamoStore;

/// The store's name in errors and capabilities.
const BACKEND: &str = "dynamodb";
