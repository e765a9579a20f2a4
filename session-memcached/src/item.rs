//! What is stored under a key: a snapshot of the key's [`Slot`], and after it what has happened to
//! the lock since. See `docs/formats/memcached.md`.
//!
//! Appending is the one write that the server does without being told the item's number first: so a
//! lock is asked for and the record read in one round trip. Each entry is an operation of the slot at
//! its own time; all readers apply the entries in the order in which the server took them, and so
//! come to the same end.

use std::{ops::Range, time::Duration};

use bytes::{Buf, Bytes};
use session_core::{
    Deadline, Holder, Incarnation, Lease, Meta, OpToken, PrincipalDigest, REMEMBERED_OPS,
    RecentOps, Slot, StoredRecord, Timestamp,
};

use crate::BACKEND;

const MAGIC: &[u8; 4] = b"S1M\0";

const FLAGS: usize = 4;
const OPS_COUNT: usize = 5;
const LENGTH: Range<usize> = 8..12;
const INCARNATION: Range<usize> = 12..28;
const VERSION: Range<usize> = 28..36;
const DEADLINE: Range<usize> = 36..44;
const ABSOLUTE: Range<usize> = 44..52;
const EPOCH: Range<usize> = 52..60;
const PRINCIPAL: Range<usize> = 60..92;
const OPS: Range<usize> = 92..156;
const HOLDER: Range<usize> = 156..172;
const UNTIL: Range<usize> = 172..180;
const CHECKSUM: Range<usize> = 180..184;
const HEADER: usize = 184;

const HAS_RECORD: u8 = 1;
const HAS_HOLDER: u8 = 2;
const HAS_ABSOLUTE: u8 = 4;
const HAS_PRINCIPAL: u8 = 8;

const TOKEN: usize = 16;
/// The length of an entry: kind, token, time, duration, checksum.
const ENTRY: usize = 1 + TOKEN + 8 + 8 + 4;
const ENTRY_TOKEN: Range<usize> = 1..17;
const TIME: Range<usize> = 17..25;
const DURATION: Range<usize> = 25..33;
const ENTRY_CHECKSUM: Range<usize> = 33..37;

/// So many entries may follow a snapshot before one of those who write makes a new one. Others may
/// add a few more meanwhile.
pub(crate) const MOST_ENTRIES: usize = 32;
/// How much larger an item may be than its payload.
pub(crate) const OVERHEAD: usize = HEADER + 4 * MOST_ENTRIES * ENTRY;

/// What is stored is damaged, or is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage;

/// What has happened to a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// It was asked for; whether it was granted, the entries before tell.
    Lock(OpToken, Duration),
    /// It was to last for so long from then on.
    Renew(OpToken, Duration),
    /// It was given back.
    Release(OpToken),
}

impl Event {
    /// An entry for what happens at `now`.
    pub(crate) fn encode(self, now: Timestamp) -> [u8; ENTRY] {
        let (kind, token, duration) = match self {
            Self::Lock(token, duration) => (b'L', token, duration),
            Self::Renew(token, duration) => (b'N', token, duration),
            Self::Release(token) => (b'R', token, Duration::ZERO),
        };
        let duration = Timestamp::default().after(duration);
        let mut entry = [kind; ENTRY];
        put(&mut entry, ENTRY_TOKEN, token.as_bytes());
        put(&mut entry, TIME, &now.as_millis().to_be_bytes());
        put(&mut entry, DURATION, &duration.as_millis().to_be_bytes());
        let checksum = crc32fast::hash(entry.split_at(ENTRY_CHECKSUM.start).0);
        put(&mut entry, ENTRY_CHECKSUM, &checksum.to_be_bytes());
        entry
    }

    fn decode(entry: &[u8]) -> Result<(Self, Timestamp), Damage> {
        let (told, _) = entry.split_at_checked(ENTRY_CHECKSUM.start).ok_or(Damage)?;
        if number::<4>(entry, ENTRY_CHECKSUM)? != u64::from(crc32fast::hash(told)) {
            return Err(Damage);
        }
        let token = OpToken::from_bytes(array(entry, ENTRY_TOKEN)?);
        let duration = Duration::from_millis(number::<8>(entry, DURATION)?);
        let event = match entry.first() {
            Some(b'L') => Self::Lock(token, duration),
            Some(b'N') => Self::Renew(token, duration),
            Some(b'R') => Self::Release(token),
            _ => return Err(Damage),
        };
        Ok((event, Timestamp::from_millis(number::<8>(entry, TIME)?)))
    }

    /// What it does to the slot.
    fn apply(self, slot: &mut Slot, at: Timestamp) {
        match self {
            // Who is refused stands in the entries and changes nothing.
            Self::Lock(token, duration) => drop(slot.lock(token, duration, at)),
            Self::Renew(token, duration) => {
                drop(slot.renew(BACKEND, &Lease::new(token, duration), duration, at));
            }
            Self::Release(token) => slot.release(&Lease::new(token, Duration::ZERO)),
        }
    }
}

/// What stands before the payload in a snapshot without entries.
pub(crate) fn header(slot: &Slot) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    put(&mut header, 0..MAGIC.len(), MAGIC);
    let mut flags = 0;
    if let Some(record) = &slot.record {
        flags |= HAS_RECORD | put_record(&mut header, record);
    }
    if let Some(holder) = &slot.holder {
        flags |= HAS_HOLDER;
        put(&mut header, HOLDER, holder.token.as_bytes());
        put(&mut header, UNTIL, &holder.until.as_millis().to_be_bytes());
    }
    put(&mut header, FLAGS..FLAGS + 1, &[flags]);
    let checksum = checksum(&header, payload(slot));
    put(&mut header, CHECKSUM, &checksum.to_be_bytes());
    header
}

/// What stands behind the header.
pub(crate) fn payload(slot: &Slot) -> &[u8] {
    slot.record.as_ref().map_or(&[], |record| &record.payload)
}

fn put_record(item: &mut [u8], record: &StoredRecord) -> u8 {
    let meta = &record.meta;
    let mut flags = 0;
    let length = u32::try_from(record.payload.len()).unwrap_or(u32::MAX);
    put(item, LENGTH, &length.to_be_bytes());
    put(item, INCARNATION, record.incarnation.as_bytes());
    put(item, VERSION, &record.version.to_be_bytes());
    let deadline = record.deadline.timestamp().map_or(u64::MAX, Timestamp::as_millis);
    put(item, DEADLINE, &deadline.to_be_bytes());
    if let Some(absolute) = meta.absolute_deadline {
        flags |= HAS_ABSOLUTE;
        put(item, ABSOLUTE, &absolute.as_millis().to_be_bytes());
    }
    put(item, EPOCH, &meta.epoch.to_be_bytes());
    if let Some(principal) = meta.principal {
        flags |= HAS_PRINCIPAL;
        put(item, PRINCIPAL, principal.as_bytes());
    }
    let mut count = 0;
    for (op, at) in record.ops.iter().zip(OPS.step_by(TOKEN)) {
        put(item, at..at + TOKEN, op.as_bytes());
        count += 1;
    }
    put(item, OPS_COUNT..OPS_COUNT + 1, &[count]);
    flags
}

fn put(item: &mut [u8], range: Range<usize>, bytes: &[u8]) {
    if let Some(place) = item.get_mut(range).filter(|place| place.len() == bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Of everything but itself.
fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header.get(..CHECKSUM.start).unwrap_or_default());
    hasher.update(payload);
    hasher.finalize()
}

/// The slot that an item stands for, and how many entries follow the snapshot.
pub(crate) fn decode(mut item: Bytes) -> Result<(Slot, usize), Damage> {
    let (header, rest) = item.split_at_checked(HEADER).ok_or(Damage)?;
    if header.get(..MAGIC.len()) != Some(MAGIC) {
        return Err(Damage);
    }
    let length = usize::try_from(number::<4>(header, LENGTH)?).map_err(|_large| Damage)?;
    let (payload, entries) = rest.split_at_checked(length).ok_or(Damage)?;
    let entries = entries.chunks_exact(ENTRY);
    if number::<4>(header, CHECKSUM)? != u64::from(checksum(header, payload))
        || !entries.remainder().is_empty()
    {
        return Err(Damage);
    }
    let flags = *header.get(FLAGS).ok_or(Damage)?;
    let record = (flags & HAS_RECORD != 0).then(|| record(header, flags)).transpose()?;
    let holder = (flags & HAS_HOLDER != 0).then(|| holder(header)).transpose()?;
    let mut slot = Slot::new(record, holder);
    let count = entries.len();
    for entry in entries {
        let (event, at) = Event::decode(entry)?;
        event.apply(&mut slot, at);
    }
    if let Some(record) = &mut slot.record {
        item.truncate(HEADER + length);
        item.advance(HEADER);
        record.payload = item;
    }
    Ok((slot, count))
}

/// The record, without its payload.
fn record(item: &[u8], flags: u8) -> Result<StoredRecord, Damage> {
    let absolute = Timestamp::from_millis(number::<8>(item, ABSOLUTE)?);
    let principal = PrincipalDigest::from_bytes(array(item, PRINCIPAL)?);
    let meta = Meta::new()
        .with_absolute_deadline((flags & HAS_ABSOLUTE != 0).then_some(absolute))
        .with_principal(
            (flags & HAS_PRINCIPAL != 0).then_some(principal),
            number::<8>(item, EPOCH)?,
        );
    let count = usize::from(*item.get(OPS_COUNT).ok_or(Damage)?);
    if count > REMEMBERED_OPS as usize {
        return Err(Damage);
    }
    let ops = item.get(OPS).ok_or(Damage)?.chunks_exact(TOKEN).take(count);
    let ops: Option<RecentOps> =
        ops.map(|op| op.try_into().ok().map(OpToken::from_bytes)).collect();
    let deadline = match number::<8>(item, DEADLINE)? {
        u64::MAX => Deadline::NEVER,
        millis => Deadline::at(Timestamp::from_millis(millis)),
    };
    Ok(StoredRecord::new(
        Bytes::new(),
        meta,
        Incarnation::from_bytes(array(item, INCARNATION)?),
        number::<8>(item, VERSION)?,
        ops.ok_or(Damage)?,
        deadline,
    ))
}

fn holder(item: &[u8]) -> Result<Holder, Damage> {
    let token = OpToken::from_bytes(array(item, HOLDER)?);
    Ok(Holder::new(token, Timestamp::from_millis(number::<8>(item, UNTIL)?)))
}

fn array<const N: usize>(bytes: &[u8], range: Range<usize>) -> Result<[u8; N], Damage> {
    bytes.get(range).and_then(|part| part.try_into().ok()).ok_or(Damage)
}

fn number<const N: usize>(bytes: &[u8], range: Range<usize>) -> Result<u64, Damage> {
    let bytes: [u8; N] = array(bytes, range)?;
    Ok(bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

/// A server's clock counts seconds, and is up to one behind; another one is for its timer.
const MARGIN: u64 = 2;
/// Expiries beyond this are moments in the server's eyes, not durations.
const LONGEST_DURATION: u64 = 30 * 24 * 60 * 60;
/// How far the server's wall clock may be behind ours, where only a moment can be told.
const CLOCKS: u64 = 24 * 60 * 60;

/// When the server may drop the item: a while after it is worth nothing any more. Zero for never.
pub(crate) fn expiry(slot: &Slot, now: Timestamp) -> u32 {
    let Some(end) = end(slot) else { return 0 };
    let seconds = end.as_millis().saturating_sub(now.as_millis()).div_ceil(1_000);
    let seconds = seconds.saturating_add(MARGIN);
    let expiry = if seconds <= LONGEST_DURATION {
        seconds
    } else {
        // Beyond what the server can count in 2038, it never drops it; the deadline holds anyway.
        (now.as_millis() / 1_000).saturating_add(seconds).saturating_add(CLOCKS)
    };
    i32::try_from(expiry).map_or(0, i32::unsigned_abs)
}

/// The moment from which the item is worth nothing; none that never comes.
fn end(slot: &Slot) -> Option<Timestamp> {
    let held = slot.holder.map_or(Timestamp::default(), |holder| holder.until);
    match &slot.record {
        Some(record) => record.deadline.timestamp().map(|deadline| deadline.max(held)),
        None => Some(held),
    }
}

/// Whether the server keeps an item for as long as the lock is held that may have been taken or
/// renewed by an entry, which does not change when the server drops it.
pub(crate) fn outlives_its_lock(slot: &Slot) -> bool {
    match (&slot.record, slot.holder) {
        (_, None) => true,
        (Some(record), Some(holder)) => {
            record.deadline.timestamp().is_none_or(|deadline| holder.until <= deadline)
        }
        (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests;
