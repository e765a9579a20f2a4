//! The commit rule as plain data and plain functions, without I/O.
//!
//! A [`Slot`] is everything that belongs to one key. Stores that decide in their own process load
//! a slot, apply one of its methods while nobody else can, and write back what changed.

mod ops;

use std::{fmt, time::Duration};

use bytes::Bytes;

pub use self::ops::{REMEMBERED_OPS, RecentOps};
use crate::{
    Deadline, Error, ErrorKind, Expected, Incarnation, Lease, Lineage, Meta, OpToken, Operation,
    Record, Result, Revision, Then, Timestamp, Ttl, Under, Write,
};

/// A record as it is stored: what a [`Record`] shows, and what the commit rule needs.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRecord {
    /// The payload.
    pub payload: Bytes,
    /// The meta.
    pub meta: Meta,
    /// The incarnation.
    pub incarnation: Incarnation,
    /// One for each commit, from one on.
    pub version: u64,
    /// The tokens of the last commits.
    pub ops: RecentOps,
    /// The moment from which the record is absent.
    pub deadline: Deadline,
}

impl StoredRecord {
    /// A record read back from a store.
    #[must_use]
    pub const fn new(
        payload: Bytes,
        meta: Meta,
        incarnation: Incarnation,
        version: u64,
        ops: RecentOps,
        deadline: Deadline,
    ) -> Self {
        Self { payload, meta, incarnation, version, ops, deadline }
    }

    /// The revision.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        Revision::counted(self.incarnation, self.version)
    }

    /// What a caller sees of the record.
    #[must_use]
    pub fn to_record(&self, now: Timestamp) -> Record {
        let remaining = self.deadline.remaining(now);
        Record::new(self.payload.clone(), self.meta, self.revision(), remaining)
    }

    fn created(write: Write, op: OpToken, now: Timestamp) -> Result<Self> {
        let ops = RecentOps::from_iter([op]);
        Ok(Self::written(write, Incarnation::generate()?, 1, ops, now))
    }

    fn written(
        write: Write,
        incarnation: Incarnation,
        version: u64,
        ops: RecentOps,
        now: Timestamp,
    ) -> Self {
        let deadline = Deadline::after(now, write.ttl, write.meta.absolute_deadline);
        Self::new(write.payload, write.meta, incarnation, version, ops, deadline)
    }

    fn committed(&self, write: Write, op: OpToken, now: Timestamp) -> Result<Self> {
        if write.lineage == Lineage::Restart {
            return Self::created(write, op, now);
        }
        let mut ops = self.ops;
        ops.push(op);
        Ok(Self::written(write, self.incarnation, self.version.saturating_add(1), ops, now))
    }

    /// The revision that the commit named `op` led to, if it is remembered.
    fn revision_of(&self, op: OpToken) -> Option<Revision> {
        let newer = self.ops.iter().rev().position(|known| *known == op)?;
        let version = self.version.checked_sub(u64::try_from(newer).ok()?)?;
        Some(Revision::counted(self.incarnation, version))
    }
}

impl fmt::Debug for StoredRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredRecord")
            .field("payload_len", &self.payload.len())
            .field("meta", &self.meta)
            .field("revision", &self.revision())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Who holds a lock, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The token of the lease.
    pub token: OpToken,
    /// When the lease lapses unless it is renewed.
    pub until: Timestamp,
}

impl Holder {
    /// The holder of a lease that lasts `until` then.
    #[must_use]
    pub const fn new(token: OpToken, until: Timestamp) -> Self {
        Self { token, until }
    }

    /// Whether the lease still excludes others.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.until
    }

    fn remaining(&self, now: Timestamp) -> Duration {
        self.until.since(now)
    }
}

/// Everything that belongs to one key: the record and the lock.
///
/// Each method is one operation of [`SessionStore`](crate::SessionStore) at the instant `now`. A
/// method that fails leaves the slot as it was, but for records that have expired, which go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Slot {
    /// The record, if there is one.
    pub record: Option<StoredRecord>,
    /// The holder of the lock, lapsed or not.
    pub holder: Option<Holder>,
}

/// What [`Slot::lock`] decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockOutcome {
    /// The lock is the caller's.
    Granted,
    /// Somebody else holds it, for so much longer if he does not renew it.
    Held(Duration),
}

impl Slot {
    /// A slot read back from a store.
    #[must_use]
    pub const fn new(record: Option<StoredRecord>, holder: Option<Holder>) -> Self {
        Self { record, holder }
    }

    /// Whether there is nothing left to store.
    #[must_use]
    pub fn is_vacant(&self, now: Timestamp) -> bool {
        self.live(now).is_none() && !self.holder.is_some_and(|holder| holder.is_live(now))
    }

    /// The live record.
    #[must_use]
    pub fn load(&self, now: Timestamp) -> Option<Record> {
        self.live(now).map(|record| record.to_record(now))
    }

    /// Forgets the record if it has expired; returns when it did.
    pub fn expire(&mut self, now: Timestamp) -> Option<Timestamp> {
        let expired = self.record.take_if(|record| record.deadline.has_passed(now));
        expired.and_then(|record| record.deadline.timestamp())
    }

    /// Creates the record; see [`SessionStore::create`](crate::SessionStore::create).
    ///
    /// # Errors
    /// `AlreadyExists`, `LockHeld`, `LockLost`.
    pub fn create(
        &mut self,
        backend: &'static str,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
        now: Timestamp,
    ) -> Result<Revision> {
        let refuse = |kind| Error::new(kind, backend, Operation::Create);
        if let Some(record) = self.live(now) {
            return record.revision_of(op).ok_or_else(|| refuse(ErrorKind::AlreadyExists));
        }
        match (under, self.holder) {
            (Some(under), Some(holder)) if holder.token == under.lease.token() => {}
            (Some(_), _) => return Err(refuse(ErrorKind::LockLost)),
            (None, Some(holder)) if holder.is_live(now) => return Err(held(refuse, holder, now)),
            (None, _) => self.holder = None,
        }
        let record = StoredRecord::created(write, op, now)?;
        let revision = record.revision();
        self.put(record, under.is_some_and(|under| under.then == Then::Release), now);
        Ok(revision)
    }

    /// Replaces the record; see [`SessionStore::save`](crate::SessionStore::save).
    ///
    /// # Errors
    /// `NotFound`, `LockHeld`, `LockLost`, `Conflict`.
    pub fn save(
        &mut self,
        backend: &'static str,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
        now: Timestamp,
    ) -> Result<Revision> {
        let refuse = |kind| Error::new(kind, backend, Operation::Save);
        let Some(record) = self.live(now) else { return Err(refuse(ErrorKind::NotFound)) };
        if let Some(revision) = record.revision_of(op) {
            // The commit happened. Its release did too, unless a renewal crossed it.
            return Ok(revision);
        }
        let release = self.check(expected, refuse, now)?;
        let next = record.committed(write, op, now)?;
        let revision = next.revision();
        self.put(next, release, now);
        Ok(revision)
    }

    /// Extends the record's life; see [`SessionStore::touch`](crate::SessionStore::touch).
    ///
    /// # Errors
    /// `NotFound`, `Conflict`.
    pub fn touch(
        &mut self,
        backend: &'static str,
        ttl: Ttl,
        incarnation: Incarnation,
        now: Timestamp,
    ) -> Result<()> {
        let refuse = |kind| Error::new(kind, backend, Operation::Touch);
        if self.live(now).is_none() {
            return Err(refuse(ErrorKind::NotFound));
        }
        match &mut self.record {
            Some(record) if record.incarnation == incarnation => {
                let later = Deadline::after(now, ttl, record.meta.absolute_deadline);
                record.deadline = record.deadline.max(later);
                Ok(())
            }
            record => Err(refuse(ErrorKind::Conflict)
                .with_current(record.as_ref().map(|record| record.to_record(now)))),
        }
    }

    /// Removes the record; see [`SessionStore::delete`](crate::SessionStore::delete).
    ///
    /// # Errors
    /// `Conflict`, `LockHeld`, `LockLost`.
    pub fn delete(
        &mut self,
        backend: &'static str,
        expected: Expected<'_>,
        now: Timestamp,
    ) -> Result<()> {
        let refuse = |kind| Error::new(kind, backend, Operation::Delete);
        if self.live(now).is_none() {
            match expected {
                Expected::Lease { lease, then: Then::Release, .. } => self.release(lease),
                Expected::Any => self.holder = None,
                _ => {}
            }
            self.record = None;
            return Ok(());
        }
        let release = self.check(expected, refuse, now)?;
        self.record = None;
        if release {
            self.holder = None;
        }
        Ok(())
    }

    /// Takes the lock if it is free; see [`SessionStore::lock`](crate::SessionStore::lock).
    pub fn lock(&mut self, op: OpToken, lease: Duration, now: Timestamp) -> LockOutcome {
        match self.holder {
            Some(holder) if holder.token != op && holder.is_live(now) => {
                LockOutcome::Held(holder.remaining(now))
            }
            _ => {
                self.holder = Some(Holder::new(op, now.after(lease)));
                LockOutcome::Granted
            }
        }
    }

    /// Renews a lease; see [`SessionStore::renew`](crate::SessionStore::renew).
    ///
    /// # Errors
    /// `LockLost`.
    pub fn renew(
        &mut self,
        backend: &'static str,
        lease: &Lease,
        duration: Duration,
        now: Timestamp,
    ) -> Result<()> {
        match &mut self.holder {
            Some(holder) if holder.token == lease.token() => {
                holder.until = now.after(duration);
                Ok(())
            }
            _ => Err(Error::new(ErrorKind::LockLost, backend, Operation::Renew)),
        }
    }

    /// Frees the lock if the lease holds it; see [`SessionStore::release`](crate::SessionStore::release).
    pub fn release(&mut self, lease: &Lease) {
        if self.holder.is_some_and(|holder| holder.token == lease.token()) {
            self.holder = None;
        }
    }

    fn live(&self, now: Timestamp) -> Option<&StoredRecord> {
        self.record.as_ref().filter(|record| !record.deadline.has_passed(now))
    }

    /// Checks the expectation against a live record; returns whether the write frees the lock.
    fn check(
        &self,
        expected: Expected<'_>,
        refuse: impl Fn(ErrorKind) -> Error,
        now: Timestamp,
    ) -> Result<bool> {
        let (matches, release) = match (expected, self.holder) {
            (Expected::Any, _) => (true, true),
            (Expected::Incarnation(incarnation), _) => {
                (self.is_at(|at| at.incarnation() == incarnation), true)
            }
            (Expected::Revision(_), Some(holder)) if holder.is_live(now) => {
                return Err(held(refuse, holder, now));
            }
            (Expected::Revision(revision), _) => (self.is_at(|at| at == revision), true),
            (Expected::Lease { lease, revision, then }, Some(holder))
                if holder.token == lease.token() =>
            {
                (self.is_at(|at| at == revision), then == Then::Release)
            }
            (Expected::Lease { .. }, _) => return Err(refuse(ErrorKind::LockLost)),
        };
        if !matches {
            let current = self.record.as_ref().map(|record| record.to_record(now));
            return Err(refuse(ErrorKind::Conflict).with_current(current));
        }
        Ok(release)
    }

    fn is_at(&self, expected: impl FnOnce(Revision) -> bool) -> bool {
        self.record.as_ref().is_some_and(|record| expected(record.revision()))
    }

    fn put(&mut self, record: StoredRecord, release: bool, now: Timestamp) {
        self.record = (!record.deadline.has_passed(now)).then_some(record);
        if release {
            self.holder = None;
        }
    }
}

fn held(refuse: impl Fn(ErrorKind) -> Error, holder: Holder, now: Timestamp) -> Error {
    refuse(ErrorKind::LockHeld).with_retry_after(Some(holder.remaining(now)))
}
