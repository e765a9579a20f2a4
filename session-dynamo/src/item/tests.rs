use std::time::Duration;

use session_core::{Error, LockRequest, Write};

use super::*;
use crate::BACKEND;

const NOW: Timestamp = Timestamp::from_millis(1_500);

fn op(n: u8) -> OpToken {
    OpToken::from_bytes([n; 16])
}

/// A slot after so many commits, with everything that there can be.
fn slot(commits: u8) -> Result<Slot, Error> {
    let mut slot = Slot::default();
    let meta = Meta::new()
        .with_absolute_deadline(Some(Timestamp::from_millis(99_999)))
        .with_principal(Some(PrincipalDigest::from_bytes([7; 32])), 3);
    let write = || Write::new("payload", Duration::from_secs(60)).with_meta(meta);
    slot.create(BACKEND, write(), op(1), None, NOW)?;
    for n in 2..=commits {
        slot.save(BACKEND, write(), session_core::Expected::Any, op(n), NOW)?;
    }
    let request = LockRequest::new(op(200), Duration::from_secs(5), Duration::ZERO);
    slot.lock(request.op, request.lease, NOW);
    Ok(slot)
}

fn stored(slot: &Slot) -> Attributes {
    encode(slot).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[test]
fn what_is_stored_is_read_back_after_any_number_of_commits() {
    for commits in 1..12 {
        let slot = slot(commits).unwrap();
        assert_eq!(decode(&stored(&slot)).unwrap(), slot, "after {commits} commits");
    }
    let mut lock_only = slot(1).unwrap();
    lock_only.record = None;
    assert_eq!(decode(&stored(&lock_only)).unwrap(), lock_only);
}

#[test]
fn an_expiry_is_in_whole_seconds_rounded_up_and_covers_the_lock() {
    let mut slot = slot(1).unwrap();
    assert_eq!(encode(&slot)[EXPIRES], number(62));
    let holder = slot.holder.as_mut().unwrap();
    holder.until = NOW.after(Duration::from_secs(600));
    assert_eq!(encode(&slot)[EXPIRES], number(602));
    slot.record.as_mut().unwrap().deadline = Deadline::NEVER;
    assert_eq!(encode(&slot)[EXPIRES], number(NEVER));
}

#[test]
fn damage_is_seen_in_every_part_of_a_commit() {
    let item = stored(&slot(5).unwrap());
    for name in [FORMAT, PAYLOAD, CHECKSUM, VERSION, DEADLINE, ABSOLUTE, EPOCH, PRINCIPAL, UNTIL] {
        let mut damaged = item.clone();
        damaged.remove(name);
        assert_eq!(decode(&damaged), Err(Damage), "without {name}");
        let mut damaged = item.clone();
        damaged.insert(name.to_owned(), AttributeValue::Bool(true));
        assert_eq!(decode(&damaged), Err(Damage), "{name} of another type");
    }
    let mut damaged = item.clone();
    damaged.insert(PAYLOAD.to_owned(), bytes(b"paylord".to_vec()));
    assert_eq!(decode(&damaged), Err(Damage));
    let mut folded = item.clone();
    folded.insert(UNFOLDED.to_owned(), number(7));
    assert_eq!(decode(&folded), Err(Damage), "as if it were compressed");
    let mut newer = item;
    newer.insert(FORMAT.to_owned(), number(2));
    assert_eq!(decode(&newer), Err(Damage));
}

#[test]
fn an_item_has_room_beside_the_largest_payload() {
    let item = stored(&slot(5).unwrap());
    let around = size(&item) - "payload".len() + ID.len() + 43;
    assert!(around <= OVERHEAD, "{around}");
}

#[test]
fn a_large_payload_is_stored_compressed_and_damage_in_it_is_seen() {
    let mut slot = slot(2).unwrap();
    let text = "name=value;".repeat(1_000);
    slot.record.as_mut().unwrap().payload = text.clone().into();
    let item = stored(&slot);
    assert!(size(&item) < text.len() / 5);
    assert_eq!(decode(&item).unwrap(), slot);
    for damage in [number(text.len() - 1), number(text.len() + 1), number(u64::MAX), bytes([1])] {
        let mut damaged = item.clone();
        damaged.insert(UNFOLDED.to_owned(), damage);
        assert_eq!(decode(&damaged), Err(Damage));
    }
    let mut raw = item;
    raw.remove(UNFOLDED);
    assert_eq!(decode(&raw), Err(Damage), "as if it were not compressed");
}
