//! SEC-01 and SEC-02: what the ids are made of that go into cookies.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashSet;

use data_encoding::BASE64URL_NOPAD;
use session_core::SessionId;

const IDS: usize = 50_000;

fn ids() -> Vec<[u8; 32]> {
    let id = |_| {
        let id = SessionId::generate().unwrap();
        BASE64URL_NOPAD.decode(id.expose().as_bytes()).unwrap().try_into().unwrap()
    };
    (0..IDS).map(id).collect()
}

#[test]
fn sec_01_ids_are_256_bits_without_bias_or_repetition() {
    let ids = ids();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), IDS);
    for bit in 0..256 {
        let is_set = |id: &&[u8; 32]| id.get(bit / 8).unwrap() >> (bit % 8) & 1 == 1;
        let set = ids.iter().filter(is_set).count();
        // Ten standard deviations: half the root of the number of ids each.
        assert!(set.abs_diff(IDS / 2) < 1_120, "bit {bit} is set in {set} of {IDS}");
    }
}

/// A user, a time or a node in the id would make neighbours alike.
#[test]
fn sec_02_ids_that_follow_each_other_have_nothing_in_common() {
    let ids = ids();
    let pairs = ids.iter().zip(ids.iter().skip(1));
    for (one, next) in pairs {
        let equal = one.iter().zip(next).filter(|(a, b)| a == b).count();
        assert!(equal < 8, "{equal} bytes of 32 are the same");
    }
}
