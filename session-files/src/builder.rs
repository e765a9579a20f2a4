//! Setting up a store.

use std::{sync::Arc, time::Duration};

use session_core::{
    Capabilities, Clock, Error, ErrorKind, Idempotency, LockQueue, Operation, REMEMBERED_OPS,
    Result, SystemClock, instant_after,
};

use crate::{
    BACKEND, Commit, Durability, FilesConfig, FilesStore, engine::Engine, fault::pool_error,
    locks::Locks, pool::Pool, root::open_tree, section::Vault, store::WAKE_STEP, time::Time,
};

/// How far two servers may differ about a deadline: each knows the file server's clock to within
/// its tick, a network round trip, and what its own clock gains or loses in a few seconds.
const CLOCK_SKEW: Duration = Duration::from_millis(50);

/// Sets up a [`FilesStore`].
#[derive(Debug)]
pub struct FilesStoreBuilder {
    config: FilesConfig,
    time: Time,
}

impl From<FilesConfig> for FilesStoreBuilder {
    fn from(config: FilesConfig) -> Self {
        Self { config, time: Time::of_server(Box::new(SystemClock::default())) }
    }
}

impl FilesStoreBuilder {
    /// See [`FilesConfig::threads`].
    #[must_use]
    pub const fn threads(mut self, threads: usize) -> Self {
        self.config.threads = threads;
        self
    }

    /// See [`FilesConfig::queue`].
    #[must_use]
    pub const fn queue(mut self, operations: usize) -> Self {
        self.config.queue = operations;
        self
    }

    /// See [`FilesConfig::timeout`].
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// See [`FilesConfig::durability`].
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.config.durability = durability;
        self
    }

    /// See [`FilesConfig::commit`].
    #[must_use]
    pub const fn commit(mut self, commit: Commit) -> Self {
        self.config.commit = commit;
        self
    }

    /// See [`FilesConfig::max_payload`].
    #[must_use]
    pub const fn max_payload(mut self, bytes: usize) -> Self {
        self.config.max_payload = bytes;
        self
    }

    /// See [`FilesConfig::max_waiters`].
    #[must_use]
    pub const fn max_waiters(mut self, waiters: usize) -> Self {
        self.config.max_waiters = waiters;
        self
    }

    /// A clock that decides about all deadlines and leases, in place of the file server's. For
    /// tests: all stores in one directory must agree on it.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.time = Time::Given(Box::new(clock));
        self
    }

    /// The local clock, which only carries on from the last look at the file server's clock. What
    /// it shows does not matter, as long as it runs. Default: the operating system's.
    #[must_use]
    pub fn local_clock(mut self, clock: impl Clock) -> Self {
        self.time = Time::of_server(Box::new(clock));
        self
    }

    /// Opens the store, creating the directory if need be.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when a setting or the directory is not safe or cannot work,
    /// [`Timeout`](ErrorKind::Timeout) when the file system does not answer.
    pub async fn open(self) -> Result<FilesStore> {
        let Self { config, time } = self;
        config.check()?;
        let pool = Pool::start(config.threads, config.queue, config.timeout).map_err(|source| {
            Error::new(ErrorKind::Unavailable, BACKEND, Operation::Open)
                .with_detail("the threads cannot be started")
                .with_source(source)
        })?;
        let (path, durability, commit) = (config.path.clone(), config.durability, config.commit);
        let open = move || open_tree(&path, durability, commit);
        let opened = pool.run(instant_after(config.timeout), open);
        let tree = opened.await.map_err(|error| pool_error(error, Operation::Open, false))??;
        let capabilities = capabilities(&config, tree.granularity);
        Ok(FilesStore {
            engine: Arc::new(Engine {
                vault: Vault::new(tree, time, config.commit),
                locks: Locks::new(),
                pool,
                queue: LockQueue::new(config.max_waiters),
                timeout: config.timeout,
            }),
            capabilities: Arc::new(capabilities),
        })
    }
}

fn capabilities(config: &FilesConfig, granularity: u64) -> Capabilities {
    let mut capabilities = Capabilities::new(BACKEND);
    capabilities.max_payload = config.max_payload;
    capabilities.max_waiters = config.max_waiters;
    capabilities.idempotency = Idempotency::Window(REMEMBERED_OPS);
    capabilities.wake_step = WAKE_STEP;
    capabilities.takeover_time = WAKE_STEP;
    capabilities.expiry_precision = Duration::from_millis(granularity);
    capabilities.clock_skew = CLOCK_SKEW;
    capabilities.survives_failover = false;
    capabilities
}
