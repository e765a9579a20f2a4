//! Setting up a store.

use std::time::Duration;

use session_core::Result;

use crate::{Endpoint, Protocol, RedisConfig, RedisStore, Tls};

/// Sets up a [`RedisStore`].
#[derive(Debug)]
pub struct RedisStoreBuilder {
    config: RedisConfig,
}

impl From<RedisConfig> for RedisStoreBuilder {
    fn from(config: RedisConfig) -> Self {
        Self { config }
    }
}

impl RedisStoreBuilder {
    /// See [`RedisConfig::tls`].
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.config.tls = tls;
        self
    }

    /// See [`RedisConfig::user`].
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.config.user = Some(user.into());
        self
    }

    /// See [`RedisConfig::password`].
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.config.password = Some(password.into());
        self
    }

    /// See [`RedisConfig::sentinel_user`].
    #[must_use]
    pub fn sentinel_user(mut self, user: impl Into<String>) -> Self {
        self.config.sentinel_user = Some(user.into());
        self
    }

    /// See [`RedisConfig::sentinel_password`].
    #[must_use]
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.config.sentinel_password = Some(password.into());
        self
    }

    /// See [`RedisConfig::database`].
    #[must_use]
    pub const fn database(mut self, number: u32) -> Self {
        self.config.database = number;
        self
    }

    /// See [`RedisConfig::protocol`].
    #[must_use]
    pub const fn protocol(mut self, protocol: Protocol) -> Self {
        self.config.protocol = protocol;
        self
    }

    /// See [`RedisConfig::prefix`].
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.config.prefix = prefix.into();
        self
    }

    /// See [`RedisConfig::client_name`].
    #[must_use]
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.config.client_name = Some(name.into());
        self
    }

    /// See [`RedisConfig::connect_timeout`].
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// See [`RedisConfig::response_timeout`].
    #[must_use]
    pub const fn response_timeout(mut self, timeout: Duration) -> Self {
        self.config.response_timeout = timeout;
        self
    }

    /// See [`RedisConfig::timeout`].
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// See [`RedisConfig::max_payload`].
    #[must_use]
    pub const fn max_payload(mut self, bytes: usize) -> Self {
        self.config.max_payload = bytes;
        self
    }

    /// See [`RedisConfig::max_waiters`].
    #[must_use]
    pub const fn max_waiters(mut self, waiters: usize) -> Self {
        self.config.max_waiters = waiters;
        self
    }

    /// See [`RedisConfig::wait_replicas`].
    #[must_use]
    pub const fn wait_replicas(mut self, replicas: u32) -> Self {
        self.config.wait_replicas = replicas;
        self
    }

    /// See [`RedisConfig::wait_timeout`].
    #[must_use]
    pub const fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.config.wait_timeout = timeout;
        self
    }

    /// See [`RedisConfig::replica_staleness`].
    #[must_use]
    pub const fn replica_staleness(mut self, bound: Duration) -> Self {
        self.config.replica_staleness = bound;
        self
    }

    /// See [`RedisConfig::reader`].
    #[must_use]
    pub fn reader(mut self, endpoint: Endpoint) -> Self {
        self.config.reader = Some(endpoint);
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) when a setting or the credentials are wrong,
    /// [`Unavailable`](session_core::ErrorKind::Unavailable) or
    /// [`Timeout`](session_core::ErrorKind::Timeout) when no server answers.
    pub async fn open(self) -> Result<RedisStore> {
        self.config.check()?;
        RedisStore::connect(self.config).await
    }
}
