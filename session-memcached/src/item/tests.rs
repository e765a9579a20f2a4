use proptest::prelude::*;
use session_core::{ErrorKind, LockOutcome, Ttl, Write};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn op(n: u8) -> OpToken {
    OpToken::from_bytes([n; 16])
}

fn slot() -> Slot {
    let mut slot = Slot::default();
    let principal = Some(PrincipalDigest::from_bytes([7; 32]));
    let meta = Meta::new()
        .with_principal(principal, 3)
        .with_absolute_deadline(Some(NOW.after(SECOND * 100)));
    let write = Write::new("payload", SECOND * 60).with_meta(meta);
    slot.create(BACKEND, write, op(1), None, NOW).unwrap();
    slot
}

fn with(slot: &Slot, events: &[(Event, Timestamp)]) -> Bytes {
    let mut item = [&header(slot), payload(slot)].concat();
    for (event, at) in events {
        item.extend(event.encode(*at));
    }
    item.into()
}

#[test]
fn a_slot_comes_back_as_it_was() {
    let mut held = slot();
    assert_eq!(held.lock(op(2), SECOND, NOW), LockOutcome::Granted);
    let mut lock_only = Slot::default();
    lock_only.lock(op(2), SECOND, NOW);
    for slot in [slot(), held, lock_only, Slot::default()] {
        assert_eq!(decode(with(&slot, &[])), Ok((slot, 0)));
    }
}

#[test]
fn entries_count_in_their_order() {
    let claims = [
        (Event::Lock(op(2), SECOND), NOW),
        (Event::Lock(op(3), SECOND), NOW.after(SECOND / 2)),
        (Event::Renew(op(3), SECOND * 9), NOW.after(SECOND / 2)),
        (Event::Release(op(3)), NOW.after(SECOND / 2)),
    ];
    let slot = slot();
    let holder = |events: &[(Event, Timestamp)]| {
        let (read, count) = decode(with(&slot, events)).unwrap();
        assert_eq!((&read.record, count), (&slot.record, events.len()));
        read.holder.map(|holder| (holder.token, holder.until))
    };
    assert_eq!(holder(&claims), Some((op(2), NOW.after(SECOND))));
    let late = [claims[0], (Event::Lock(op(3), SECOND), NOW.after(SECOND))];
    assert_eq!(holder(&late), Some((op(3), NOW.after(SECOND * 2))));
    assert_eq!(holder(&[claims[0], (Event::Release(op(2)), NOW)]), None);
    let renewed = [claims[0], (Event::Renew(op(2), SECOND * 5), NOW)];
    assert_eq!(holder(&renewed), Some((op(2), NOW.after(SECOND * 5))));
}

#[test]
fn an_entry_does_what_the_operation_does() {
    let mut slot = slot();
    let before = with(&slot, &[(Event::Lock(op(2), SECOND), NOW)]);
    slot.lock(op(2), SECOND, NOW);
    assert_eq!(decode(before).unwrap().0, slot);
    let refused = slot.renew(BACKEND, &Lease::new(op(9), SECOND), SECOND, NOW).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockLost);
}

#[test]
fn the_server_never_drops_too_early_and_knows_no_endless_second() {
    let of = |ttl: Ttl| {
        let mut slot = Slot::default();
        slot.create(BACKEND, Write::new("x", ttl), op(1), None, NOW).unwrap();
        expiry(&slot, NOW)
    };
    assert_eq!(of(Duration::from_millis(1).into()), 3);
    assert_eq!(of(Duration::from_millis(1_001).into()), 4);
    assert_eq!(of(Duration::from_secs(2_592_000 - 2).into()), 2_592_000);
    let month = of(Duration::from_secs(2_592_000 - 1).into());
    assert_eq!(month, 1_700_000_000 + 2_592_001 + 86_400);
    assert_eq!(of(Duration::from_secs(100 * 365 * 86_400).into()), 0);
    assert_eq!(of(Ttl::NEVER), 0);
    let mut lock_only = Slot::default();
    lock_only.lock(op(1), SECOND, NOW);
    assert_eq!(expiry(&lock_only, NOW), 3);
}

proptest! {
    #[test]
    fn whatever_is_damaged_is_seen(at in 0_usize..400, flip in 1_u8..=255, cut in 0_usize..400) {
        let item = with(&slot(), &[(Event::Lock(op(2), SECOND), NOW), (Event::Release(op(2)), NOW)]);
        let mut flipped = item.to_vec();
        let at = at % flipped.len();
        flipped[at] ^= flip;
        prop_assert_eq!(decode(flipped.into()), Err(Damage));
        let cut = cut % item.len();
        let whole_entries = cut >= HEADER + 7 && (cut - HEADER - 7).is_multiple_of(ENTRY);
        prop_assert_eq!(decode(item.slice(..cut)).is_err(), !whole_entries);
    }

    #[test]
    fn what_is_not_ours_is_damage(item in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(decode(item.into()), Err(Damage));
    }
}
