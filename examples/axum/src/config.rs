//! What the environment says.

use std::{env, fmt, sync::Arc};

use session_core::{MemoryStore, SessionStore};

/// The schemes of `SESSION_STORE`.
const SCHEMES: &str = "files:DIRECTORY, memory:";

pub(crate) struct Config {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) instance: String,
    store: String,
}

/// A variable that makes no sense.
#[derive(Debug)]
pub(crate) struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    pub(crate) fn from_env() -> Result<Self, ConfigError> {
        let or = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
        let port = or("PORT", "3000");
        Ok(Self {
            host: or("HOST", "127.0.0.1"),
            port: port.parse().map_err(|error| ConfigError(format!("PORT={port}: {error}")))?,
            instance: or("INSTANCE", "one"),
            store: or("SESSION_STORE", "files:.sessions"),
        })
    }

    pub(crate) fn open_store(&self) -> Result<Arc<dyn SessionStore>, Box<dyn std::error::Error>> {
        match self.store.split_once(':') {
            Some(("memory", "")) => Ok(Arc::new(MemoryStore::new())),
            _ => Err(ConfigError(format!("SESSION_STORE must be one of {SCHEMES}")).into()),
        }
    }
}
