//! Setting up a store.

use std::{sync::Arc, time::Duration};

use session_core::{Clock, Result, SystemClock};

use crate::{Failover, Hashing, MemcachedConfig, MemcachedStore, Protocol, Tls};

/// Sets up a [`MemcachedStore`].
#[derive(Debug)]
pub struct MemcachedStoreBuilder {
    config: MemcachedConfig,
    clock: Arc<dyn Clock>,
}

impl From<MemcachedConfig> for MemcachedStoreBuilder {
    fn from(config: MemcachedConfig) -> Self {
        Self { config, clock: Arc::new(SystemClock::default()) }
    }
}

impl MemcachedStoreBuilder {
    /// See [`MemcachedConfig::hashing`].
    #[must_use]
    pub const fn hashing(mut self, hashing: Hashing) -> Self {
        self.config.hashing = hashing;
        self
    }

    /// See [`MemcachedConfig::failover`].
    #[must_use]
    pub const fn failover(mut self, failover: Failover) -> Self {
        self.config.failover = failover;
        self
    }

    /// See [`MemcachedConfig::tls`].
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.config.tls = tls;
        self
    }

    /// See [`MemcachedConfig::user`].
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.config.user = Some(user.into());
        self
    }

    /// See [`MemcachedConfig::password`].
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.config.password = Some(password.into());
        self
    }

    /// See [`MemcachedConfig::protocol`].
    #[must_use]
    pub const fn protocol(mut self, protocol: Protocol) -> Self {
        self.config.protocol = protocol;
        self
    }

    /// See [`MemcachedConfig::prefix`].
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.config.prefix = prefix.into();
        self
    }

    /// See [`MemcachedConfig::connections`].
    #[must_use]
    pub const fn connections(mut self, count: usize) -> Self {
        self.config.connections = count;
        self
    }

    /// See [`MemcachedConfig::connect_timeout`].
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// See [`MemcachedConfig::response_timeout`].
    #[must_use]
    pub const fn response_timeout(mut self, timeout: Duration) -> Self {
        self.config.response_timeout = timeout;
        self
    }

    /// See [`MemcachedConfig::timeout`].
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// See [`MemcachedConfig::max_payload`].
    #[must_use]
    pub const fn max_payload(mut self, bytes: usize) -> Self {
        self.config.max_payload = bytes;
        self
    }

    /// See [`MemcachedConfig::max_waiters`].
    #[must_use]
    pub const fn max_waiters(mut self, waiters: usize) -> Self {
        self.config.max_waiters = waiters;
        self
    }

    /// The clock that deadlines and leases are judged by. Default: the wall clock. All servers of
    /// the application need about the same time.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) when a setting or the credentials are wrong, and
    /// when a server has compare-and-set turned off; [`Unavailable`](session_core::ErrorKind::Unavailable)
    /// or [`Timeout`](session_core::ErrorKind::Timeout) when no server answers.
    pub async fn open(self) -> Result<MemcachedStore> {
        self.config.check()?;
        MemcachedStore::connect(&self.config, self.clock).await
    }
}
