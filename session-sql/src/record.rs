//! What is stored in a row: a record and a lock, each of which may be missing. See
//! `docs/formats/sql.md`.

use std::{time::Duration, vec};

use bytes::Bytes;
use session_core::{
    Deadline, Holder, Incarnation, Meta, OpToken, PrincipalDigest, REMEMBERED_OPS, RecentOps,
    Record, Revision, Slot, StoredRecord, Timestamp, Ttl, Write,
};

use crate::statement::{Given, Value};

/// An absolute deadline that never comes.
pub(crate) const NEVER: i64 = i64::MAX;
/// The last millisecond of the year 9999. A deadline from then on never comes.
const FAR: i64 = 253_402_300_799_999;
/// The length of a token, and of an incarnation.
const TOKEN: usize = 16;
/// The length of the number of a commit.
const NUMBER: usize = 4;
/// The length of a principal.
const PRINCIPAL: usize = 32;
/// How many values are before the data, and how many of them are numbers one after the other.
const HEAD: usize = 5;
const NUMBERS: usize = 3;
/// In the data, the lengths of the checksum and of the epoch, which are before the payload.
const CHECKSUM: usize = 4;
const EPOCH: usize = 8;

/// What is stored is damaged, or is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage;

/// A row, at a moment of the server's clock.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) now: Timestamp,
    record: Option<StoredRecord>,
    /// The tokens of the last commits, the newest first.
    ops: Vec<u8>,
    holder: Option<Holder>,
    /// Whether the checksum is right.
    intact: bool,
}

impl Row {
    /// Takes a row apart, which ends with the data or goes on with the lock.
    pub(crate) fn parse(row: Vec<Value>) -> Result<Self, Damage> {
        let mut columns = Columns(if row.len() < HEAD { unpack(row)? } else { row }.into_iter());
        let (deadline, absolute) = (deadline(columns.int()?), columns.int()?);
        let now = timestamp(columns.int()?);
        let commits = columns.bytes()?.ok_or(Damage)?;
        let principal = columns.array()?.map(PrincipalDigest::from_bytes);
        let data = Bytes::from(columns.bytes()?.ok_or(Damage)?);
        let mut row = Self { now, record: None, ops: Vec::new(), holder: None, intact: true };
        if !commits.is_empty() {
            let (incarnation, version, ops) = taken_apart(&commits)?;
            // Who is refused a lock gets none.
            let (checksum, epoch) = before_payload(&data).unwrap_or_default();
            let meta = Meta::new()
                .with_absolute_deadline((absolute != NEVER).then(|| timestamp(absolute)))
                .with_principal(principal, u64::from_be_bytes(epoch));
            let payload = data.slice((CHECKSUM + EPOCH).min(data.len())..);
            row.intact = data.len() >= CHECKSUM + EPOCH && checksum == of(&meta, &payload);
            row.ops = ops.to_vec();
            let ops = RecentOps::default();
            row.record =
                Some(StoredRecord::new(payload, meta, incarnation, version, ops, deadline));
        }
        if !columns.is_at_end() {
            let token = columns.array()?.map(OpToken::from_bytes);
            let until = timestamp(columns.int()?);
            row.holder = token.map(|token| Holder::new(token, until));
        }
        Ok(row)
    }

    /// The record that lives, which may be damaged.
    fn living(&self) -> Option<&StoredRecord> {
        self.record.as_ref().filter(|record| !record.deadline.has_passed(self.now))
    }

    /// The record that lives.
    pub(crate) fn record(&self) -> Result<Option<Record>, Damage> {
        match self.living() {
            Some(_) if !self.intact => Err(Damage),
            living => Ok(living.map(|record| record.to_record(self.now))),
        }
    }

    /// The revision of the record that lives.
    pub(crate) fn revision(&self) -> Option<Revision> {
        self.living().map(StoredRecord::revision)
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
        let record = self.living()?;
        let newer = self.ops.chunks(TOKEN).position(|known| known == op.as_bytes())?;
        let number = (record.version >> 32).checked_sub(u64::try_from(newer).ok()?)?;
        Some(numbered(record.incarnation, number, op))
    }

    /// Whether every commit is known that was made since this revision, of which there is one at least:
    /// nothing that expects it can be made any more, and what was made is remembered by its token.
    pub(crate) fn is_known_since(&self, from: Revision) -> bool {
        let number = u64::try_from(from.version() >> 32).unwrap_or_default();
        self.living().filter(|record| record.incarnation == from.incarnation()).is_some_and(
            |record| {
                let since = (record.version >> 32).saturating_sub(number);
                (1..=u64::from(REMEMBERED_OPS)).contains(&since)
            },
        )
    }

    /// The row as the contract's rule decides about it.
    pub(crate) fn slot(&self) -> Result<Slot, Damage> {
        let record = self.record()?.and(self.record.clone());
        Ok(Slot::new(record, self.holder))
    }
}

/// The incarnation, the version, and the tokens, of which there is one at least.
fn taken_apart(commits: &[u8]) -> Result<(Incarnation, u64, &[u8]), Damage> {
    let (incarnation, rest) = commits.split_first_chunk().ok_or(Damage)?;
    let (version, _) = rest.split_first_chunk().ok_or(Damage)?;
    let (_, ops) = rest.split_first_chunk::<NUMBER>().ok_or(Damage)?;
    if ops.is_empty() || ops.len() % TOKEN != 0 {
        return Err(Damage);
    }
    Ok((Incarnation::from_bytes(*incarnation), u64::from_be_bytes(*version), ops))
}

/// The checksum and the epoch.
fn before_payload(data: &[u8]) -> Option<([u8; CHECKSUM], [u8; EPOCH])> {
    let (checksum, rest) = data.split_first_chunk()?;
    Some((*checksum, *rest.first_chunk()?))
}

/// Puts the values of a head that is in one column, see `PACKED`, into columns.
fn unpack(row: Vec<Value>) -> Result<Vec<Value>, Damage> {
    let mut row = row.into_iter();
    let Some(Value::Bytes(head)) = row.next() else { return Err(Damage) };
    let mut all = Vec::with_capacity(HEAD + row.len());
    // What comes after the numbers may contain commas.
    let mut parts = head.splitn(NUMBERS + 1, |byte| *byte == b',');
    for number in parts.by_ref().take(NUMBERS) {
        let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
        all.push(Value::Int(number.ok_or(Damage)?));
    }
    let rest = parts.next().ok_or(Damage)?;
    // By its length there is a principal at the end, and a comma before it.
    let last = rest.len().checked_sub(PRINCIPAL + 1).filter(|_| rest.len() % TOKEN == NUMBER + 1);
    let (commits, principal) = rest.split_at(last.unwrap_or(rest.len()));
    let principal = principal.split_first().map(|(_comma, digest)| Value::Bytes(digest.to_vec()));
    all.push(Value::Bytes(commits.to_vec()));
    all.push(principal.unwrap_or(Value::Null));
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

/// What a commit writes, but for the key, the revision and the data.
pub(crate) fn given(write: &Write) -> Given<'_> {
    let meta = &write.meta;
    Given {
        ttl: millis(write.ttl),
        absolute: absolute(meta),
        principal: meta.principal.as_ref().map(|digest| digest.as_bytes().as_slice()),
        ..Given::default()
    }
}

/// What no statement computes with.
pub(crate) fn data(write: &Write) -> Vec<u8> {
    let (meta, payload) = (&write.meta, &write.payload);
    let mut data = Vec::with_capacity(CHECKSUM + EPOCH + payload.len());
    data.extend(of(meta, payload));
    data.extend(meta.epoch.to_be_bytes());
    data.extend_from_slice(payload);
    data
}

/// A revision as it is stored: what the commits begin with.
pub(crate) fn revision(revision: Revision) -> [u8; TOKEN + 8] {
    let version = u64::try_from(revision.version()).unwrap_or_default();
    let mut bytes = [0; TOKEN + 8];
    bytes[..TOKEN].copy_from_slice(revision.incarnation().as_bytes());
    bytes[TOKEN..].copy_from_slice(&version.to_be_bytes());
    bytes
}

/// A revision with the whole token of the commit that leads to it.
pub(crate) fn commit(to: Revision, op: OpToken) -> [u8; TOKEN + NUMBER + TOKEN] {
    let mut bytes = [0; TOKEN + NUMBER + TOKEN];
    bytes[..TOKEN + 8].copy_from_slice(&revision(to));
    bytes[TOKEN + NUMBER..].copy_from_slice(op.as_bytes());
    bytes
}

/// The revision of the first commit of an incarnation.
pub(crate) fn first(incarnation: Incarnation, op: OpToken) -> Revision {
    numbered(incarnation, 1, op)
}

/// The revision that follows on this one.
pub(crate) fn next(revision: Revision, op: OpToken) -> Revision {
    let version = u64::try_from(revision.version()).unwrap_or_default();
    numbered(revision.incarnation(), (version >> 32) + 1, op)
}

/// A version is the number of the commit and four bytes of its token: a server that has forgotten
/// commits, as a replica that was promoted, never comes to a revision that it had before.
fn numbered(incarnation: Incarnation, number: u64, op: OpToken) -> Revision {
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

/// The checksum of the payload and its meta.
fn of(meta: &Meta, payload: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(payload);
    hasher.update(meta.principal.as_ref().map_or(&[], |digest| digest.as_bytes().as_slice()));
    hasher.update(&meta.epoch.to_be_bytes());
    hasher.update(&absolute(meta).to_be_bytes());
    hasher.finalize().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row in which every value is another, and all that may has what separates them.
    fn rows(commits: &[u8], principal: Option<&[u8]>) -> [Vec<Value>; 2] {
        let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
        let tail = || [bytes(b"checksum.epoch,payload"), bytes(&[2; 16]), Value::Int(6_000)];
        let mut plain = [2_000, 3_000, 1_000].map(Value::Int).to_vec();
        plain.extend([bytes(commits), principal.map_or(Value::Null, bytes)]);
        plain.extend(tail());
        let mut head = [b"2000,3000,1000,", commits].concat();
        head.extend(principal.into_iter().flat_map(|digest| [b",", digest].concat()));
        [plain, [Value::Bytes(head)].into_iter().chain(tail()).collect()]
    }

    #[test]
    fn a_head_in_one_column_is_the_same_as_in_many() {
        for principal in [None, Some(&[b','; 32][..])] {
            // Where there is no commit there is no principal.
            let none = principal.is_none().then_some(0);
            for commits in none.into_iter().chain([36, 52, 68, 84]) {
                let [plain, packed] = rows(&vec![b','; commits], principal)
                    .map(|row| format!("{:?}", Row::parse(row)));
                assert!(plain.starts_with("Ok"), "{plain}");
                assert_eq!(packed, plain);
            }
        }
    }

    #[test]
    fn a_head_that_is_cut_off_is_damage() {
        let [_, packed] = rows(&[7; 36], None);
        let Some(Value::Bytes(head)) = packed.first() else { panic!("no head") };
        let bare = head.len() - 36;
        for length in (0..bare).chain(bare + 1..head.len()) {
            let mut row = packed.clone();
            row[0] = Value::Bytes(head[..length].to_vec());
            assert!(Row::parse(row).is_err(), "{length}");
        }
    }

    #[test]
    fn commits_begin_with_their_revision() {
        let op = OpToken::from_bytes([9; 16]);
        let to = next(first(Incarnation::from_bytes([1; 16]), OpToken::from_bytes([8; 16])), op);
        let commits = commit(to, op);
        assert_eq!(commits[..24], revision(to));
        let (incarnation, version, ops) = taken_apart(&commits).unwrap();
        assert_eq!(Revision::counted(incarnation, version), to);
        assert_eq!(ops, op.as_bytes());
    }
}
