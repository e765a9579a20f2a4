//! A store that counts what it is asked for, and that can be down.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    Capabilities, Cursor, Enumeration, Error, ErrorKind, Expected, Incarnation, Key, Lease,
    LockRequest, Locked, MemoryStore, OpToken, Operation, PrincipalIndex, ReadOptions, Record,
    Result, Revision, SessionStore, SweepBudget, SweepReport, Ttl, Under, Write,
};

/// How often a store was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// `load`, and the read that comes with `lock`.
    pub reads: usize,
    /// `create`, `save`, `touch`, `delete`, `renew` and `release`.
    pub writes: usize,
}

impl Counts {
    /// So many reads and writes.
    #[must_use]
    pub const fn new(reads: usize, writes: usize) -> Self {
        Self { reads, writes }
    }
}

/// A memory store that counts its calls. A clone is a handle to the same store and counters.
#[derive(Debug, Clone)]
pub struct ProbedStore {
    inner: MemoryStore,
    probe: Arc<Probe>,
}

#[derive(Debug, Default)]
struct Probe {
    reads: AtomicUsize,
    writes: AtomicUsize,
    is_down: AtomicBool,
}

/// What an error of the store must not show to visitors.
pub(super) const PLANTED: &str = "planted-host.internal:6379";

impl ProbedStore {
    /// Counts the calls of `inner`.
    #[must_use]
    pub fn new(inner: MemoryStore) -> Self {
        Self { inner, probe: Arc::default() }
    }

    /// The calls since the last time this was asked.
    #[must_use]
    pub fn take_counts(&self) -> Counts {
        let take = |counter: &AtomicUsize| counter.swap(0, Ordering::SeqCst);
        Counts::new(take(&self.probe.reads), take(&self.probe.writes))
    }

    /// From now on every call fails with [`Unavailable`](ErrorKind::Unavailable).
    pub fn take_down(&self) {
        self.probe.is_down.store(true, Ordering::SeqCst);
    }

    /// From now on calls work again.
    pub fn bring_up(&self) {
        self.probe.is_down.store(false, Ordering::SeqCst);
    }

    /// How many sessions there are, aliases of rotated ids included.
    pub async fn records(&self) -> usize {
        let all = self.inner.enumeration().expect("the memory store enumerates");
        all.keys(None, usize::MAX).await.expect("the memory store answers").keys.len()
    }

    fn read(&self, operation: Operation) -> Result<&MemoryStore> {
        self.pass(&self.probe.reads, operation)
    }

    fn write(&self, operation: Operation) -> Result<&MemoryStore> {
        self.pass(&self.probe.writes, operation)
    }

    fn pass(&self, counter: &AtomicUsize, operation: Operation) -> Result<&MemoryStore> {
        counter.fetch_add(1, Ordering::SeqCst);
        if self.probe.is_down.load(Ordering::SeqCst) {
            let error = Error::new(ErrorKind::Unavailable, "probed", operation);
            return Err(error.with_detail(PLANTED).with_source(std::io::Error::other(PLANTED)));
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl SessionStore for ProbedStore {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        self.write(Operation::Create)?.create(key, write, op, under).await
    }

    async fn load(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        self.read(Operation::Load)?.load(key, options).await
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        self.write(Operation::Save)?.save(key, write, expected, op).await
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        op: OpToken,
    ) -> Result<()> {
        self.write(Operation::Touch)?.touch(key, ttl, incarnation, op).await
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, op: OpToken) -> Result<()> {
        self.write(Operation::Delete)?.delete(key, expected, op).await
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        self.read(Operation::Lock)?.lock(key, request).await
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        self.write(Operation::Renew)?.renew(key, lease, duration).await
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        self.write(Operation::Release)?.release(key, lease).await
    }

    async fn sweep(&self, cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport> {
        self.write(Operation::Sweep)?.sweep(cursor, budget).await
    }

    async fn ping(&self) -> Result<()> {
        self.read(Operation::Ping)?.ping().await
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        self.inner.principal_index()
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        self.inner.enumeration()
    }
}
