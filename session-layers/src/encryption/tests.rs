use data_encoding::HEXLOWER;
use proptest::{collection::vec, option, prelude::*};
use session_core::{KeyDigest, Meta, OpToken, PrincipalDigest, Timestamp};

use super::{
    keys::{EncryptionKey, KeyRing},
    sealed::{OVERHEAD, Place, Unreadable, open, seal},
};

const KEY: KeyDigest = KeyDigest::from_bytes([7; 32]);
const OP: OpToken = OpToken::from_bytes([9; 16]);

fn ring(byte: u8) -> KeyRing {
    KeyRing::new([EncryptionKey::unchecked(&[byte; 32])]).unwrap()
}

fn place<'a>(meta: &'a Meta, namespace: &'a str) -> Place<'a> {
    Place { key: &KEY, meta, namespace }
}

fn meta() -> impl Strategy<Value = Meta> {
    let principal = option::of(any::<[u8; 32]>().prop_map(PrincipalDigest::from_bytes));
    let deadline = option::of(any::<u64>().prop_map(Timestamp::from_millis));
    (principal, any::<u64>(), deadline).prop_map(|(principal, epoch, deadline)| {
        Meta::new().with_principal(principal, epoch).with_absolute_deadline(deadline)
    })
}

/// Written by the first version; what was ever written stays readable.
#[test]
fn what_the_first_version_wrote_is_read_and_written_still() {
    let first = HEXLOWER.decode(include_bytes!("../../testdata/v1.hex").trim_ascii()).unwrap();
    let meta = Meta::new()
        .with_principal(Some(PrincipalDigest::from_bytes([3; 32])), 5)
        .with_absolute_deadline(Some(Timestamp::from_millis(1_800_000_000_000)));
    let place = place(&meta, "shop");
    assert_eq!(open(&ring(1), &place, &first).unwrap(), "hello");
    assert_eq!(seal(&ring(1), &place, OP, b"hello").unwrap(), first);
}

#[test]
fn every_flipped_bit_makes_a_payload_unreadable() {
    let (ring, meta) = (ring(1), Meta::new());
    let sealed = seal(&ring, &place(&meta, ""), OP, b"user=ada").unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let opened = open(&ring, &place(&meta, ""), &flipped);
        let expected = match bit / 8 {
            0..4 => Unreadable::Plain,
            4 => Unreadable::Newer,
            5..13 => Unreadable::UnknownKey,
            _ => Unreadable::Forged,
        };
        assert_eq!(opened, Err(expected), "bit {bit}");
    }
}

#[test]
fn every_part_that_is_missing_makes_a_payload_unreadable() {
    let (ring, meta) = (ring(1), Meta::new());
    let sealed = seal(&ring, &place(&meta, ""), OP, b"user=ada").unwrap();
    for length in 0..sealed.len() {
        let opened = open(&ring, &place(&meta, ""), &sealed[..length]);
        let expected = match length {
            0..4 => Unreadable::Plain,
            4..OVERHEAD => Unreadable::CutOff,
            _ => Unreadable::Forged,
        };
        assert_eq!(opened, Err(expected), "{length} bytes");
    }
}

#[test]
fn sent_again_an_operation_has_the_same_bytes_and_any_other_has_not() {
    let (ring, meta) = (ring(1), Meta::new());
    let sealed = |op, payload| seal(&ring, &place(&meta, ""), op, payload).unwrap();
    assert_eq!(sealed(OP, b"a"), sealed(OP, b"a"));
    let other = sealed(OpToken::from_bytes([8; 16]), b"a");
    assert_ne!(sealed(OP, b"a")[13..37], other[13..37], "one nonce for two operations");
    assert_ne!(sealed(OP, b"a")[13..37], sealed(OP, b"b")[13..37], "one nonce for two payloads");
}

proptest! {
    #[test]
    fn what_was_sealed_opens_in_its_place(
        payload in vec(any::<u8>(), 0..600), op: [u8; 16], meta in meta(), namespace: String,
    ) {
        let (ring, place) = (ring(1), place(&meta, &namespace));
        let sealed = seal(&ring, &place, OpToken::from_bytes(op), &payload).unwrap();
        prop_assert_eq!(sealed.len(), payload.len() + OVERHEAD);
        prop_assert_eq!(open(&ring, &place, &sealed).unwrap(), payload);
    }

    #[test]
    fn nothing_opens_in_another_place(
        payload in vec(any::<u8>(), 0..60), digest: [u8; 32],
        (one, two) in (meta(), meta()), namespaces in ("[ab]{0,2}", "[ab]{0,2}"),
    ) {
        let ring = ring(1);
        let here = Place { key: &KEY, meta: &one, namespace: &namespaces.0 };
        let sealed = seal(&ring, &here, OP, &payload).unwrap();
        let elsewhere = Place { key: &KeyDigest::from_bytes(digest), ..here };
        prop_assert_eq!(open(&ring, &elsewhere, &sealed), Err(Unreadable::Forged));
        let elsewhere = Place { meta: &two, ..here };
        prop_assert_eq!(open(&ring, &elsewhere, &sealed).is_ok(), one == two);
        let elsewhere = Place { namespace: &namespaces.1, ..here };
        let same = namespaces.0 == namespaces.1;
        prop_assert_eq!(open(&ring, &elsewhere, &sealed).is_ok(), same);
    }

    #[test]
    fn no_bytes_open_that_were_not_sealed(mut bytes in vec(any::<u8>(), 0..200), whole: bool) {
        if whole {
            // So that the ciphertext is reached.
            let real = seal(&ring(1), &place(&Meta::new(), ""), OP, b"").unwrap();
            bytes.splice(..bytes.len().min(13), real[..13].iter().copied());
        }
        prop_assert!(open(&ring(1), &place(&Meta::new(), ""), &bytes).is_err());
    }
}
