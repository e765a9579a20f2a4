//! The move of one session, and of many.
//!
//! A move is made under the lock of the key in the new store, where there is no record yet: so two
//! servers do not move the same session, and a log-out does not fall between the copy and the
//! removal. The copy is locked until the record is gone from the old store, and taken back when it was
//! changed there meanwhile; so no change is lost.

use std::time::Duration;

use session_core::{
    Cursor, ErrorKind, Expected, Key, Lease, LockRequest, OpToken, Operation, Record, Result,
    Revision, SessionStore, Then, Under, Write,
};

use super::{Migrating, Phase, is_foreign};

/// A move is a matter of milliseconds; a server that dies in one blocks the session for so long.
const LEASE: Duration = Duration::from_secs(10);
/// Others wait for it a little longer.
const WAIT: Duration = Duration::from_secs(12);
/// How often a session may change while it is moved, in a store where nobody can be kept from it.
const MOST_CHANGES: usize = 16;

/// What one step of [`Migrating::carry_over`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Carried {
    /// Sessions that are in the new store now.
    pub moved: usize,
    /// Sessions that somebody holds; another walk finds them again.
    pub held: usize,
    /// Where the next step goes on; `None` at the end of the walk.
    pub next: Option<Cursor>,
}

impl<O: SessionStore, N: SessionStore> Migrating<O, N> {
    /// Moves up to `limit` sessions of the old store, whether or not anybody asks for them.
    ///
    /// Call it with the cursor of the last step until there is none. When a whole walk has moved and met
    /// nothing, the old store is empty, and the layer can go. Keys that are peppered
    /// ([`KeyHasher`](session_core::KeyHasher)) cannot be told from the ids of a PHP store: let its sessions
    /// move as they are used.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) in [`Phase::Prepare`], and when the old store cannot be
    /// enumerated. Otherwise those of the stores; what was moved stays so.
    pub async fn carry_over(&self, cursor: Option<&Cursor>, limit: usize) -> Result<Carried> {
        let walk = self.old.enumeration().filter(|_| self.phase == Phase::Move);
        let walk = walk.ok_or_else(|| self.error(ErrorKind::Unsupported, Operation::Enumerate))?;
        let page = walk.keys(cursor, limit).await?;
        let mut carried = Carried { next: page.next, ..Carried::default() };
        for key in page.keys {
            match self.carry_one(&key).await {
                Ok(moved) => carried.moved += usize::from(moved),
                Err(error) if error.kind() == ErrorKind::LockHeld => carried.held += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(carried)
    }

    async fn carry_one(&self, key: &Key) -> Result<bool> {
        let Some((lease, moved)) = self.try_hold(key).await? else {
            return Err(self.error(ErrorKind::LockHeld, Operation::Save));
        };
        let carried = match moved {
            // What a server left that died before it could remove it.
            Some(_) => {
                self.old.delete(key, Expected::Any, OpToken::generate()?).await.map(|()| false)
            }
            None => self.carry(key, &lease, None).await.map(|record| record.is_some()),
        };
        self.new.release(key, &lease).await?;
        carried
    }

    /// Saves a session that was not in the new store, if it is in the old one.
    pub(super) async fn save_moved(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        if self.old_record(key).await?.is_none() {
            return self.new.save(key, write, expected, op).await;
        }
        let (lease, moved) = self.hold(key, Operation::Save).await?;
        if moved.is_some() {
            self.new.release(key, &lease).await?;
            return self.new.save(key, write, expected, op).await;
        }
        let saved = self.save_under(key, write, expected, op, &lease).await;
        if saved.is_err() {
            self.new.release(key, &lease).await?;
        }
        saved
    }

    async fn save_under(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
        lease: &Lease,
    ) -> Result<Revision> {
        let carried = self.carry(key, lease, Some(expected)).await?;
        let record = carried.ok_or_else(|| self.error(ErrorKind::NotFound, Operation::Save))?;
        let (revision, then) = (record.revision, Then::Release);
        self.new.save(key, write, Expected::Lease { lease, revision, then }, op).await
    }

    /// Moves the session that the old store has, if it is as expected, under the lease of its key in
    /// the new store, and returns it as it is there.
    ///
    /// It waits for nobody: a lock in the old store is `LockHeld`, unless the expectation is one that
    /// wins over every lease.
    pub(super) async fn carry(
        &self,
        key: &Key,
        lease: &Lease,
        expected: Option<Expected<'_>>,
    ) -> Result<Option<Record>> {
        for _ in 0..MOST_CHANGES {
            let Some((found, held)) = self.grasp(key, expected).await? else { return Ok(None) };
            let carried = self.carry_found(key, lease, expected, &found, held.as_ref()).await;
            let Err(error) = carried else { return carried.map(Some) };
            self.give_back(&self.old, key, held.as_ref()).await?;
            let changed_meanwhile = error.kind() == ErrorKind::Conflict
                && self.removal(expected, &found, held.as_ref()).is_ok();
            if !changed_meanwhile {
                return Err(error);
            }
        }
        Err(self.error(ErrorKind::Conflict, Operation::Save))
    }

    async fn carry_found(
        &self,
        key: &Key,
        lease: &Lease,
        expected: Option<Expected<'_>>,
        found: &Record,
        held: Option<&Lease>,
    ) -> Result<Record> {
        let removal = self.removal(expected, found, held)?;
        if let Some(principal) = &found.meta.principal {
            // A session must not outrun a revocation by moving to where nobody knows of it.
            self.same_epoch(principal).await?;
        }
        let write = Write::new(found.payload.clone(), found.remaining).with_meta(found.meta);
        let under = Under::new(lease, Then::Keep);
        let revision = self.new.create(key, write, OpToken::generate()?, Some(under)).await?;
        match self.old.delete(key, removal, OpToken::generate()?).await {
            // If it may still be there: nobody looks at it any more, as long as there is the copy.
            Err(error) if !error.maybe_applied() => {
                let copy = Expected::Lease { lease, revision, then: Then::Keep };
                self.new.delete(key, copy, OpToken::generate()?).await?;
                Err(error)
            }
            _ => Ok(Record::new(found.payload.clone(), found.meta, revision, found.remaining)),
        }
    }

    /// What the old store has, and its lock, so that nobody works on what is about to go.
    async fn grasp(
        &self,
        key: &Key,
        expected: Option<Expected<'_>>,
    ) -> Result<Option<(Record, Option<Lease>)>> {
        let alone = |record: Option<Record>| record.map(|record| (record, None));
        if !self.old.capabilities().locking.is_yes() {
            return self.old_record(key).await.map(alone);
        }
        let request = LockRequest::new(OpToken::generate()?, LEASE, Duration::ZERO);
        match self.old.lock(key, request).await {
            Ok(locked) => match locked.record {
                Some(record) => Ok(Some((record, locked.lease))),
                None => self.give_back(&self.old, key, locked.lease.as_ref()).await.map(|()| None),
            },
            Err(error) if is_foreign(&error) => Ok(None),
            Err(error) if error.kind() != ErrorKind::LockTimeout => Err(error),
            Err(_) if matches!(expected, Some(Expected::Any | Expected::Incarnation(_))) => {
                self.old_record(key).await.map(alone)
            }
            Err(error) => {
                let held = self.error(ErrorKind::LockHeld, Operation::Save);
                Err(held.with_retry_after(error.retry_after()))
            }
        }
    }

    /// How the record is removed that was found, if it is as expected.
    fn removal<'a>(
        &self,
        expected: Option<Expected<'_>>,
        found: &Record,
        held: Option<&'a Lease>,
    ) -> Result<Expected<'a>> {
        let revision = found.revision;
        let (matches, unheld) = match expected {
            None => (true, Expected::Revision(revision)),
            Some(Expected::Any) => (true, Expected::Any),
            Some(Expected::Incarnation(expected)) => {
                (expected == revision.incarnation(), Expected::Incarnation(expected))
            }
            Some(Expected::Revision(expected)) => {
                (expected == revision, Expected::Revision(revision))
            }
            // Leases are of the new store, and none is given for a session that is not there.
            Some(_) => return Err(self.error(ErrorKind::LockLost, Operation::Save)),
        };
        if !matches {
            let error = self.error(ErrorKind::Conflict, Operation::Save);
            return Err(error.with_current(Some(found.clone())));
        }
        Ok(held.map_or(unheld, |lease| Expected::Lease { lease, revision, then: Then::Release }))
    }

    /// The lock of a key in the new store, and what is there by then.
    pub(super) async fn hold(
        &self,
        key: &Key,
        operation: Operation,
    ) -> Result<(Lease, Option<Record>)> {
        self.hold_within(key, WAIT).await?.ok_or_else(|| self.error(ErrorKind::LockHeld, operation))
    }

    async fn try_hold(&self, key: &Key) -> Result<Option<(Lease, Option<Record>)>> {
        self.hold_within(key, Duration::ZERO).await
    }

    async fn hold_within(
        &self,
        key: &Key,
        wait: Duration,
    ) -> Result<Option<(Lease, Option<Record>)>> {
        let request = LockRequest::new(OpToken::generate()?, LEASE, wait);
        match self.new.lock(key, request).await {
            Ok(locked) => Ok(locked.lease.map(|lease| (lease, locked.record))),
            Err(error) if error.kind() == ErrorKind::LockTimeout => Ok(None),
            Err(error) => Err(error),
        }
    }
}
