//! A store that counts what it is asked for, and that can be down.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use session_core::{Error, ErrorKind, Key, Operation, Result, SessionStore};
use tokio::sync::Notify;

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

/// A store that counts its calls. A clone is a handle to the same store and counters.
#[derive(Debug, Clone)]
pub struct ProbedStore {
    inner: Arc<dyn SessionStore>,
    probe: Arc<Probe>,
}

#[derive(Debug, Default)]
struct Probe {
    reads: AtomicUsize,
    writes: AtomicUsize,
    is_down: AtomicBool,
    asked: Notify,
}

/// What an error of the store must not show to visitors.
pub(super) const PLANTED: &str = "planted-host.internal:6379";

impl ProbedStore {
    /// Counts the calls of `inner`.
    #[must_use]
    pub fn new(inner: impl SessionStore) -> Self {
        Self::around(Arc::new(inner))
    }

    pub(super) fn around(inner: Arc<dyn SessionStore>) -> Self {
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

    /// Returns when the store was asked for a read since the last time this returned.
    pub(super) async fn asked(&self) {
        self.probe.asked.notified().await;
    }

    async fn read<T: Send>(
        &self,
        operation: Operation,
        _key: Option<&Key>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.probe.reads.fetch_add(1, Ordering::SeqCst);
        self.probe.asked.notify_one();
        self.pass(operation)?;
        call.await
    }

    async fn write<T: Send>(
        &self,
        operation: Operation,
        _key: Option<&Key>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.probe.writes.fetch_add(1, Ordering::SeqCst);
        self.pass(operation)?;
        call.await
    }

    fn pass(&self, operation: Operation) -> Result<()> {
        if self.probe.is_down.load(Ordering::SeqCst) {
            let error = Error::new(ErrorKind::Unavailable, "probed", operation);
            return Err(error.with_detail(PLANTED).with_source(std::io::Error::other(PLANTED)));
        }
        Ok(())
    }
}

#[async_trait]
impl SessionStore for ProbedStore {
    session_core::forward!(self => self.inner, around read; load lock ping);
    session_core::forward!(self => self.inner, around write;
        create save touch delete renew release sweep);
    session_core::forward!(self => self.inner; capabilities principal_index enumeration);
}
