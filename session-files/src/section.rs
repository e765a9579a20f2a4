//! One operation on one key: read what is stored, apply the commit rule, write what changed.
//!
//! A [`Section`] exists while the key is locked (see `locks.rs`), so nobody else is here. Each
//! change is a single step of the file system, and they come in an order that leaves a whole
//! record and at worst a lease that lapses, at whatever instruction the process is killed.

use std::time::Duration;

use nix::sys::time::TimeSpec;
use session_core::{
    Holder, KeyDigest, OpToken, Operation, Record, Result, Slot, StoredRecord, Timestamp,
};

use crate::{
    claims::Claims,
    config::{Commit, Durability},
    fault::{Fault, Outcome},
    gates::Gates,
    layout::{Place, deadline_of, mtime_of, timestamp_of},
    lease_file::LeaseFile,
    record_file,
    time::Time,
    tree::{Tree, fill, was_replaced},
};

/// What an operation reads besides its own arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Record,
    Lease,
    Both,
}

/// The tree and the clock of a store.
#[derive(Debug)]
pub(crate) struct Vault {
    pub(crate) tree: Tree,
    pub(crate) time: Time,
    pub(crate) commit: Commit,
    gates: Gates,
}

/// What was found of a record without a lock.
#[derive(Debug)]
pub(crate) enum Seen {
    /// What is there, if it is live.
    Now(Option<Record>),
    /// There was no file, or another one at each look. On a network mount another process may be
    /// about to replace it; whoever holds the key's lock knows.
    Unsettled,
}

impl Vault {
    pub(crate) fn new(tree: Tree, time: Time, commit: Commit) -> Self {
        let gates = Gates::new(tree.is_shared);
        Self { tree, time, commit, gates }
    }

    /// Reads a key's record; no lock is needed, since a record's file is replaced in one step.
    pub(crate) fn load(&self, digest: &KeyDigest) -> Outcome<Seen> {
        let place = Place::of(digest);
        if self.commit == Commit::HardLink {
            return Claims::new(self, digest, &place).load().map(Seen::Now);
        }
        let now = self.time.now(&self.tree);
        self.tree.freshen(place.directory())?;
        match self.read_record(&place, digest, now) {
            Ok(None) if self.tree.is_shared => Ok(Seen::Unsettled),
            Err(Fault::Io(error)) if was_replaced(&error) => Ok(Seen::Unsettled),
            Ok(record) => Ok(Seen::Now(Slot::new(record, None).load(now))),
            Err(fault) => Err(fault),
        }
    }

    fn read_record(
        &self,
        place: &Place,
        digest: &KeyDigest,
        now: Timestamp,
    ) -> Outcome<Option<StoredRecord>> {
        let reading = self.gates.reading(digest);
        let Some((bytes, mtime)) = self.tree.read(&place.record())? else { return Ok(None) };
        drop(reading);
        let deadline = deadline_of(mtime);
        match record_file::decode(digest, bytes, deadline) {
            Ok(record) => Ok(Some(record)),
            // What has expired is absent, readable or not.
            Err(_damage) if deadline.has_passed(now) => Ok(None),
            Err(damage) => Err(Fault::Damage(damage)),
        }
    }
}

/// The one operation that is at a key.
pub(crate) struct Section<'a> {
    vault: &'a Vault,
    digest: &'a KeyDigest,
    place: Place,
}

/// A lease's file as it was found.
enum Found {
    Nothing,
    /// Its writer was stopped in the middle.
    Torn,
    Lease {
        file: LeaseFile,
        stamp: Timestamp,
    },
}

/// What is stored under a key, and what the time was when it was read.
struct Before {
    record: Option<StoredRecord>,
    lease: Found,
    holder: Option<Holder>,
    now: Timestamp,
}

impl<'a> Section<'a> {
    /// The caller holds the key's locks.
    pub(crate) fn new(vault: &'a Vault, digest: &'a KeyDigest) -> Self {
        Self { vault, digest, place: Place::of(digest) }
    }

    /// Applies `change` to the key's slot and writes what is different afterwards. Also tells
    /// whether a lock came free by it.
    ///
    /// `own` is the token that the caller presents: whether *his* lease has lapsed does not matter
    /// to the rule, so the time need not be asked for.
    pub(crate) fn change<T>(
        &self,
        operation: Operation,
        needs: Needs,
        own: Option<OpToken>,
        change: impl Fn(&mut Slot, Timestamp) -> Result<T>,
    ) -> (Result<T>, bool) {
        if let Some(claims) = self.claims() {
            return claims.change(operation, &change);
        }
        let told = |fault: Fault| fault.into_error(operation);
        let before = match self.read(needs, own) {
            Ok(before) => before,
            Err(fault) => return (Err(told(fault)), false),
        };
        let mut slot = Slot::new(before.record.clone(), before.holder);
        let outcome = match change(&mut slot, before.now) {
            Ok(outcome) => outcome,
            Err(refusal) => return (Err(refusal), false),
        };
        let written = match self.write_record(&before, slot.record.as_ref()) {
            Ok(written) => written,
            Err(fault) => return (Err(told(fault)), false),
        };
        match self.settle(written).and_then(|()| self.write_lease(&before, slot.holder)) {
            Ok(()) => (Ok(outcome), before.holder.is_some() && slot.holder.is_none()),
            Err(fault) if written => (Err(told(fault).with_maybe_applied()), false),
            Err(fault) => (Err(told(fault)), false),
        }
    }

    /// Where commits do without locks.
    pub(crate) fn claims(&self) -> Option<Claims<'_>> {
        let by_links = self.vault.commit == Commit::HardLink;
        by_links.then(|| Claims::new(self.vault, self.digest, &self.place))
    }

    /// The live record.
    pub(crate) fn load(&self) -> Outcome<Option<Record>> {
        let before = self.read(Needs::Record, None)?;
        Ok(Slot::new(before.record, None).load(before.now))
    }

    /// Removes whatever is stored under the key.
    pub(crate) fn erase(&self) -> Outcome<()> {
        if let Some(claims) = self.claims() {
            return claims.erase();
        }
        let _replacing = self.vault.gates.replacing(self.digest);
        let removed = self.vault.tree.remove(&self.place.record())?;
        self.vault.tree.remove(&self.place.lease())?;
        self.settle(removed)
    }

    /// Removes the record if its deadline has passed, without reading it; returns how long ago.
    pub(crate) fn remove_expired_record(&self) -> Outcome<Option<Duration>> {
        let status = self.vault.tree.status_now(&self.place.record())?;
        let Some(status) = status else { return Ok(None) };
        let (now, deadline) = (self.vault.time.now(&self.vault.tree), deadline_of(status.mtime));
        if !status.is_file || !deadline.has_passed(now) {
            return Ok(None);
        }
        let _replacing = self.vault.gates.replacing(self.digest);
        self.vault.tree.remove(&self.place.record())?;
        Ok(deadline.timestamp().map(|ended| now.since(ended)))
    }

    /// Removes a lease whose key has no record, unless it is live. Beside a record a lapsed lease
    /// still has a meaning: its holder may commit as long as nobody took it.
    pub(crate) fn remove_stray_lease(&self) -> Outcome<()> {
        if self.vault.tree.status_now(&self.place.record())?.is_some() {
            return Ok(());
        }
        let now = self.vault.time.now(&self.vault.tree);
        let holder = self.holder(&self.read_lease()?, None, now)?;
        if !holder.is_some_and(|holder| holder.is_live(now)) {
            self.vault.tree.remove(&self.place.lease())?;
        }
        Ok(())
    }

    /// Removes a temporary file of this key. Whoever wrote it is gone, or he would hold the lock.
    pub(crate) fn remove_stray_temp(&self, name: &str) -> Outcome<()> {
        self.vault.tree.remove(&format!("{}/{name}", self.place.directory()))?;
        Ok(())
    }

    fn read(&self, needs: Needs, own: Option<OpToken>) -> Outcome<Before> {
        let now = self.vault.time.now(&self.vault.tree);
        self.vault.tree.freshen(self.place.directory())?;
        let record = match needs {
            Needs::Lease => None,
            _ => self.vault.read_record(&self.place, self.digest, now)?,
        };
        let lease = if needs == Needs::Record { Found::Nothing } else { self.read_lease()? };
        let holder = self.holder(&lease, own, now)?;
        Ok(Before { record, lease, holder, now })
    }

    fn read_lease(&self) -> Outcome<Found> {
        let Some((bytes, mtime)) = self.vault.tree.read(&self.place.lease())? else {
            return Ok(Found::Nothing);
        };
        let file = LeaseFile::decode(self.digest, &bytes).map_err(Fault::Damage)?;
        let stamp = timestamp_of(mtime);
        Ok(file.map_or(Found::Torn, |file| Found::Lease { file, stamp }))
    }

    /// The holder by a lease's file, with the end of his lease in terms of `now`.
    fn holder(
        &self,
        lease: &Found,
        own: Option<OpToken>,
        now: Timestamp,
    ) -> Outcome<Option<Holder>> {
        let Found::Lease { file, stamp } = lease else { return Ok(None) };
        if own == Some(file.token) {
            return Ok(Some(Holder::new(file.token, Timestamp::default())));
        }
        let remaining = self.remaining(file, *stamp, now)?;
        Ok(Some(Holder::new(file.token, now.after(remaining))))
    }

    /// How long a lease lasts. It is found to have lapsed only by the clock that stamped it.
    fn remaining(&self, file: &LeaseFile, stamp: Timestamp, now: Timestamp) -> Outcome<Duration> {
        // A coarse stamp may lie before the grant by up to one unit.
        let slack = Duration::from_millis(self.vault.tree.granularity - 1);
        let left = |now| stamp.after(file.duration).after(slack).since(now);
        if !left(now).is_zero() && stamp <= now {
            return Ok(left(now));
        }
        let exactly = self.vault.time.exactly(&self.vault.tree)?;
        if stamp <= exactly {
            return Ok(left(exactly));
        }
        // The file server's clock was set back. Without this the lease might never end.
        self.stamp_lease()?;
        Ok(file.duration)
    }

    /// Returns whether a record was written or removed.
    fn write_record(&self, before: &Before, after: Option<&StoredRecord>) -> Outcome<bool> {
        let tree = &self.vault.tree;
        let _replacing = self.vault.gates.replacing(self.digest);
        match (&before.record, after) {
            (None, None) => Ok(false),
            (Some(_), None) => tree.remove(&self.place.record()),
            (Some(old), Some(new)) if old.revision() == new.revision() => {
                if old.deadline != new.deadline {
                    tree.set_mtime(&self.place.record(), mtime_of(new.deadline, tree.granularity))?;
                }
                Ok(false)
            }
            (_, Some(new)) => {
                let bytes = record_file::encode(self.digest, new);
                let mtime = mtime_of(new.deadline, tree.granularity);
                tree.replace_record(&self.place, &bytes, mtime)?;
                Ok(true)
            }
        }
    }

    fn settle(&self, written: bool) -> Outcome<()> {
        if written { self.vault.tree.settle(self.place.directory()) } else { Ok(()) }
    }

    fn write_lease(&self, before: &Before, after: Option<Holder>) -> Outcome<()> {
        if before.holder == after {
            return Ok(());
        }
        let path = self.place.lease();
        let Some(holder) = after else { return self.vault.tree.remove(&path).map(drop) };
        let duration = holder.until.since(before.now);
        let new = LeaseFile { token: holder.token, duration };
        let file = match &before.lease {
            Found::Lease { file, .. } if *file == new => return self.stamp_lease(),
            Found::Nothing => self.vault.tree.create_new(&self.place, &path)?,
            _ => self.vault.tree.open_existing(&path)?,
        };
        fill(file, &new.encode(self.digest), self.vault.time.stamp(), Durability::None)
    }

    fn stamp_lease(&self) -> Outcome<()> {
        let stamp: TimeSpec = self.vault.time.stamp();
        self.vault.tree.set_mtime(&self.place.lease(), stamp)
    }
}
