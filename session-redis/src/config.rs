//! The settings of a store.

use std::time::Duration;

/// The settings of a [`RedisStore`](crate::RedisStore).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisConfig {
    pub(crate) url: String,
    /// What the names of keys and channels begin with. Default: `session:`.
    pub prefix: String,
    /// How long one operation may take, with everything that is tried again. Default: 5 s.
    pub timeout: Duration,
    /// The largest payload in bytes. Default: 1 MiB.
    pub max_payload: usize,
    /// The most waiters for one lock in one process. Default: 64.
    pub max_waiters: usize,
}

impl RedisConfig {
    /// Reads a URL.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            prefix: "session:".to_owned(),
            timeout: Duration::from_secs(5),
            max_payload: 1024 * 1024,
            max_waiters: 64,
        }
    }
}
