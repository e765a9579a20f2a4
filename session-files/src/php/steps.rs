//! What a store does with a file, on a thread that may block.

use std::{fs, io, path::Path};

use session_core::{
    Capabilities, Clock, Error, ErrorKind, LockQueue, Operation, Record, Result, Revision,
    SystemClock, Timestamp, Ttl, Write,
};

use super::{
    PhpLayout,
    file::{self, Found, SessionFile, Share, Stamp, deadline, read, record},
    hold::{Hold, Holds, Kept},
};
use crate::{BACKEND, fault::Outcome, pool::Pool};

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) layout: PhpLayout,
    pub(super) clock: SystemClock,
    pub(super) pool: Pool,
    /// Who waits for a lock.
    pub(super) queue: LockQueue,
    /// Who writes without holding a lock.
    pub(super) writers: LockQueue,
    pub(super) holds: Holds,
    pub(super) capabilities: Capabilities,
}

/// What came of one try at a change.
pub(super) enum Tried<T> {
    Done(Result<T>),
    /// Somebody has the lock of the file, which was written or touched then.
    Busy(Timestamp),
}

/// What a reader has seen.
pub(super) enum Look {
    Sure(Option<Record>),
    /// Somebody may be writing.
    Unsure,
}

/// What came of one try at a lock.
pub(super) enum Taken {
    Held(SessionFile, Record),
    Absent,
    Busy,
}

impl Inner {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn stamp(&self, ttl: Ttl) -> Stamp {
        Stamp::of(ttl, self.layout.lifetime, self.now())
    }

    /// What a file holds, unless it has expired.
    fn live(&self, file: &fs::File) -> io::Result<Option<Record>> {
        let (metadata, now) = (file.metadata()?, self.now());
        let deadline = deadline(&metadata, self.layout.lifetime);
        if deadline.has_passed(now) {
            return Ok(None);
        }
        Ok(Some(record(read(file)?, deadline, now)))
    }

    fn put(&self, file: &fs::File, path: &Path, write: &Write) -> io::Result<Revision> {
        if write.ttl.is_zero() {
            file::remove(path)?;
        } else {
            file::write(file, &write.payload)?;
            self.stamp(write.ttl).put(file)?;
        }
        Ok(Revision::of_bytes(&write.payload))
    }

    /// Reads without waiting for whoever has the lock, who may be writing at this moment.
    pub(super) fn load(&self, path: &Path) -> Outcome<Look> {
        let Some(file) = file::open(path)? else { return Ok(Look::Sure(None)) };
        let read = |file: &fs::File| self.live(file);
        let quiet = file::read_unless_changing(&file, self.now(), read)?;
        let seen = match quiet {
            None => file::read_between_writers(file, read, |one, other| {
                one.as_ref().map(|one| one.revision) == other.as_ref().map(|other| other.revision)
            })?,
            seen => seen,
        };
        Ok(seen.map_or(Look::Unsure, Look::Sure))
    }

    pub(super) fn create(&self, path: &Path, write: &Write) -> Outcome<Tried<Revision>> {
        let revision = Revision::of_bytes(&write.payload);
        let stamp = self.stamp(write.ttl);
        Ok(Tried::Done(match SessionFile::lock(path, Share::Exclusive)? {
            Found::Absent if write.ttl.is_zero() => Ok(revision),
            Found::Absent => {
                if !file::create(path, self.layout.mode, &write.payload, stamp)? {
                    return Ok(Tried::Busy(self.now()));
                }
                Ok(revision)
            }
            Found::Locked(file) if self.live(file.file())?.is_none() => {
                Ok(self.put(file.file(), path, write)?)
            }
            Found::Busy(file) if self.live(&file)?.is_none() => {
                return Ok(Tried::Busy(file::changed(&file)?));
            }
            Found::Locked(_) | Found::Busy(_) => {
                Err(Error::new(ErrorKind::AlreadyExists, BACKEND, Operation::Create))
            }
        }))
    }

    /// Replaces what is there if it is at a revision, or whatever it is; with nothing to write,
    /// removes it.
    pub(super) fn replace(
        &self,
        operation: Operation,
        path: &Path,
        expected: Option<Revision>,
        write: Option<&Write>,
    ) -> Outcome<Tried<Option<Revision>>> {
        let refuse = |kind| Error::new(kind, BACKEND, operation);
        let (locked, open);
        let file = match SessionFile::lock(path, Share::Exclusive)? {
            Found::Absent => return Ok(Tried::Done(absent(refuse, write))),
            Found::Locked(file) => {
                locked = file;
                locked.file()
            }
            // What expects nothing waits for nobody.
            Found::Busy(file) if expected.is_none() => {
                open = file;
                &open
            }
            Found::Busy(file) => return Ok(Tried::Busy(file::changed(&file)?)),
        };
        let Some(current) = self.live(file)? else {
            if write.is_none() {
                file::remove(path)?;
            }
            return Ok(Tried::Done(absent(refuse, write)));
        };
        if expected.is_some_and(|expected| expected != current.revision) {
            let error = refuse(ErrorKind::Conflict).with_current(Some(current));
            return Ok(Tried::Done(Err(error)));
        }
        let revision = write.map(|write| self.put(file, path, write)).transpose()?;
        if write.is_none() {
            file::remove(path)?;
        }
        Ok(Tried::Done(Ok(revision)))
    }

    /// As [`Self::replace`], under a lease.
    pub(super) fn replace_held(
        &self,
        operation: Operation,
        hold: &Hold,
        expected: Revision,
        write: Option<&Write>,
    ) -> Outcome<Result<Option<Revision>>> {
        let refuse = |kind| Error::new(kind, BACKEND, operation);
        let mut held = match hold.keep()? {
            Kept::Gone => return Ok(absent(refuse, write)),
            Kept::Lost => return Ok(Err(refuse(ErrorKind::LockLost))),
            Kept::Held(held) => held,
        };
        let Some(file) = held.file().map(SessionFile::file) else {
            return Ok(Err(refuse(ErrorKind::LockLost)));
        };
        let Some(current) = self.live(file)? else { return Ok(absent(refuse, write)) };
        if held.known() != expected {
            return Ok(Err(refuse(ErrorKind::Conflict).with_current(Some(current))));
        }
        let Some(write) = write else {
            file::remove(&hold.path)?;
            return Ok(Ok(None));
        };
        let revision = self.put(file, &hold.path, write)?;
        held.set_known(revision);
        Ok(Ok(Some(revision)))
    }

    pub(super) fn lock(&self, path: &Path) -> Outcome<Taken> {
        Ok(match SessionFile::lock(path, Share::Exclusive)? {
            Found::Absent => Taken::Absent,
            Found::Busy(_) => Taken::Busy,
            Found::Locked(file) => match self.live(file.file())? {
                Some(record) => Taken::Held(file, record),
                None => Taken::Absent,
            },
        })
    }

    pub(super) fn touch(&self, path: &Path, ttl: Ttl) -> Outcome<Result<()>> {
        let none = || Ok(Err(Error::new(ErrorKind::NotFound, BACKEND, Operation::Touch)));
        let (locked, open);
        // A lock makes no difference, but that no sweep is under way.
        let file = match SessionFile::lock(path, Share::Shared)? {
            Found::Absent => return none(),
            Found::Locked(file) => {
                locked = file;
                locked.file()
            }
            Found::Busy(file) => {
                open = file;
                &open
            }
        };
        let (metadata, now) = (file.metadata()?, self.now());
        let present = deadline(&metadata, self.layout.lifetime);
        if present.has_passed(now) {
            return none();
        }
        if session_core::Deadline::after(now, ttl, None) > present {
            self.stamp(ttl).put(file)?;
        }
        let is_there = file::is_at(file, path)?;
        if is_there { Ok(Ok(())) } else { none() }
    }
}

/// The answer about a record that is not there.
fn absent(refuse: impl Fn(ErrorKind) -> Error, write: Option<&Write>) -> Result<Option<Revision>> {
    if write.is_some() { Err(refuse(ErrorKind::NotFound)) } else { Ok(None) }
}
