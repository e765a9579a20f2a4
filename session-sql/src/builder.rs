//! Setting up a store.

use std::time::Duration;

use session_core::Result;

use crate::{SqlConfig, SqlStore};

/// Sets up a [`SqlStore`](crate::SqlStore).
#[derive(Debug)]
pub struct SqlStoreBuilder {
    config: SqlConfig,
}

impl From<SqlConfig> for SqlStoreBuilder {
    fn from(config: SqlConfig) -> Self {
        Self { config }
    }
}

impl SqlStoreBuilder {
    /// See [`SqlConfig::table`].
    #[must_use]
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.config.table = table.into();
        self
    }

    /// See [`SqlConfig::max_connections`].
    #[must_use]
    pub const fn max_connections(mut self, connections: u32) -> Self {
        self.config.max_connections = connections;
        self
    }

    /// See [`SqlConfig::connect_timeout`].
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// See [`SqlConfig::response_timeout`].
    #[must_use]
    pub const fn response_timeout(mut self, timeout: Duration) -> Self {
        self.config.response_timeout = timeout;
        self
    }

    /// See [`SqlConfig::timeout`].
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// See [`SqlConfig::max_lifetime`].
    #[must_use]
    pub const fn max_lifetime(mut self, age: Duration) -> Self {
        self.config.max_lifetime = age;
        self
    }

    /// See [`SqlConfig::max_payload`].
    #[must_use]
    pub const fn max_payload(mut self, bytes: usize) -> Self {
        self.config.max_payload = bytes;
        self
    }

    /// See [`SqlConfig::max_waiters`].
    #[must_use]
    pub const fn max_waiters(mut self, waiters: usize) -> Self {
        self.config.max_waiters = waiters;
        self
    }

    /// See [`SqlConfig::sweep_share`].
    #[must_use]
    pub const fn sweep_share(mut self, percent: u8) -> Self {
        self.config.sweep_share = percent;
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// As [`SqlStore::open`].
    pub async fn open(self) -> Result<SqlStore> {
        self.config.check()?;
        SqlStore::connect(self.config).await
    }
}
