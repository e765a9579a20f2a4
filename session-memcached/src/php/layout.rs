//! Where php-memcached keeps a session, as plain data.

use std::time::Duration;

use session_core::{Error, ErrorKind, Operation, Result};

use crate::{BACKEND, Endpoint, Hashing, MemcachedConfig, Protocol};

/// The layout of php-memcached's sessions, as its settings decide it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhpLayout {
    /// The servers, in PHP's order and by the names that PHP has for them, how keys are spread over
    /// them, and what the keys begin with.
    pub memcached: MemcachedConfig,
    /// How sessions are locked; `None` where PHP does not lock.
    pub lock: Option<PhpLock>,
}

impl PhpLayout {
    /// What keys begin with where PHP's settings say nothing else.
    pub const PREFIX: &'static str = "memc.sess.key.";

    /// Sessions as php-memcached keeps them without further settings: with locks, and with keys that
    /// are spread by [`Hashing::Ketama`].
    #[must_use]
    pub fn new(servers: impl Into<Vec<Endpoint>>) -> Self {
        let mut memcached = MemcachedConfig::new(servers);
        Self::PREFIX.clone_into(&mut memcached.prefix);
        memcached.hashing = Hashing::Ketama;
        Self { memcached, lock: Some(PhpLock::new()) }
    }

    /// Without locks.
    #[must_use]
    pub fn without_lock(mut self) -> Self {
        self.lock = None;
        self
    }

    /// With these locks.
    #[must_use]
    pub fn with_lock(mut self, lock: PhpLock) -> Self {
        self.lock = Some(lock);
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |demand| {
            Err(Error::new(ErrorKind::Config, BACKEND, Operation::Open).with_detail(demand))
        };
        if self.lock.as_ref().is_some_and(|lock| lock.pause.is_zero()) {
            return wrong("without a pause, waiters would leave a server no rest");
        }
        if self.lock.as_ref().is_some_and(|lock| lock.infix.is_empty()) {
            return wrong("the name of a lock must differ from that of its session");
        }
        if self.memcached.protocol == Protocol::Classic {
            return wrong("PHP's layout needs the meta commands: the older ones tell no lifetime");
        }
        self.memcached.check()
    }
}

/// How php-memcached locks a session: by a key beside it. It has no owner in PHP's eyes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhpLock {
    /// What stands between the prefix and the id in the key of a lock. Default: `lock.`.
    pub infix: String,
    /// The longest pause between two tries. php-memcached's pauses double up to it; here it is the
    /// limit of random pauses. Default: 150 ms.
    pub pause: Duration,
}

impl PhpLock {
    /// As php-memcached locks without further settings.
    #[must_use]
    pub fn new() -> Self {
        Self { infix: "lock.".to_owned(), pause: Duration::from_millis(150) }
    }

    /// With this pause.
    #[must_use]
    pub const fn with_pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
}

impl Default for PhpLock {
    fn default() -> Self {
        Self::new()
    }
}
