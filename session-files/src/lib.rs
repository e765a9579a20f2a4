#![doc = include_str!("../README.md")]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "session-files needs Linux: it locks byte ranges by open file description, which no other \
     system offers"
);

mod builder;
mod claims;
mod config;
mod engine;
mod fault;
mod fields;
mod gates;
mod layout;
mod lease_file;
mod locks;
mod mount;
#[cfg(feature = "php")]
pub mod php;
mod pool;
mod record_file;
mod root;
mod section;
mod state_file;
mod store;
mod sweep;
mod time;
mod tree;

pub use builder::FilesStoreBuilder;
pub use config::{Commit, Durability, FilesConfig};
pub use store::FilesStore;

/// The store's name in errors and capabilities.
const BACKEND: &str = "files";
