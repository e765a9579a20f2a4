//! Where PHP keeps its sessions: `session.save_handler`, `session.save_path` and the settings of the
//! handlers, as plain data.
//!
//! Every parameter is honoured, or refused by its name. No error quotes a value, which may hold a
//! password.

mod dynamodb;
mod files;
mod memcached;
mod pdo;
mod redis;
mod setting;

use std::fmt;

pub use dynamodb::DynamoDbPath;
pub use files::FilesPath;
pub use memcached::{MemcachedHashing, MemcachedLock, MemcachedPath, MemcachedServer};
pub use pdo::{PdoDatabase, PdoPath, PdoServer};
pub use redis::{RedisAccess, RedisAddress, RedisClusterPath, RedisLock, RedisPath, RedisServer};

use crate::Ini;

/// Where sessions are, by the handler that keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SavePath {
    /// `files`.
    Files(FilesPath),
    /// `memcached`.
    Memcached(MemcachedPath),
    /// `redis`.
    Redis(RedisPath),
    /// `rediscluster`.
    RedisCluster(RedisClusterPath),
    /// `user`, with a DSN of PDO's: Symfony's `PdoSessionHandler`.
    Pdo(PdoPath),
    /// `user`, with a URL of DynamoDB: the `SessionHandler` of the AWS SDK for PHP.
    DynamoDb(DynamoDbPath),
}

impl SavePath {
    /// Reads `session.save_handler`, `session.save_path` and what the handler has of its own.
    ///
    /// # Errors
    /// A parameter that PHP refuses, or that no store here can honour.
    pub fn of(ini: &Ini) -> Result<Self, Refusal> {
        let handler = ini.get("session.save_handler")?.unwrap_or("files");
        let path = ini.get("session.save_path")?.unwrap_or_default();
        match handler.to_ascii_lowercase().as_str() {
            "files" => FilesPath::parse(path, ini).map(Self::Files),
            "memcached" => MemcachedPath::parse(path, ini).map(Self::Memcached),
            "redis" => RedisPath::parse(path, ini).map(Self::Redis),
            "rediscluster" => RedisClusterPath::parse(path, ini).map(Self::RedisCluster),
            "user" if DynamoDbPath::is_one(path) => {
                DynamoDbPath::parse(path, ini).map(Self::DynamoDb)
            }
            "user" => PdoPath::parse(path).map(Self::Pdo),
            _ => Err(Refusal::new("session.save_handler", "there is no store for this handler")),
        }
    }
}

/// A parameter that is not honoured, and why. It quotes no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    parameter: String,
    reason: String,
}

impl Refusal {
    pub(crate) fn new(parameter: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { parameter: parameter.into(), reason: reason.into() }
    }

    /// The parameter: a setting's name, or that of a part of `session.save_path`.
    #[must_use]
    pub fn parameter(&self) -> &str {
        &self.parameter
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.parameter, self.reason)
    }
}

impl std::error::Error for Refusal {}
