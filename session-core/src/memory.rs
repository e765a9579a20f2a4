//! The reference implementation: sessions in the memory of one process.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{
    Capabilities, Clock, Cursor, Enumeration, Error, ErrorKind, Expected, Idempotency, Incarnation,
    Key, KeyDigest, KeyPage, Lease, LockOutcome, LockQueue, LockRequest, Locked, OpToken,
    Operation, PrincipalDigest, PrincipalIndex, QueueError, REMEMBERED_OPS, ReadOptions, Record,
    Result, Revision, SessionStore, Slot, SteadyClock, SweepBudget, SweepReport, Timestamp, Ttl,
    Under, Write, instant_after,
};

const BACKEND: &str = "memory";

/// Keeps sessions in the memory of one process: for tests, development and single servers.
///
/// It keeps every promise of the contract but those that need a second machine: sessions end with
/// the process. A clone is a handle to the same sessions. Expired records are removed by
/// [`sweep`](SessionStore::sweep), or when their key is used again.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
    queue: LockQueue,
    capabilities: Arc<Capabilities>,
}

struct Shared {
    clock: Box<dyn Clock>,
    slots: Mutex<Slots>,
    epochs: Mutex<HashMap<PrincipalDigest, u64>>,
}

/// Ordered, so that a sweep or an enumeration can go on where it stopped.
type Slots = BTreeMap<KeyDigest, Slot>;

/// Sets up a [`MemoryStore`].
#[derive(Debug)]
pub struct MemoryStoreBuilder {
    clock: Box<dyn Clock>,
    max_payload: usize,
    max_waiters: usize,
}

impl MemoryStore {
    /// An empty store with the default limits: payloads up to 1 MiB, 64 waiters a lock.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// An empty store with limits or a clock of your own.
    #[must_use]
    pub fn builder() -> MemoryStoreBuilder {
        let defaults = Capabilities::new(BACKEND);
        MemoryStoreBuilder {
            clock: Box::new(SteadyClock::start()),
            max_payload: defaults.max_payload,
            max_waiters: defaults.max_waiters,
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        guard(&self.shared.slots)
    }

    /// Applies `change` to the slot of a key while nobody else can, drops what is vacant, and tells
    /// the waiters if the lock is free sooner than they know.
    fn with_slot<T>(&self, key: &Key, change: impl FnOnce(&mut Slot, Timestamp) -> T) -> T {
        let (mut slots, now) = (self.slots(), self.now());
        let slot = slots.entry(*key.digest()).or_default();
        let before = slot.holder.map(|holder| holder.until);
        let outcome = change(slot, now);
        let after = slot.holder.map(|holder| holder.until);
        if slot.is_vacant(now) {
            slots.remove(key.digest());
        }
        drop(slots);
        if after < before {
            self.queue.wake(key.digest());
        }
        outcome
    }

    fn try_lock(&self, key: &Key, request: LockRequest) -> Result<Locked, Duration> {
        self.with_slot(key, |slot, now| match slot.lock(request.op, request.lease, now) {
            LockOutcome::Granted => {
                let lease = Lease::new(request.op, request.lease);
                Ok(Locked::new(Some(lease), slot.load(now)))
            }
            LockOutcome::Held(remaining) => Err(remaining),
        })
    }

    fn page(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
        mut wanted: impl FnMut(&Record) -> bool,
    ) -> KeyPage {
        let (slots, now) = (self.slots(), self.now());
        let mut rest = slots.range((start(cursor), Bound::Unbounded));
        let mut keys = Vec::new();
        for (digest, slot) in rest.by_ref() {
            if slot.load(now).is_some_and(|record| wanted(&record)) {
                keys.push(Key::from_digest(*digest));
            }
            if keys.len() >= limit.max(1) {
                break;
            }
        }
        let last = keys.last().filter(|_| rest.next().is_some());
        let next = last.map(|key| cursor_at(key.digest()));
        KeyPage::new(keys, next)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("clock", &self.shared.clock)
            .field("keys", &self.slots().len())
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStoreBuilder {
    /// The clock that deadlines and leases are judged by. Default: the wall clock at the start,
    /// carried on by the monotonic clock, so that no step of the wall clock ends a session.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// The largest payload in bytes. Default: 1 MiB.
    #[must_use]
    pub const fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// The most waiters for one lock. Default: 64; beyond that something is wrong, and a quick
    /// refusal is better than a long line.
    #[must_use]
    pub const fn max_waiters(mut self, waiters: usize) -> Self {
        self.max_waiters = waiters;
        self
    }

    /// The store.
    #[must_use]
    pub fn build(self) -> MemoryStore {
        let mut capabilities = Capabilities::new(BACKEND);
        capabilities.max_payload = self.max_payload;
        capabilities.max_waiters = self.max_waiters;
        capabilities.idempotency = Idempotency::Window(REMEMBERED_OPS);
        capabilities.survives_restart = false;
        capabilities.survives_failover = false;
        MemoryStore {
            shared: Arc::new(Shared {
                clock: self.clock,
                slots: Mutex::default(),
                epochs: Mutex::default(),
            }),
            queue: LockQueue::new(self.max_waiters),
            capabilities: Arc::new(capabilities),
        }
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        self.capabilities.check_write(&write, Operation::Create)?;
        self.with_slot(key, |slot, now| slot.create(BACKEND, write, op, under, now))
    }

    async fn load(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        let (slots, now) = (self.slots(), self.now());
        Ok(slots.get(key.digest()).and_then(|slot| slot.load(now)))
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        self.capabilities.check_write(&write, Operation::Save)?;
        self.with_slot(key, |slot, now| slot.save(BACKEND, write, expected, op, now))
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        _op: OpToken,
    ) -> Result<()> {
        self.with_slot(key, |slot, now| slot.touch(BACKEND, ttl, incarnation, now))
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, _op: OpToken) -> Result<()> {
        self.with_slot(key, |slot, now| slot.delete(BACKEND, expected, now))
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        let refuse = |kind| Error::new(kind, BACKEND, Operation::Lock);
        let deadline = instant_after(request.wait);
        let turn = match self.queue.enter(key.digest(), deadline).await {
            Ok(turn) => turn,
            Err(QueueError::Full) => return Err(refuse(ErrorKind::TooManyWaiters)),
            Err(QueueError::Timeout) => return Err(refuse(ErrorKind::LockTimeout)),
        };
        loop {
            let held = match self.try_lock(key, request) {
                Ok(locked) => return Ok(locked),
                Err(held) => held,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(refuse(ErrorKind::LockTimeout).with_retry_after(Some(held)));
            }
            turn.wait(held.min(left)).await;
        }
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        self.with_slot(key, |slot, now| slot.renew(BACKEND, lease, duration, now))
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        self.with_slot(key, |slot, _| slot.release(lease));
        Ok(())
    }

    async fn sweep(&self, cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport> {
        let (mut slots, now) = (self.slots(), self.now());
        let until = instant_after(budget.max_time);
        let (mut report, mut vacant, mut last) = (SweepReport::default(), Vec::new(), None);
        for (digest, slot) in slots.range_mut((start(cursor), Bound::Unbounded)) {
            let is_spent = report.scanned >= budget.max_scanned || Instant::now() >= until;
            if let Some(last) = last.filter(|_| is_spent) {
                report.next = Some(cursor_at(last));
                break;
            }
            (report.scanned, last) = (report.scanned + 1, Some(digest));
            if let Some(ended) = slot.expire(now) {
                report.deleted += 1;
                report.oldest_lag = report.oldest_lag.max(Some(now.since(ended)));
            }
            vacant.extend(slot.is_vacant(now).then_some(*digest));
        }
        for digest in vacant {
            slots.remove(&digest);
        }
        Ok(report)
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        Some(self)
    }
}

#[async_trait]
impl PrincipalIndex for MemoryStore {
    async fn list(
        &self,
        principal: &PrincipalDigest,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<KeyPage> {
        Ok(self.page(cursor, limit, |record| record.meta.principal.as_ref() == Some(principal)))
    }

    async fn epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        Ok(guard(&self.shared.epochs).get(principal).copied().unwrap_or_default())
    }

    async fn bump_epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        let mut epochs = guard(&self.shared.epochs);
        let epoch = epochs.entry(*principal).or_default();
        *epoch = epoch.saturating_add(1);
        Ok(*epoch)
    }

    async fn revoke(&self, principal: &PrincipalDigest, except: Option<&Key>) -> Result<usize> {
        let (mut slots, now) = (self.slots(), self.now());
        let mut revoked = Vec::new();
        slots.retain(|digest, slot| {
            let spared = except.is_some_and(|key| key.digest() == digest);
            let theirs =
                slot.load(now).is_some_and(|record| record.meta.principal == Some(*principal));
            let ends = theirs && !spared;
            revoked.extend(ends.then_some(*digest));
            !ends
        });
        drop(slots);
        // Their locks went with them.
        revoked.iter().for_each(|digest| self.queue.wake(digest));
        Ok(revoked.len())
    }
}

#[async_trait]
impl Enumeration for MemoryStore {
    async fn keys(&self, cursor: Option<&Cursor>, limit: usize) -> Result<KeyPage> {
        Ok(self.page(cursor, limit, |_| true))
    }
}

/// The place after the key that the cursor names; the beginning for a cursor of another store.
fn start(cursor: Option<&Cursor>) -> Bound<KeyDigest> {
    match cursor.and_then(|cursor| <[u8; 32]>::try_from(cursor.as_bytes()).ok()) {
        Some(bytes) => Bound::Excluded(KeyDigest::from_bytes(bytes)),
        None => Bound::Unbounded,
    }
}

fn cursor_at(digest: &KeyDigest) -> Cursor {
    Cursor::new(digest.as_bytes().to_vec())
}

/// A panic elsewhere leaves the maps whole: every change to them is a single step.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
