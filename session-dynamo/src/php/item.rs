//! PHP's item, and the contract's slot that it stands for.
//!
//! A lock of PHP's is the number 1. A lock of ours is a number as well, which tells when it ends and
//! whose it is; PHP looks only whether there is one.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use bytes::Bytes;
use session_core::{
    Deadline, Holder, Incarnation, Lease, Meta, OpToken, RecentOps, Record, Revision, Slot,
    StoredRecord, Timestamp,
};

use super::layout::{LOCK, PhpData, PhpLayout};
use crate::item::Attributes;

/// In a lock's number, what the milliseconds of its end are multiplied with.
const SHIFT: u128 = 100_000_000_000_000_000_000;
/// In place of an end, for what has none: the last second of the year 9999.
const NEVER: u64 = 253_402_300_799;
/// The holder of a lock that has no owner and no end.
pub(super) const PHP: OpToken = OpToken::from_bytes([0; 16]);

/// An item that PHP cannot have made.
#[derive(Debug)]
pub(super) struct Damage;

/// As much of a token as there is room for in a number.
pub(super) fn short(token: OpToken) -> OpToken {
    let mut short = [0; 16];
    // The last byte tells it from PHP's.
    short.iter_mut().zip(token.as_bytes()).take(8).for_each(|(to, from)| *to = *from);
    if let Some(last) = short.last_mut() {
        *last = 1;
    }
    OpToken::from_bytes(short)
}

/// A lease with as much of its token as is stored.
pub(super) fn short_lease(lease: &Lease) -> Lease {
    Lease::new(short(lease.token()), lease.duration())
}

/// The slot that an item stands for. A record without an end of its life is none to PHP.
pub(super) fn decode(item: &Attributes, layout: &PhpLayout) -> Result<Slot, Damage> {
    let holder = item.get(LOCK).map(holder).transpose()?;
    let Some(expires) = item.get(&layout.lifetime_attribute) else {
        return Ok(Slot::new(None, holder));
    };
    let seconds: u64 = expires.as_n().map_err(|_other| Damage)?.parse().map_err(|_odd| Damage)?;
    let deadline = if seconds >= NEVER {
        Deadline::NEVER
    } else {
        Deadline::at(Timestamp::from_millis(seconds.saturating_mul(1_000)))
    };
    let payload = match item.get(&layout.data_attribute) {
        None => Bytes::new(),
        Some(AttributeValue::S(text)) => Bytes::copy_from_slice(text.as_bytes()),
        Some(AttributeValue::B(blob)) => Bytes::copy_from_slice(blob.as_ref()),
        Some(_) => return Err(Damage),
    };
    let ops = RecentOps::from_iter([]);
    let record = StoredRecord::new(payload, Meta::new(), Incarnation::NONE, VERSION, ops, deadline);
    Ok(Slot::new(Some(record), holder))
}

/// The version of every record that was read: the rule compares it, and the bytes are compared here.
const VERSION: u64 = 1;

/// The revision as the rule compares it.
pub(super) fn counted(slot: &Slot, revision: Revision) -> Revision {
    let is_it =
        slot.record.as_ref().is_some_and(|record| revision == Revision::of_bytes(&record.payload));
    Revision::counted(Incarnation::NONE, if is_it { VERSION } else { VERSION + 1 })
}

/// The record as callers see it.
pub(super) fn shown(record: Record) -> Record {
    let revision = Revision::of_bytes(&record.payload);
    Record::new(record.payload, record.meta, revision, record.remaining)
}

fn holder(lock: &AttributeValue) -> Result<Holder, Damage> {
    let number: u128 = lock.as_n().map_err(|_other| Damage)?.parse().map_err(|_odd| Damage)?;
    if number < SHIFT {
        return Ok(Holder::new(PHP, Timestamp::from_millis(u64::MAX)));
    }
    let until = u64::try_from(number / SHIFT).map_err(|_large| Damage)?;
    let token = u64::try_from(number % SHIFT).map_err(|_large| Damage)?;
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(token.to_be_bytes()).for_each(|(to, from)| *to = from);
    Ok(Holder::new(short(OpToken::from_bytes(bytes)), Timestamp::from_millis(until)))
}

/// The lock of a holder.
pub(super) fn lock(holder: Holder) -> AttributeValue {
    if holder.token == PHP {
        return AttributeValue::N("1".to_owned());
    }
    let mut token = [0; 8];
    token.iter_mut().zip(holder.token.as_bytes()).for_each(|(to, from)| *to = *from);
    let until = holder.until.as_millis().min(NEVER * 1_000);
    let number = u128::from(until) * SHIFT + u128::from(u64::from_be_bytes(token));
    AttributeValue::N(number.to_string())
}

/// The end of a life, in whole seconds, of which the last one is not cut short.
pub(super) fn expires(deadline: Deadline) -> AttributeValue {
    let seconds = deadline.timestamp().map_or(NEVER, |end| end.as_millis().div_ceil(1_000));
    AttributeValue::N(seconds.min(NEVER).to_string())
}

/// The session's bytes; none for a session without variables.
pub(super) fn data(payload: &[u8], data_type: PhpData) -> Option<AttributeValue> {
    if payload.is_empty() {
        return None;
    }
    Some(match (data_type, str::from_utf8(payload)) {
        (PhpData::Text, Ok(text)) => AttributeValue::S(text.to_owned()),
        _ => AttributeValue::B(Blob::new(payload)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_tells_its_end_and_its_owner_and_phps_has_neither() {
        let token = short(OpToken::from_bytes([255; 16]));
        let until = Timestamp::from_millis(1_800_000_000_000);
        let read = holder(&lock(Holder::new(token, until))).unwrap();
        assert_eq!((read.token, read.until), (token, until));
        let endless = lock(Holder::new(token, Timestamp::from_millis(u64::MAX)));
        assert!(endless.as_n().unwrap().len() <= 38, "DynamoDB's numbers have 38 digits");
        assert!(holder(&endless).unwrap().is_live(Timestamp::from_millis(NEVER)));
        let zero = short(OpToken::from_bytes([0; 16]));
        assert_ne!(zero, PHP);
        assert_eq!(holder(&lock(Holder::new(zero, until))).unwrap().token, zero);
        let php = holder(&AttributeValue::N("1".to_owned())).unwrap();
        assert_eq!(php.token, PHP);
        assert!(php.is_live(until));
        assert_eq!(lock(php), AttributeValue::N("1".to_owned()));
    }

    #[test]
    fn what_php_cannot_have_made_is_damage() {
        let layout = PhpLayout::new(crate::DynamoConfig::new("sessions"));
        let with = |name: &str, value| {
            let n = |text: &str| AttributeValue::N(text.to_owned());
            let mut item = Attributes::from([("expires".to_owned(), n("1"))]);
            item.insert(name.to_owned(), value);
            decode(&item, &layout)
        };
        with("data", AttributeValue::Bool(true)).unwrap_err();
        with("expires", AttributeValue::S("soon".to_owned())).unwrap_err();
        with("lock", AttributeValue::S("1".to_owned())).unwrap_err();
        with("owner", AttributeValue::Bool(true)).unwrap();
    }
}
