//! What is stored in a row: a record and a lock, each of which may be missing. See
//! `docs/formats/sql.md`.

use std::{collections::VecDeque, time::Duration, vec};

use bytes::Bytes;
use session_core::{
    Deadline, Holder, Incarnation, Meta, OpToken, PrincipalDigest, REMEMBERED_OPS, Record,
    Revision, Slot, StoredRecord, Timestamp, Ttl, Write,
};

use crate::statement::{Given, Value};

/// The incarnation of a row without a record.
pub(crate) const NOBODY: [u8; 16] = [0; 16];
/// An absolute deadline that never comes.
pub(crate) const NEVER: i64 = i64::MAX;
/// The last millisecond of the year 9999. A deadline from then on never comes.
const FAR: i64 = 253_402_300_799_999;
/// The length of a token, and of an incarnation.
const TOKEN: usize = 16;
/// How many values are before the payload, and how many of them are numbers one after the other.
const HEAD: usize = 8;
const NUMBERS: usize = 6;

/// What is stored is damaged, or is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage;

/// A row, at a moment of the server's clock.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) now: Timestamp,
    record: StoredRecord,
    ops: Vec<u8>,
    holder: Option<Holder>,
    /// Whether the checksum is right.
    intact: bool,
}

impl Row {
    /// Takes a row apart, which ends with the payload or goes on with the tokens and the lock.
    pub(crate) fn parse(row: Vec<Value>) -> Result<Self, Damage> {
        let mut columns = Columns(if row.len() < HEAD { unpack(row)? } else { row }.into_iter());
        let incarnation = Incarnation::from_bytes(columns.array()?.ok_or(Damage)?);
        let version = columns.int()?.cast_unsigned();
        let deadline = deadline(columns.int()?);
        let absolute = columns.int()?;
        let epoch = columns.int()?.cast_unsigned();
        let checksum = columns.int()?;
        let now = timestamp(columns.int()?);
        let principal = columns.array()?.map(PrincipalDigest::from_bytes);
        let payload = Bytes::from(columns.bytes()?.ok_or(Damage)?);
        let meta = Meta::new()
            .with_absolute_deadline((absolute != NEVER).then(|| timestamp(absolute)))
            .with_principal(principal, epoch);
        let intact = checksum == of(&meta, &payload);
        let record =
            StoredRecord::new(payload, meta, incarnation, version, VecDeque::new(), deadline);
        let (mut ops, mut holder) = (Vec::new(), None);
        if !columns.is_at_end() {
            ops = columns.bytes()?.ok_or(Damage)?;
            let token = columns.array()?.map(OpToken::from_bytes);
            let until = timestamp(columns.int()?);
            holder = token.map(|token| Holder::new(token, until));
        }
        Ok(Self { now, record, ops, holder, intact })
    }

    /// Whether there is a record that lives.
    pub(crate) fn lives(&self) -> bool {
        self.record.incarnation.as_bytes() != &NOBODY && !self.record.deadline.has_passed(self.now)
    }

    /// The record that lives.
    pub(crate) fn record(&self) -> Result<Option<Record>, Damage> {
        match self.lives() {
            true if !self.intact => Err(Damage),
            lives => Ok(lives.then(|| self.record.to_record(self.now))),
        }
    }

    /// The revision of the record that lives.
    pub(crate) fn revision(&self) -> Option<Revision> {
        self.lives().then(|| self.record.revision())
    }

    pub(crate) fn is_held_by(&self, token: OpToken) -> bool {
        self.holder.is_some_and(|holder| holder.token == token)
    }

    /// How long the lock is still held.
    pub(crate) fn held(&self) -> Duration {
        self.holder.map_or(Duration::ZERO, |holder| holder.until.since(self.now))
    }

    /// The revision that the commit named `op` led to, if it is remembered.
    pub(crate) fn commit(&self, op: OpToken) -> Option<Revision> {
        if !self.lives() {
            return None;
        }
        let newer = self.ops.chunks(TOKEN).position(|known| known == op.as_bytes())?;
        let number = (self.record.version >> 32).checked_sub(u64::try_from(newer).ok()?)?;
        Some(commit(self.record.incarnation, number, op))
    }

    /// Whether every commit is known that was made since this revision, of which there is one at least:
    /// nothing that expects it can be made any more, and what was made is remembered by its token.
    pub(crate) fn is_known_since(&self, from: Revision) -> bool {
        let number = u64::try_from(from.version() >> 32).unwrap_or_default();
        let since = (self.record.version >> 32).saturating_sub(number);
        let same = self.lives() && self.record.incarnation == from.incarnation();
        same && (1..=u64::from(REMEMBERED_OPS)).contains(&since)
    }

    /// The row as the contract's rule decides about it.
    pub(crate) fn slot(&self) -> Result<Slot, Damage> {
        let record = self.record()?.map(|_| self.record.clone());
        Ok(Slot::new(record, self.holder))
    }
}

/// Puts the values of a head that is in one column, see `PACKED`, into columns.
fn unpack(row: Vec<Value>) -> Result<Vec<Value>, Damage> {
    let mut row = row.into_iter();
    let Some(Value::Bytes(head)) = row.next() else { return Err(Damage) };
    let (incarnation, rest) = head.split_at_checked(TOKEN).ok_or(Damage)?;
    let mut all = Vec::with_capacity(HEAD + row.len());
    all.push(Value::Bytes(incarnation.to_vec()));
    // A principal may contain commas.
    let mut parts = rest.splitn(NUMBERS + 1, |byte| *byte == b',');
    for number in parts.by_ref().take(NUMBERS) {
        let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
        all.push(Value::Int(number.ok_or(Damage)?));
    }
    all.push(parts.next().map_or(Value::Null, |principal| Value::Bytes(principal.to_vec())));
    all.extend(row);
    Ok(all)
}

/// The values of a row, one after the other.
struct Columns(vec::IntoIter<Value>);

impl Columns {
    fn is_at_end(&self) -> bool {
        self.0.len() == 0
    }

    fn int(&mut self) -> Result<i64, Damage> {
        match self.0.next() {
            Some(Value::Int(number)) => Ok(number),
            _ => Err(Damage),
        }
    }

    fn bytes(&mut self) -> Result<Option<Vec<u8>>, Damage> {
        match self.0.next() {
            Some(Value::Bytes(bytes)) => Ok(Some(bytes)),
            Some(Value::Null) => Ok(None),
            _ => Err(Damage),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<Option<[u8; N]>, Damage> {
        let bytes = self.bytes()?;
        bytes.map(|bytes| bytes.try_into().ok().ok_or(Damage)).transpose()
    }
}

/// What a commit writes, but for the key and what is expected.
pub(crate) fn given<'a>(
    write: &'a Write,
    incarnation: &'a [u8; 16],
    revision: Revision,
    op: &'a OpToken,
) -> Given<'a> {
    let meta = &write.meta;
    Given {
        new_incarnation: incarnation,
        new_version: version(revision),
        op: op.as_bytes(),
        ttl: millis(write.ttl),
        absolute: absolute(meta),
        principal: meta.principal.as_ref().map(|digest| digest.as_bytes().as_slice()),
        epoch: meta.epoch.cast_signed(),
        checksum: of(meta, &write.payload),
        payload: &write.payload,
        ..Given::default()
    }
}

/// The version of a revision, as it is stored.
pub(crate) fn version(revision: Revision) -> i64 {
    u64::try_from(revision.version()).unwrap_or_default().cast_signed()
}

/// The revision of the first commit of an incarnation.
pub(crate) fn first(incarnation: Incarnation, op: OpToken) -> Revision {
    commit(incarnation, 1, op)
}

/// The revision that follows on this one.
pub(crate) fn next(revision: Revision, op: OpToken) -> Revision {
    let version = u64::try_from(revision.version()).unwrap_or_default();
    commit(revision.incarnation(), (version >> 32) + 1, op)
}

/// A version is the number of the commit and four bytes of its token: a server that has forgotten
/// commits, as a replica that was promoted, never comes to a revision that it had before.
fn commit(incarnation: Incarnation, number: u64, op: OpToken) -> Revision {
    let [a, b, c, d, ..] = *op.as_bytes();
    Revision::counted(incarnation, number << 32 | u64::from(u32::from_be_bytes([a, b, c, d])))
}

/// A lifetime in milliseconds.
pub(crate) fn millis(ttl: Ttl) -> i64 {
    let millis = ttl.duration().map(|time| i64::try_from(time.as_millis()));
    millis.and_then(Result::ok).unwrap_or(FAR).min(FAR)
}

/// The duration of a lease in milliseconds, which is not nothing.
pub(crate) fn lease(duration: Duration) -> i64 {
    millis(duration.into()).max(1)
}

fn absolute(meta: &Meta) -> i64 {
    meta.absolute_deadline
        .map_or(NEVER, |deadline| i64::try_from(deadline.as_millis()).unwrap_or(NEVER - 1))
}

fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(millis).unwrap_or_default())
}

fn deadline(millis: i64) -> Deadline {
    if millis >= FAR { Deadline::NEVER } else { Deadline::at(timestamp(millis)) }
}

/// The checksum of what no statement computes with.
fn of(meta: &Meta, payload: &[u8]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(payload);
    hasher.update(meta.principal.as_ref().map_or(&[], |digest| digest.as_bytes().as_slice()));
    hasher.update(&meta.epoch.to_be_bytes());
    hasher.update(&absolute(meta).to_be_bytes());
    i64::from(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row in which every value is another, and the principal has what separates them.
    fn rows() -> [Vec<Value>; 2] {
        let (incarnation, principal) = (vec![b','; 16], vec![b','; 32]);
        let tail = || {
            let (payload, ops) = (Value::Bytes(b"payload".to_vec()), Value::Bytes(vec![3; 16]));
            [payload, ops, Value::Bytes(vec![2; 16]), Value::Int(6_000)]
        };
        let mut plain = vec![Value::Bytes(incarnation.clone())];
        plain.extend([-1, 2_000, 3_000, 4, 5, 1_000].map(Value::Int));
        plain.push(Value::Bytes(principal.clone()));
        plain.extend(tail());
        let head = [&incarnation[..], b"-1,2000,3000,4,5,1000,", &principal].concat();
        [plain, [Value::Bytes(head)].into_iter().chain(tail()).collect()]
    }

    #[test]
    fn a_head_in_one_column_is_the_same_as_in_many() {
        let [plain, packed] = rows().map(|row| format!("{:?}", Row::parse(row)));
        assert!(plain.starts_with("Ok"), "{plain}");
        assert_eq!(packed, plain);
    }

    #[test]
    fn a_head_that_is_cut_off_is_damage() {
        let [_, packed] = rows();
        let Some(Value::Bytes(head)) = packed.first() else { panic!("no head") };
        let (numbers, principal) = (head.len() - 37, head.len() - 32);
        for length in (0..=numbers).chain(principal..head.len()) {
            let mut row = packed.clone();
            row[0] = Value::Bytes(head[..length].to_vec());
            assert!(Row::parse(row).is_err(), "{length}");
        }
    }
}
