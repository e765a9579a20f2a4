//! The store.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use async_trait::async_trait;
use session_core::{
    Capabilities, Cursor, Enumeration, Error, ErrorKind, Expected, Incarnation, Jitter, Key,
    KeyPage, Lease, LockOutcome, LockRequest, Locked, OpToken, Operation, PrincipalIndex,
    QueueError, ReadOptions, Record, Result, Revision, SessionStore, Slot, SweepBudget,
    SweepReport, Then, Ttl, Under, Write, instant_after,
};
use tokio::{runtime::Handle, time::Instant};

use crate::{
    BACKEND, FilesConfig, FilesStoreBuilder,
    engine::Engine,
    section::{Needs, Section},
    sweep::{self, Bounds},
};

/// The shortest and the longest limit of the random pauses between two looks at a lock.
const POLLS: (Duration, Duration) = (Duration::from_millis(5), WAKE_STEP);
/// The longest pause between two looks at a lock.
pub(crate) const WAKE_STEP: Duration = Duration::from_millis(100);
/// How long one piece of a sweep or an enumeration may keep a thread.
const PIECE: Duration = Duration::from_millis(50);

/// Keeps sessions in files below one directory.
///
/// A clone is a handle to the same store. Any number of stores, in any number of processes, may
/// use one directory.
#[derive(Debug, Clone)]
pub struct FilesStore {
    pub(crate) engine: Arc<Engine>,
    pub(crate) capabilities: Arc<Capabilities>,
}

impl FilesStore {
    /// Opens the store in the directory `path` with the default settings, creating the directory
    /// if need be.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the directory is not safe or cannot be opened,
    /// [`Timeout`](ErrorKind::Timeout) when the file system does not answer.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(path).open().await
    }

    /// A store in the directory `path` with settings of your own.
    #[must_use]
    pub fn builder(path: impl Into<PathBuf>) -> FilesStoreBuilder {
        FilesConfig::new(path).into()
    }

    /// Tries once; without a grant it says how long the present lease still lasts.
    async fn try_lock(&self, key: &Key, request: LockRequest) -> Result<Result<Grant, Duration>> {
        let (digest, own) = (*key.digest(), Some(request.op));
        let (store, runtime) = (self.clone(), Handle::current());
        let lease = Lease::new(request.op, request.lease);
        let change = move |slot: &mut Slot, now| {
            Ok(match slot.lock(request.op, request.lease, now) {
                LockOutcome::Granted => Ok(Locked::new(Some(lease.clone()), slot.load(now))),
                LockOutcome::Held(remaining) => Err(remaining),
                _ => Err(WAKE_STEP),
            })
        };
        let grant = move |outcome: Result<Locked, Duration>| {
            let key = Key::from_digest(digest);
            outcome.map(|locked| Grant { store, runtime, key, locked: Some(locked) })
        };
        self.engine.change_and(Operation::Lock, digest, Needs::Both, own, change, grant).await
    }
}

/// A lock that was won on a thread of the pool and is on its way to the caller. When he has gone
/// away meanwhile, it is given back.
struct Grant {
    store: FilesStore,
    runtime: Handle,
    key: Key,
    locked: Option<Locked>,
}

impl Grant {
    fn accept(mut self) -> Locked {
        self.locked.take().unwrap_or_else(|| Locked::new(None, None))
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let Some(lease) = self.locked.take().and_then(|locked| locked.lease) else { return };
        let (store, key) = (self.store.clone(), self.key.clone());
        self.runtime.spawn(async move {
            // If this fails, the lease lapses.
            drop(store.release(&key, &lease).await);
        });
    }
}

#[async_trait]
impl SessionStore for FilesStore {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        self.capabilities.check_write(&write, Operation::Create)?;
        let under = under.map(|under| (under.lease.clone(), under.then));
        let own = under.as_ref().map(|(lease, _)| lease.token());
        let change = move |slot: &mut Slot, now| {
            let under = under.as_ref().map(|(lease, then)| Under::new(lease, *then));
            slot.create(BACKEND, write.clone(), op, under, now)
        };
        self.engine.change(Operation::Create, *key.digest(), Needs::Both, own, change).await
    }

    async fn load(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        self.engine.load(*key.digest()).await
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        self.capabilities.check_write(&write, Operation::Save)?;
        let expected = Expectation::of(expected, Operation::Save)?;
        let own = expected.token();
        let change = move |slot: &mut Slot, now| {
            slot.save(BACKEND, write.clone(), expected.as_expected(), op, now)
        };
        self.engine.change(Operation::Save, *key.digest(), Needs::Both, own, change).await
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        _op: OpToken,
    ) -> Result<()> {
        let change = move |slot: &mut Slot, now| slot.touch(BACKEND, ttl, incarnation, now);
        self.engine.change(Operation::Touch, *key.digest(), Needs::Record, None, change).await
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, _op: OpToken) -> Result<()> {
        let (digest, operation) = (*key.digest(), Operation::Delete);
        let expected = Expectation::of(expected, operation)?;
        let (own, anything) = (expected.token(), matches!(expected, Expectation::Any));
        let change = move |slot: &mut Slot, now| slot.delete(BACKEND, expected.as_expected(), now);
        let deleted = self.engine.change(operation, digest, Needs::Both, own, change).await;
        match deleted {
            // There is nothing to compare, and nothing is to be compared.
            Err(error) if anything && error.kind() == ErrorKind::Corrupt => {
                let erase = move |section: &Section<'_>| {
                    section.erase().map_err(|fault| fault.into_error(operation))
                };
                self.engine.locked(operation, digest, erase).await
            }
            deleted => deleted,
        }
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        let refuse = |kind| Error::new(kind, BACKEND, Operation::Lock);
        let deadline = instant_after(request.wait);
        let turn = match self.engine.queue.enter(key.digest(), deadline).await {
            Ok(turn) => turn,
            Err(QueueError::Full) => return Err(refuse(ErrorKind::TooManyWaiters)),
            Err(_) => return Err(refuse(ErrorKind::LockTimeout)),
        };
        let mut pause = Jitter::new(POLLS.0, POLLS.1);
        loop {
            let held = match self.try_lock(key, request).await? {
                Ok(grant) => return Ok(grant.accept()),
                Err(held) => held,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(refuse(ErrorKind::LockTimeout).with_retry_after(Some(held)));
            }
            turn.wait(pause.pause().min(held).min(left)).await;
        }
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        let (lease, own) = (lease.clone(), Some(lease.token()));
        let change = move |slot: &mut Slot, now| slot.renew(BACKEND, &lease, duration, now);
        self.engine.change(Operation::Renew, *key.digest(), Needs::Lease, own, change).await
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        let (lease, own) = (lease.clone(), Some(lease.token()));
        let change = move |slot: &mut Slot, _| {
            slot.release(&lease);
            Ok(())
        };
        self.engine.change(Operation::Release, *key.digest(), Needs::Lease, own, change).await
    }

    async fn sweep(&self, cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport> {
        let started = StdInstant::now();
        let mut report = SweepReport::default();
        let mut at = sweep::position_of(cursor);
        loop {
            let time = budget.max_time.saturating_sub(started.elapsed());
            let count = budget.max_scanned.max(1) - report.scanned;
            at = self.sweep_piece(at, Bounds { count, time: time.min(PIECE) }, &mut report).await?;
            let spent = started.elapsed() >= budget.max_time;
            if at.is_none() || spent || report.scanned >= budget.max_scanned {
                report.next = sweep::cursor_of(at);
                return Ok(report);
            }
        }
    }

    async fn ping(&self) -> Result<()> {
        self.engine.read(Operation::Ping, |vault| vault.tree.server_time().map(drop)).await
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        None
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        Some(self)
    }
}

impl FilesStore {
    async fn sweep_piece(
        &self,
        after: sweep::Position,
        bounds: Bounds,
        report: &mut SweepReport,
    ) -> Result<sweep::Position> {
        let operation = Operation::Sweep;
        let engine = Arc::clone(&self.engine);
        let piece = self.engine.read(operation, move |vault| {
            sweep::sweep_piece(vault, after, bounds, |found| {
                engine.if_free(&found.digest, |section| found.clean(section))
            })
        });
        let piece = piece.await?;
        sweep::add(report, &piece.report);
        for found in piece.busy {
            let digest = found.digest;
            let clean = move |section: &Section<'_>| {
                found.clean(section).map_err(|fault| fault.into_error(operation))
            };
            sweep::count(report, self.engine.locked(operation, digest, clean).await);
        }
        Ok(piece.next)
    }
}

#[async_trait]
impl Enumeration for FilesStore {
    async fn keys(&self, cursor: Option<&Cursor>, limit: usize) -> Result<KeyPage> {
        let mut keys = Vec::new();
        let mut at = sweep::position_of(cursor);
        loop {
            let bounds = Bounds { count: limit.max(1) - keys.len(), time: PIECE };
            let page = move |vault: &_| sweep::page(vault, at, bounds);
            let (found, next) = self.engine.read(Operation::Enumerate, page).await?;
            keys.extend(found);
            if next.is_none() || keys.len() >= limit {
                return Ok(KeyPage::new(keys, sweep::cursor_of(next)));
            }
            at = next;
        }
    }
}

/// An [`Expected`] that can go to another thread.
#[derive(Debug)]
enum Expectation {
    Any,
    Incarnation(Incarnation),
    Revision(Revision),
    Lease { lease: Lease, revision: Revision, then: Then },
}

impl Expectation {
    fn of(expected: Expected<'_>, operation: Operation) -> Result<Self> {
        Ok(match expected {
            Expected::Any => Self::Any,
            Expected::Incarnation(incarnation) => Self::Incarnation(incarnation),
            Expected::Revision(revision) => Self::Revision(revision),
            Expected::Lease { lease, revision, then } => {
                Self::Lease { lease: lease.clone(), revision, then }
            }
            _ => return Err(Error::new(ErrorKind::Unsupported, BACKEND, operation)),
        })
    }

    const fn as_expected(&self) -> Expected<'_> {
        match self {
            Self::Any => Expected::Any,
            Self::Incarnation(incarnation) => Expected::Incarnation(*incarnation),
            Self::Revision(revision) => Expected::Revision(*revision),
            Self::Lease { lease, revision, then } => {
                Expected::Lease { lease, revision: *revision, then: *then }
            }
        }
    }

    fn token(&self) -> Option<OpToken> {
        match self {
            Self::Lease { lease, .. } => Some(lease.token()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use session_core::KeyDigest;

    use super::*;

    /// Cases L07 and L08 at the one point that no test from outside can aim at.
    #[tokio::test]
    async fn a_grant_that_reaches_nobody_is_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let store = FilesStore::open(directory.path()).await.unwrap();
        let key = Key::from_digest(KeyDigest::from_bytes([7; 32]));
        let hour = Duration::from_secs(3_600);
        let request = || LockRequest::new(OpToken::generate().unwrap(), hour, hour);
        let grant = store.try_lock(&key, request()).await.unwrap().ok().unwrap();
        assert!(store.try_lock(&key, request()).await.unwrap().is_err());
        drop(grant);
        let soon = Duration::from_secs(60);
        tokio::time::timeout(soon, store.lock(&key, request())).await.unwrap().unwrap();
    }
}
