//! What is stored under a key: a header of fixed length, which the scripts read and write, and a
//! block that only this program makes, which holds the payload. See `docs/formats/redis.md`.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use session_core::{
    Incarnation, Meta, OpToken, PrincipalDigest, Record, Revision, Timestamp, Ttl, Write,
};

/// A record of this layout.
const RECORD: &[u8; 4] = b"S1R\0";
/// A lock on a key without a record.
const LOCK_ONLY: &[u8; 4] = b"S1L\0";

const MAGIC: Range<usize> = 0..4;
const INCARNATION: Range<usize> = 4..20;
const VERSION: Range<usize> = 20..28;
const DEADLINE: Range<usize> = 28..36;
const LOCK: Range<usize> = 36..68;
const OPS: Range<usize> = 68..132;
/// The tokens of earlier commits, and those of them that the next commit leaves.
const EARLIER_OPS: Range<usize> = 84..132;
const KEPT_OPS: Range<usize> = 68..116;
const CHECKSUM: Range<usize> = 132..136;
const FLAGS: usize = 136;
const ABSOLUTE: Range<usize> = 137..145;
const EPOCH: Range<usize> = 145..153;
const PRINCIPAL: Range<usize> = 153..185;
const PAYLOAD: usize = 185;

const HAS_ABSOLUTE: u8 = 1;
const HAS_PRINCIPAL: u8 = 2;

/// The last millisecond of the year 9999, which stands for no deadline: every key has an expiry,
/// and it is a number that Lua's doubles and the server's own arithmetic hold exactly.
const FAR: u64 = 253_402_300_799_999;

/// What is stored is damaged, or is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage;

/// The stored form of a write, with zeros where the server decides: deadline, lock and earlier
/// commits.
pub(crate) fn draft(write: &Write, revision: Revision, op: OpToken) -> Vec<u8> {
    let meta = &write.meta;
    let mut flags = 0;
    let mut principal = [0; 32];
    if let Some(digest) = meta.principal {
        flags |= HAS_PRINCIPAL;
        principal = *digest.as_bytes();
    }
    if meta.absolute_deadline.is_some() {
        flags |= HAS_ABSOLUTE;
    }
    let mut draft = Vec::with_capacity(PAYLOAD + write.payload.len());
    draft.extend_from_slice(RECORD);
    draft.extend_from_slice(&revision_bytes(revision));
    draft.extend_from_slice(&[0; OPS.start - DEADLINE.start]);
    draft.extend_from_slice(op.as_bytes());
    draft.resize(FLAGS, 0);
    draft.push(flags);
    draft.extend_from_slice(&absolute(meta).to_be_bytes());
    draft.extend_from_slice(&meta.epoch.to_be_bytes());
    draft.extend_from_slice(&principal);
    draft.extend_from_slice(&write.payload);
    let (header, rest) = draft.split_at_mut(FLAGS);
    if let Some(checksum) = header.get_mut(CHECKSUM) {
        checksum.copy_from_slice(&crc32fast::hash(rest).to_be_bytes());
    }
    draft
}

/// Fills in a draft that is to replace the value `old`, as the script does, if nothing is to be decided that
/// only the server knows: `old` is free and of this revision, of the same principal, and not what this
/// very operation has made.
pub(crate) fn fill_in(draft: &mut [u8], old: &[u8], expected: Revision, deadline: u64) -> bool {
    let is = |range: Range<usize>, wanted: &[u8]| old.get(range).is_some_and(|part| part == wanted);
    let op = draft.get(OPS).and_then(|ops| ops.get(..16)).unwrap_or_default();
    let is_done = || old.get(OPS).is_none_or(|ops| ops.chunks(16).any(|known| known == op));
    let is_plain = is(MAGIC, RECORD)
        && is(INCARNATION.start..VERSION.end, &revision_bytes(expected))
        && is(LOCK, &[0; LOCK.end - LOCK.start])
        && draft.get(PRINCIPAL).is_some_and(|principal| is(PRINCIPAL, principal))
        && !is_done();
    if !is_plain {
        return false;
    }
    let mut put = |range: Range<usize>, from: &[u8]| {
        if let Some(part) = draft.get_mut(range) {
            part.copy_from_slice(from);
        }
    };
    put(DEADLINE, &deadline.to_be_bytes());
    put(EARLIER_OPS, old.get(KEPT_OPS).unwrap_or(&[0; 48]));
    true
}

/// As much of a stored value as tells it from every other one that its key ever has: its revision,
/// its deadline, its lease.
pub(crate) fn beginning(stored: &[u8]) -> &[u8] {
    stored.get(..LOCK.end).unwrap_or(stored)
}

/// A revision as the scripts compare it: 16 bytes of incarnation, 8 of version.
pub(crate) fn revision_bytes(revision: Revision) -> [u8; 24] {
    let mut bytes = [0; 24];
    let (incarnation, version) = bytes.split_at_mut(16);
    incarnation.copy_from_slice(revision.incarnation().as_bytes());
    let counted = u64::try_from(revision.version()).unwrap_or(u64::MAX);
    version.copy_from_slice(&counted.to_be_bytes());
    bytes
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
/// commits never comes to a revision that it had before.
fn commit(incarnation: Incarnation, number: u64, op: OpToken) -> Revision {
    let [a, b, c, d, ..] = *op.as_bytes();
    Revision::counted(incarnation, number << 32 | u64::from(u32::from_be_bytes([a, b, c, d])))
}

/// What lives shorter, in milliseconds, is for the scripts, which read the server's clock themselves.
pub(crate) const SHORTEST_PLAIN: u64 = 60_000;

/// Fills in the draft of a first commit, as the script does.
pub(crate) fn ends(draft: &mut [u8], deadline: u64) {
    if let Some(part) = draft.get_mut(DEADLINE) {
        part.copy_from_slice(&deadline.to_be_bytes());
    }
}

/// When what is written at `now` is over.
pub(crate) fn deadline(write: &Write, now: u64) -> u64 {
    now.saturating_add(millis(write.ttl)).min(absolute(&write.meta))
}

/// The absolute deadline in milliseconds, as the scripts compare it.
pub(crate) fn absolute(meta: &Meta) -> u64 {
    meta.absolute_deadline.map_or(FAR, |deadline| deadline.as_millis().min(FAR))
}

/// A lifetime in milliseconds.
pub(crate) fn millis(ttl: Ttl) -> u64 {
    let millis = ttl.duration().map_or(FAR, |time| u64::try_from(time.as_millis()).unwrap_or(FAR));
    millis.min(FAR)
}

/// The duration of a lease in milliseconds: the server knows none without duration.
pub(crate) fn lease(duration: Duration) -> u64 {
    millis(duration.into()).max(1)
}

/// The record in a stored value, or `None` where there is only a lock. `now` is the server's time.
pub(crate) fn decode(stored: &[u8], now: u64) -> Result<Option<Record>, Damage> {
    match stored.get(MAGIC) {
        Some(magic) if magic == RECORD => {}
        Some(magic) if magic == LOCK_ONLY => return Ok(None),
        _ => return Err(Damage),
    }
    let rest = stored.get(FLAGS..).ok_or(Damage)?;
    if stored.len() < PAYLOAD || number::<4>(stored, CHECKSUM)? != u64::from(crc32fast::hash(rest))
    {
        return Err(Damage);
    }
    let flags = *stored.get(FLAGS).ok_or(Damage)?;
    let absolute = Timestamp::from_millis(number::<8>(stored, ABSOLUTE)?);
    let principal = PrincipalDigest::from_bytes(array(stored, PRINCIPAL)?);
    let epoch = number::<8>(stored, EPOCH)?;
    let meta = Meta::new()
        .with_absolute_deadline((flags & HAS_ABSOLUTE != 0).then_some(absolute))
        .with_principal((flags & HAS_PRINCIPAL != 0).then_some(principal), epoch);
    let revision = revision(stored.get(INCARNATION.start..VERSION.end).ok_or(Damage)?)?;
    let remaining = remaining(number::<8>(stored, DEADLINE)?, now);
    // The bytes are part of what was read at once, which is not to be kept.
    let payload = Bytes::copy_from_slice(stored.get(PAYLOAD..).ok_or(Damage)?);
    Ok(Some(Record::new(payload, meta, revision, remaining)))
}

/// As much of a stored value as [`belongs_to`] looks at.
pub(crate) const UP_TO_PRINCIPAL: usize = PAYLOAD;

/// The incarnation of a record of this principal, from the beginning of a stored value.
pub(crate) fn belongs_to(stored: &[u8], principal: &PrincipalDigest) -> Option<Incarnation> {
    let is_theirs = stored.get(MAGIC).is_some_and(|magic| magic == RECORD)
        && stored.get(FLAGS).is_some_and(|flags| flags & HAS_PRINCIPAL != 0)
        && stored.get(PRINCIPAL).is_some_and(|stored| stored == principal.as_bytes());
    let incarnation = array(stored, INCARNATION).ok().filter(|_| is_theirs)?;
    Some(Incarnation::from_bytes(incarnation))
}

/// A revision as the scripts return it.
pub(crate) fn revision(bytes: &[u8]) -> Result<Revision, Damage> {
    let incarnation = Incarnation::from_bytes(array(bytes, 0..16)?);
    Ok(Revision::counted(incarnation, number::<8>(bytes, 16..24)?))
}

/// Never zero: the server has just shown that the record lives.
fn remaining(deadline: u64, now: u64) -> Ttl {
    if deadline >= FAR {
        return Ttl::NEVER;
    }
    Duration::from_millis(deadline.saturating_sub(now).max(1)).into()
}

fn array<const N: usize>(bytes: &[u8], range: Range<usize>) -> Result<[u8; N], Damage> {
    bytes.get(range).and_then(|part| part.try_into().ok()).ok_or(Damage)
}

fn number<const N: usize>(bytes: &[u8], range: Range<usize>) -> Result<u64, Damage> {
    let bytes: [u8; N] = array(bytes, range)?;
    Ok(bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}
