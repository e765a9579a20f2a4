//! Revisions as callers see them: the number of the commit, and four bytes of its token.
//!
//! A server that comes back with old data, and goes on counting from there, so never comes to a
//! revision that somebody has read before.

use session_core::{Error, Expected, OpToken, Record, Revision, Slot, StoredRecord, Timestamp};

/// A number that no record has.
const NONE: u64 = u64::MAX;

/// The revision of the commit with this number, which the record still remembers.
pub(crate) fn shown(record: &StoredRecord, number: u64) -> Revision {
    let newer = record.version.saturating_sub(number);
    let newer = usize::try_from(newer).unwrap_or(usize::MAX);
    let mark = record.ops.iter().rev().nth(newer).map_or(0, mark);
    Revision::counted(record.incarnation, number << 32 | mark)
}

fn mark(op: &OpToken) -> u64 {
    let [a, b, c, d, ..] = *op.as_bytes();
    u64::from(u32::from_be_bytes([a, b, c, d]))
}

/// A revision as the slot counts it; one that it does not have, if it was shown by another history.
fn counted(slot: &Slot, shown_one: Revision) -> Revision {
    let version = u64::try_from(shown_one.version()).unwrap_or(NONE);
    let number = version >> 32;
    let ours = slot.record.as_ref().is_some_and(|record| {
        record.incarnation == shown_one.incarnation() && shown(record, number) == shown_one
    });
    Revision::counted(shown_one.incarnation(), if ours { number } else { NONE })
}

/// What is expected, as the slot counts it.
pub(crate) fn expected<'a>(slot: &Slot, expected: Expected<'a>) -> Expected<'a> {
    match expected {
        Expected::Revision(revision) => Expected::Revision(counted(slot, revision)),
        Expected::Lease { lease, revision, then } => {
            Expected::Lease { lease, revision: counted(slot, revision), then }
        }
        other => other,
    }
}

/// The revision that the slot has come to by a commit.
pub(crate) fn of_commit(slot: &Slot, counted: Revision) -> Revision {
    let number = u64::try_from(counted.version()).unwrap_or(NONE);
    // A commit that is over at once leaves no record, and nobody will ask for its revision.
    slot.record.as_ref().map_or(counted, |record| shown(record, number))
}

/// The live record of the slot, as callers see it.
pub(crate) fn record(slot: &Slot, now: Timestamp) -> Option<Record> {
    slot.load(now).map(|record| of_record(slot, record))
}

/// The same, with the slot's own payload, which saves an allocation: the slot has none then.
pub(crate) fn take_record(slot: &mut Slot, now: Timestamp) -> Option<Record> {
    let payload = std::mem::take(&mut slot.record.as_mut()?.payload);
    let mut record = record(slot, now)?;
    record.payload = payload;
    Some(record)
}

/// A record of the slot, as callers see it.
fn of_record(slot: &Slot, mut record: Record) -> Record {
    if let Some(stored) = &slot.record {
        record.revision = shown(stored, stored.version);
    }
    record
}

/// The error of the slot, as callers see it.
pub(crate) fn of_error(slot: &Slot, mut error: Error) -> Error {
    match error.take_current() {
        Some(record) => error.with_current(Some(of_record(slot, record))),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use session_core::{ErrorKind, Incarnation, Write};

    use super::*;
    use crate::BACKEND;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn op(n: u8) -> OpToken {
        OpToken::from_bytes([n; 16])
    }

    fn write() -> Write {
        Write::new("x", Duration::from_secs(60))
    }

    fn save(
        slot: &mut Slot,
        expected_one: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision, ErrorKind> {
        let expected = expected(slot, expected_one);
        let saved = slot.save(BACKEND, write(), expected, op, NOW);
        saved.map(|revision| of_commit(slot, revision)).map_err(|error| error.kind())
    }

    #[test]
    fn a_revision_of_another_history_is_a_conflict() {
        let mut slot = Slot::default();
        slot.create(BACKEND, write(), op(1), None, NOW).unwrap();
        let mut old = slot.clone();
        let first = shown(slot.record.as_ref().unwrap(), 1);
        let second = save(&mut slot, Expected::Revision(first), op(2)).unwrap();
        let other = save(&mut old, Expected::Revision(first), op(3)).unwrap();
        assert_ne!(second, other);
        assert_eq!(second.incarnation(), other.incarnation());
        let refused = save(&mut old, Expected::Revision(second), op(4));
        assert_eq!(refused, Err(ErrorKind::Conflict));
        assert!(save(&mut old, Expected::Revision(other), op(4)).is_ok());
    }

    #[test]
    fn a_commit_that_is_repeated_has_the_revision_of_the_first_time() {
        let mut slot = Slot::default();
        slot.create(BACKEND, write(), op(1), None, NOW).unwrap();
        let mut last = shown(slot.record.as_ref().unwrap(), 1);
        let mut all = Vec::new();
        for n in 2..5 {
            last = save(&mut slot, Expected::Revision(last), op(n)).unwrap();
            all.push((n, last));
        }
        for (n, revision) in all {
            assert_eq!(save(&mut slot, Expected::Any, op(n)), Ok(revision));
        }
        assert_ne!(last.incarnation(), Incarnation::NONE);
    }
}
