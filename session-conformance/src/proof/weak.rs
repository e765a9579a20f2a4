//! Stores that declare less than the memory store and are honest about it.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    Capabilities, Error, ErrorKind, Expected, Fencing, Idempotency, Incarnation, Key, KeyPage,
    Lease, LockAbsent, LockRequest, Locked, OpToken, Operation, PrincipalDigest, ReadOptions,
    Record, Result, Revision, RevisionKind, SessionStore, Support, SweepBudget, SweepReport,
    Sweeping, Ttl, Under, Write,
};

use super::passes_all;
use crate::{
    Backend, Layout, MemoryBackend, MovableClock, Namespace,
    broken::mischief::{Broken, Inner, Mischief},
};

/// The memory store, seen through a mischief that is none.
#[derive(Debug)]
struct Honest {
    memory: MemoryBackend,
    wrap: fn(Inner) -> Inner,
    has_clock: bool,
    layout: Layout,
}

impl Honest {
    fn new(wrap: fn(Inner) -> Inner) -> Self {
        Self { memory: MemoryBackend::new(), wrap, has_clock: true, layout: Layout::Native }
    }
}

#[async_trait]
impl Backend for Honest {
    fn name(&self) -> &'static str {
        "honest"
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        self.memory.open(namespace).await.map(self.wrap)
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn clock(&self) -> Option<&dyn MovableClock> {
        self.memory.clock().filter(|_| self.has_clock)
    }
}

/// Can do nothing that it need not.
#[derive(Debug)]
struct Least;

fn content(payload: &[u8]) -> Revision {
    let mut hasher = DefaultHasher::new();
    payload.hash(&mut hasher);
    Revision::of_content(u128::from(hasher.finish()))
}

fn unsupported<T>(operation: Operation) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "least", operation))
}

impl Least {
    fn check(&self, write: &Write, inner: &Inner, operation: Operation) -> Result<()> {
        let mut has = inner.capabilities().clone();
        self.declare(&mut has);
        has.check_write(write, operation)
    }

    /// The revision that the store below has, if the record is at the caller's.
    async fn below(&self, inner: &Inner, key: &Key, revision: Revision) -> Result<Revision> {
        match inner.load(key, ReadOptions::latest()).await? {
            Some(record) if content(&record.payload) != revision => {
                Err(Error::new(ErrorKind::Conflict, "least", Operation::Save))
            }
            record => Ok(record.map_or(revision, |record| record.revision)),
        }
    }
}

#[async_trait]
impl Mischief for Least {
    fn declare(&self, has: &mut Capabilities) {
        has.locking = Support::No;
        has.touch = Support::No;
        has.meta = Support::No;
        has.fencing = Fencing::None;
        has.fifo = Support::No;
        has.revision = RevisionKind::Content;
        has.idempotency = Idempotency::None;
        has.sweeping = Sweeping::ByServer;
    }

    fn has_index(&self) -> bool {
        false
    }

    async fn create(
        &self,
        inner: &Inner,
        key: &Key,
        write: Write,
        _: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        if under.is_some() {
            return unsupported(Operation::Create);
        }
        self.check(&write, inner, Operation::Create)?;
        let revision = content(&write.payload);
        inner.create(key, write, OpToken::generate()?, None).await.map(|_| revision)
    }

    async fn load(&self, inner: &Inner, key: &Key) -> Result<Option<Record>> {
        let record = inner.load(key, ReadOptions::latest()).await?;
        Ok(record.map(|mut record| {
            record.revision = content(&record.payload);
            record
        }))
    }

    async fn save(
        &self,
        inner: &Inner,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        _: OpToken,
    ) -> Result<Revision> {
        self.check(&write, inner, Operation::Save)?;
        let (revision, op) = (content(&write.payload), OpToken::generate()?);
        let expected = match expected {
            Expected::Lease { .. } => return unsupported(Operation::Save),
            Expected::Revision(revision) => {
                Expected::Revision(self.below(inner, key, revision).await?)
            }
            // There is none to compare.
            _ => Expected::Any,
        };
        let outcome = inner.save(key, write, expected, op).await;
        outcome.map(|_| revision).map_err(|mut error| {
            drop(error.take_current());
            error
        })
    }

    async fn touch(&self, _: &Inner, _: &Key, _: Ttl, _: Incarnation, _: OpToken) -> Result<()> {
        unsupported(Operation::Touch)
    }

    async fn delete(
        &self,
        inner: &Inner,
        key: &Key,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<()> {
        let expected = match expected {
            Expected::Lease { .. } => return unsupported(Operation::Delete),
            Expected::Revision(revision) => {
                Expected::Revision(self.below(inner, key, revision).await?)
            }
            // There is none to compare.
            _ => Expected::Any,
        };
        inner.delete(key, expected, op).await
    }

    async fn lock(&self, _: &Inner, _: &Key, _: LockRequest) -> Result<Locked> {
        unsupported(Operation::Lock)
    }

    async fn renew(&self, _: &Inner, _: &Key, _: &Lease, _: Duration) -> Result<()> {
        unsupported(Operation::Renew)
    }

    async fn release(&self, _: &Inner, _: &Key, _: &Lease) -> Result<()> {
        unsupported(Operation::Release)
    }

    async fn sweep(
        &self,
        _: &Inner,
        _: Option<&session_core::Cursor>,
        _: SweepBudget,
    ) -> Result<SweepReport> {
        Ok(SweepReport::default())
    }
}

/// Locks records only, and keeps no order of waiters.
#[derive(Debug)]
struct LocksRecordsOnly;

#[async_trait]
impl Mischief for LocksRecordsOnly {
    fn declare(&self, has: &mut Capabilities) {
        has.lock_absent = LockAbsent::NotHeld;
        has.fifo = Support::No;
    }

    async fn lock(&self, inner: &Inner, key: &Key, request: LockRequest) -> Result<Locked> {
        let locked = inner.lock(key, request).await?;
        match (&locked.record, &locked.lease) {
            (None, Some(lease)) => {
                inner.release(key, lease).await?;
                Ok(Locked::new(None, None))
            }
            _ => Ok(locked),
        }
    }
}

/// Keeps epochs, and lists no sessions.
#[derive(Debug)]
struct KeepsEpochsOnly;

#[async_trait]
impl Mischief for KeepsEpochsOnly {
    fn declare(&self, has: &mut Capabilities) {
        has.listing = Support::No;
    }

    async fn list(
        &self,
        _: &Inner,
        _: &PrincipalDigest,
        _: Option<&session_core::Cursor>,
        _: usize,
    ) -> Result<KeyPage> {
        unsupported(Operation::Index)
    }

    async fn revoke(&self, _: &Inner, _: &PrincipalDigest, _: Option<&Key>) -> Result<usize> {
        unsupported(Operation::Index)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_keeps_epochs_only_passes_what_is_for_it() {
    let honest = Honest::new(|inner| Arc::new(Broken::new(inner, KeepsEpochsOnly)));
    let passed = passes_all(honest).await;
    let ran = |id: &str| passed.iter().any(|passed| passed == id);
    assert!(ran("D20_without_listing_it_is_unsupported"));
    assert!(ran("U04_revoke_all_races_with_create"));
    assert!(ran("SEC-21_without_a_list_sessions_are_refused"));
    assert!(!ran("U01_find_by_user_lists_live_only"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_can_do_the_least_passes_what_is_for_it() {
    let mut honest = Honest::new(|inner| Arc::new(Broken::new(inner, Least)));
    honest.layout = Layout::Foreign;
    let passed = passes_all(honest).await;
    for number in ["D04", "D05", "D06", "D09", "D10", "D21", "L17", "L19"] {
        assert!(passed.iter().any(|id| id.starts_with(number)), "{number} did not run");
    }
    assert!(passed.iter().all(|id| !id.starts_with("L01")), "locking was tested");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_locks_records_only_passes_what_is_for_it() {
    let honest = Honest::new(|inner| Arc::new(Broken::new(inner, LocksRecordsOnly)));
    let passed = passes_all(honest).await;
    let ran = |id: &str| passed.iter().any(|passed| passed == id);
    assert!(ran("L40_lock_on_missing_session_is_not_held"));
    assert!(!ran("L40_lock_on_missing_session_is_held"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_clock_to_move_cases_take_real_time() {
    let mut honest = Honest::new(|inner| inner);
    honest.has_clock = false;
    let passed = passes_all(honest).await;
    for number in ["E01", "E02", "E07", "E18", "E24", "L10", "L13", "L20", "L37"] {
        assert!(passed.iter().any(|id| id.starts_with(number)), "{number} did not run");
    }
}
