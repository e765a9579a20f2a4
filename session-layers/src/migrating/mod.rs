//! Sessions on their way from one store to another.

mod carry;
mod index;
mod promises;

use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Capabilities, Cursor, Enumeration, Error, ErrorKind, Expected, Incarnation, Jitter, Key, Lease,
    LockAbsent, LockRequest, Locked, OpToken, Operation, PrincipalIndex, ReadOptions, Record,
    Result, Revision, SessionStore, StoreFuture, SweepBudget, SweepReport, Ttl, Under, Write,
    instant_after,
};
use tokio::time::Instant;

pub use self::carry::Carried;

/// How long a waiter for a lock of the old store pauses, the first time.
const POLL: Duration = Duration::from_millis(5);
const LONGEST_POLL: Duration = Duration::from_millis(80);
/// How often the place of a session may change under somebody who locks it: it moves once.
const MOST_MOVES: usize = 4;

/// How far a fleet is with a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// New sessions and changes go to the old store. Sessions that another server has moved are
    /// found in the new one.
    Prepare,
    /// New sessions go to the new store, and a session of the old one is moved when it is changed
    /// or locked.
    Move,
}

#[doc = include_str!("migrating.md")]
#[derive(Debug)]
pub struct Migrating<O, N> {
    old: O,
    new: N,
    phase: Phase,
    capabilities: Capabilities,
}

impl<O: SessionStore, N: SessionStore> Migrating<O, N> {
    /// The sessions of `old` and `new`, on their way to `new`.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) when the new store cannot hold the lock of a key that
    /// has no record, which a move is made under, or has no room for what the old one keeps beside
    /// payloads.
    pub fn new(old: O, new: N, phase: Phase) -> Result<Self> {
        let (from, to) = (old.capabilities(), new.capabilities());
        let refuse = |detail| {
            let error = Error::new(ErrorKind::Unsupported, to.backend, Operation::Open);
            Err(error.with_detail(detail))
        };
        if !to.locking.is_yes() || to.lock_absent != LockAbsent::Held {
            return refuse("to move sessions, the new store must lock keys without a record");
        }
        if from.meta.is_yes() && !to.meta.is_yes() {
            return refuse("the new store has no room for the meta of the old one's sessions");
        }
        let capabilities = promises::of_both(from, to, phase);
        Ok(Self { old, new, phase, capabilities })
    }

    fn error(&self, kind: ErrorKind, operation: Operation) -> Error {
        Error::new(kind, self.capabilities.backend, operation)
    }

    /// What the old store has; nothing under a key that cannot be one of its own.
    async fn old_record(&self, key: &Key) -> Result<Option<Record>> {
        match self.old.load(key, ReadOptions::latest()).await {
            Err(error) if is_foreign(&error) => Ok(None),
            found => found,
        }
    }

    /// Does something where the session is. Sessions only move to the new store, so the second look
    /// there is the last one.
    async fn wherever<'a, T: Send>(
        &'a self,
        call: impl Fn(&'a dyn SessionStore) -> StoreFuture<'a, T> + Send + Sync,
    ) -> Result<T> {
        match call(&self.new).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            outcome => return outcome,
        }
        match call(&self.old).await {
            Err(error) if error.kind() == ErrorKind::NotFound || is_foreign(&error) => {}
            outcome => return outcome,
        }
        call(&self.new).await
    }

    async fn lock_prepared(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        let deadline = instant_after(request.wait);
        for _ in 0..MOST_MOVES {
            let request = LockRequest::new(request.op, request.lease, left(deadline));
            if self.new.load(key, ReadOptions::latest()).await?.is_some() {
                let locked = self.new.lock(key, request).await?;
                if locked.record.is_some() {
                    return Ok(locked);
                }
                self.give_back(&self.new, key, locked.lease.as_ref()).await?;
            }
            let locked = self.old.lock(key, request).await?;
            let moved = locked.record.is_none()
                && self.new.load(key, ReadOptions::latest()).await?.is_some();
            if !moved {
                return Ok(locked);
            }
            self.give_back(&self.old, key, locked.lease.as_ref()).await?;
        }
        Err(self.error(ErrorKind::LockTimeout, Operation::Lock))
    }

    async fn lock_moved(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        let deadline = instant_after(request.wait);
        let mut pause = Jitter::new(POLL, LONGEST_POLL);
        loop {
            let request = LockRequest::new(request.op, request.lease, left(deadline));
            let locked = self.new.lock(key, request).await?;
            let (Some(lease), None) = (&locked.lease, &locked.record) else { return Ok(locked) };
            let error = match self.carry(key, lease, None).await {
                Ok(record) => return Ok(Locked::new(locked.lease, record)),
                Err(error) => error,
            };
            self.new.release(key, lease).await?;
            let left = left(deadline);
            match error.kind() {
                // Somebody holds it in the old store, where he began.
                ErrorKind::LockHeld if !left.is_zero() => {
                    tokio::time::sleep(pause.pause().min(left)).await;
                }
                ErrorKind::LockHeld => {
                    let timeout = self.error(ErrorKind::LockTimeout, Operation::Lock);
                    return Err(timeout.with_retry_after(error.retry_after()));
                }
                _ => return Err(error),
            }
        }
    }

    async fn give_back(
        &self,
        store: &dyn SessionStore,
        key: &Key,
        lease: Option<&Lease>,
    ) -> Result<()> {
        match lease {
            Some(lease) => store.release(key, lease).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl<O: SessionStore, N: SessionStore> SessionStore for Migrating<O, N> {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        let taken = match self.phase {
            Phase::Prepare => self.new.load(key, ReadOptions::latest()).await?,
            Phase::Move => self.old_record(key).await?,
        };
        if taken.is_some() {
            return Err(self.error(ErrorKind::AlreadyExists, Operation::Create));
        }
        match self.phase {
            Phase::Prepare => self.old.create(key, write, op, under).await,
            Phase::Move => self.new.create(key, write, op, under).await,
        }
    }

    async fn load(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        if let Some(record) = self.new.load(key, options).await? {
            return Ok(Some(record));
        }
        match self.old.load(key, options).await {
            Ok(None) => self.new.load(key, ReadOptions::latest()).await,
            Err(error) if is_foreign(&error) => Ok(None),
            found => found,
        }
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        match self.phase {
            Phase::Prepare => {
                self.wherever(|store| store.save(key, write.clone(), expected, op)).await
            }
            Phase::Move => match self.new.save(key, write.clone(), expected, op).await {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.save_moved(key, write, expected, op).await
                }
                outcome => outcome,
            },
        }
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        op: OpToken,
    ) -> Result<()> {
        self.wherever(|store| store.touch(key, ttl, incarnation, op)).await
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, op: OpToken) -> Result<()> {
        self.new.delete(key, expected, op).await?;
        if self.old_record(key).await?.is_some() {
            let (lease, moved) = self.hold(key, Operation::Delete).await?;
            let ended = match moved {
                Some(_) => Ok(()),
                None => self.old.delete(key, expected, op).await,
            };
            self.new.release(key, &lease).await?;
            ended?;
        }
        // It may have moved after the first look at the new store.
        self.new.delete(key, expected, op).await
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        match self.phase {
            Phase::Prepare => self.lock_prepared(key, request).await,
            Phase::Move => self.lock_moved(key, request).await,
        }
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        match self.new.renew(key, lease, duration).await {
            Err(error) if error.kind() == ErrorKind::LockLost && self.phase == Phase::Prepare => {
                self.old.renew(key, lease, duration).await
            }
            outcome => outcome,
        }
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        self.new.release(key, lease).await?;
        match self.phase {
            Phase::Prepare => self.old.release(key, lease).await,
            Phase::Move => Ok(()),
        }
    }

    async fn sweep(&self, cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport> {
        let (place, cursor) = index::place_of(cursor);
        let store: &dyn SessionStore = match place {
            index::Place::Old => &self.old,
            index::Place::New => &self.new,
        };
        let mut report = store.sweep(cursor.as_ref(), budget).await?;
        report.next = index::after(place, report.next);
        Ok(report)
    }

    async fn ping(&self) -> Result<()> {
        self.old.ping().await?;
        self.new.ping().await
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        let (old, new) = (self.old.principal_index(), self.new.principal_index());
        let whole = new.is_some() && (old.is_some() || self.phase == Phase::Move);
        whole.then_some(self)
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        self.old.enumeration().and(self.new.enumeration()).map(|_| self as &dyn Enumeration)
    }
}

/// What a store says of a key that cannot be one of its own: an id of another form, or none.
fn is_foreign(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidId | ErrorKind::Unsupported)
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
