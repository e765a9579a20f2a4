//! What is stored: one item a session, with an attribute for everything that a condition compares. See
//! `docs/formats/dynamodb.md`.

use std::{
    collections::{BTreeMap, HashMap},
    str::FromStr,
};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use bytes::Bytes;
use session_core::{
    Deadline, Holder, Incarnation, Meta, OpToken, PrincipalDigest, REMEMBERED_OPS, RecentOps, Slot,
    StoredRecord, Timestamp,
};

use crate::folded::{fold, unfold};

/// The hash key.
pub(crate) const ID: &str = "id";
pub(crate) const FORMAT: &str = "f";
pub(crate) const PAYLOAD: &str = "d";
/// How long the payload is, where it is stored compressed.
pub(crate) const UNFOLDED: &str = "z";
pub(crate) const CHECKSUM: &str = "c";
pub(crate) const INCARNATION: &str = "i";
pub(crate) const VERSION: &str = "v";
pub(crate) const DEADLINE: &str = "x";
pub(crate) const ABSOLUTE: &str = "a";
pub(crate) const EPOCH: &str = "e";
pub(crate) const PRINCIPAL: &str = "p";
pub(crate) const HOLDER: &str = "h";
pub(crate) const UNTIL: &str = "u";
/// Of a lock: held for one write.
pub(crate) const WRITES: &str = "w";
/// Of a lock: taken over from somebody who did not give it back.
pub(crate) const OVER: &str = "n";
/// Where the leases of the table are, in the item that says so.
pub(crate) const MARK: &str = "l";
/// Stands for the attribute of DynamoDB's own expiry, whose name is a setting.
pub(crate) const EXPIRES: &str = "#t";
/// The tokens of the last commits: the one of the commit `n` has the place `n` modulo their number.
pub(crate) const OPS: [&str; REMEMBERED_OPS as usize] = ["o0", "o1", "o2", "o3"];

/// What belongs to the record, and goes with it.
pub(crate) const OF_RECORD: [&str; 13] = [
    PAYLOAD,
    UNFOLDED,
    CHECKSUM,
    INCARNATION,
    VERSION,
    DEADLINE,
    ABSOLUTE,
    EPOCH,
    PRINCIPAL,
    "o0",
    "o1",
    "o2",
    "o3",
];
/// What tells one state of an item from every other one.
pub(crate) const TELLING: [&str; 7] =
    [FORMAT, INCARNATION, VERSION, DEADLINE, HOLDER, UNTIL, EXPIRES];

/// The format of what is stored.
pub(crate) const FORMAT_1: u64 = 1;
/// In place of an expiry, for what has none: the last second of the year 9999.
const NEVER: u64 = 253_402_300_799;
/// The largest item that DynamoDB takes, names included.
pub(crate) const LARGEST_ITEM: usize = 400 * 1_024;
/// How much larger an item may be than its payload, without its prefix: names, numbers, tokens.
pub(crate) const OVERHEAD: usize = 512;

/// The attributes of an item as DynamoDB tells them.
pub(crate) type Attributes = HashMap<String, AttributeValue>;
/// Attributes by their names in expressions.
pub(crate) type Values = BTreeMap<&'static str, AttributeValue>;

/// What is stored is damaged, or is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage;

/// A number.
pub(crate) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Bytes.
pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// The attributes of a slot, all but the key.
pub(crate) fn encode(slot: &Slot) -> Values {
    let mut values = Values::from([(FORMAT, number(FORMAT_1))]);
    if let Some(record) = &slot.record {
        values.extend(encode_record(record));
    }
    if let Some(holder) = slot.holder {
        values.insert(HOLDER, bytes(*holder.token.as_bytes()));
        values.insert(UNTIL, number(holder.until.as_millis()));
    }
    values.insert(EXPIRES, number(expires(slot)));
    values
}

fn encode_record(record: &StoredRecord) -> Values {
    let mut values = encode_commit(record);
    let first = record.version.saturating_sub(record.ops.iter().len() as u64);
    for (version, op) in (first + 1..).zip(&record.ops) {
        values.insert(place_of(version), bytes(*op.as_bytes()));
    }
    values
}

/// What a commit sets, but for its token.
pub(crate) fn encode_commit(record: &StoredRecord) -> Values {
    let meta = &record.meta;
    let folded = fold(&record.payload);
    let unfolded = folded.is_some().then(|| (UNFOLDED, number(record.payload.len())));
    let mut values = Values::from([
        (PAYLOAD, bytes(folded.unwrap_or_else(|| record.payload.to_vec()))),
        (CHECKSUM, number(checksum(record))),
        (INCARNATION, bytes(*record.incarnation.as_bytes())),
        (VERSION, number(record.version)),
        (DEADLINE, number(deadline_millis(record.deadline))),
    ]);
    values.extend(unfolded);
    values.extend(meta.absolute_deadline.map(|at| (ABSOLUTE, number(at.as_millis()))));
    values.extend((meta.epoch > 0).then(|| (EPOCH, number(meta.epoch))));
    values.extend(meta.principal.map(|digest| (PRINCIPAL, bytes(*digest.as_bytes()))));
    values
}

/// Where the token of a commit is.
pub(crate) fn place_of(version: u64) -> &'static str {
    let [zero, one, two, three] = OPS;
    match version % OPS.len() as u64 {
        0 => zero,
        1 => one,
        2 => two,
        _ => three,
    }
}

/// A deadline as a number, which for none is larger than all others.
pub(crate) fn deadline_millis(deadline: Deadline) -> u64 {
    deadline.timestamp().map_or(u64::MAX, Timestamp::as_millis)
}

/// From when on DynamoDB may remove what lasts until then, in seconds.
pub(crate) fn expires_at(deadline: Deadline) -> u64 {
    deadline.timestamp().map_or(NEVER, seconds)
}

/// A moment in seconds, rounded up.
pub(crate) fn seconds(at: Timestamp) -> u64 {
    at.as_millis().div_ceil(1_000).min(NEVER)
}

fn expires(slot: &Slot) -> u64 {
    let record = slot.record.as_ref().map_or(0, |record| expires_at(record.deadline));
    record.max(slot.holder.map_or(0, |holder| seconds(holder.until)))
}

/// Of the payload, and of everything that changes only with it.
fn checksum(record: &StoredRecord) -> u32 {
    let meta = &record.meta;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(record.incarnation.as_bytes());
    hasher.update(&record.version.to_be_bytes());
    hasher.update(&meta.epoch.to_be_bytes());
    let absolute = meta.absolute_deadline.map_or(u64::MAX, Timestamp::as_millis);
    hasher.update(&absolute.to_be_bytes());
    hasher.update(meta.principal.as_ref().map_or(&[][..], |digest| digest.as_bytes()));
    hasher.update(&record.payload);
    hasher.finalize()
}

/// The slot that an item stands for.
pub(crate) fn decode(item: &Attributes) -> Result<Slot, Damage> {
    if need::<u64>(item, FORMAT)? != FORMAT_1 {
        return Err(Damage);
    }
    let record = item.contains_key(INCARNATION).then(|| decode_record(item)).transpose()?;
    Ok(Slot::new(record, decode_holder(item)?))
}

/// Who holds the lock of an item, of which more need not be known.
pub(crate) fn decode_holder(item: &Attributes) -> Result<Option<Holder>, Damage> {
    let Some(token) = array(item, HOLDER)? else { return Ok(None) };
    let until = Timestamp::from_millis(need(item, UNTIL)?);
    Ok(Some(Holder::new(OpToken::from_bytes(token), until)))
}

fn decode_record(item: &Attributes) -> Result<StoredRecord, Damage> {
    let payload = match item.get(PAYLOAD) {
        Some(AttributeValue::B(stored)) => payload(stored.as_ref(), read(item, UNFOLDED)?)?,
        _ => return Err(Damage),
    };
    let meta = Meta::new()
        .with_absolute_deadline(read(item, ABSOLUTE)?.map(Timestamp::from_millis))
        .with_principal(
            array(item, PRINCIPAL)?.map(PrincipalDigest::from_bytes),
            read(item, EPOCH)?.unwrap_or_default(),
        );
    let deadline = match need(item, DEADLINE)? {
        u64::MAX => Deadline::NEVER,
        millis => Deadline::at(Timestamp::from_millis(millis)),
    };
    let incarnation = Incarnation::from_bytes(array(item, INCARNATION)?.ok_or(Damage)?);
    let version = need(item, VERSION)?;
    let ops = decode_ops(item, version)?;
    let record = StoredRecord::new(payload, meta, incarnation, version, ops, deadline);
    if need::<u32>(item, CHECKSUM)? != checksum(&record) {
        return Err(Damage);
    }
    Ok(record)
}

fn payload(stored: &[u8], unfolded: Option<usize>) -> Result<Bytes, Damage> {
    match unfolded {
        None => Ok(Bytes::copy_from_slice(stored)),
        Some(len) => unfold(stored, len, LARGEST_ITEM),
    }
}

fn decode_ops(item: &Attributes, version: u64) -> Result<RecentOps, Damage> {
    let mut newest_first = Vec::new();
    for back in 0..u64::from(REMEMBERED_OPS).min(version) {
        let Some(token) = array(item, place_of(version - back))? else { break };
        newest_first.push(OpToken::from_bytes(token));
    }
    Ok(newest_first.into_iter().rev().collect())
}

fn need<T: FromStr>(item: &Attributes, name: &str) -> Result<T, Damage> {
    read(item, name)?.ok_or(Damage)
}

fn read<T: FromStr>(item: &Attributes, name: &str) -> Result<Option<T>, Damage> {
    match item.get(name) {
        None => Ok(None),
        Some(AttributeValue::N(number)) => number.parse().map(Some).map_err(|_not_one| Damage),
        Some(_) => Err(Damage),
    }
}

fn array<const N: usize>(item: &Attributes, name: &str) -> Result<Option<[u8; N]>, Damage> {
    match item.get(name) {
        None => Ok(None),
        Some(AttributeValue::B(bytes)) => {
            bytes.as_ref().try_into().map(Some).map_err(|_length| Damage)
        }
        Some(_) => Err(Damage),
    }
}

/// How much DynamoDB counts for an item, about: names and values.
pub(crate) fn size(item: &Attributes) -> usize {
    let values = item.iter().map(|(name, value)| {
        name.len()
            + match value {
                AttributeValue::B(bytes) => bytes.as_ref().len(),
                AttributeValue::S(text) => text.len(),
                AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
                _ => 1,
            }
    });
    values.sum()
}

#[cfg(test)]
mod tests;
