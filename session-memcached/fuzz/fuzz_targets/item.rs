//! What is stored under a key; see the README of this folder.

#![no_main]
#![allow(dead_code, reason = "the crate uses all of it")]

use bytes::Bytes;

#[path = "../../src/item.rs"]
mod item;

/// What `item.rs` takes from its crate.
const BACKEND: &str = "memcached";

const HEADER: usize = 184;
const ENTRY: usize = 37;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    drop(item::decode(Bytes::copy_from_slice(input)));
    let Some(signed) = signed(input) else { return };
    let Ok((slot, entries)) = item::decode(signed.into()) else { return };
    assert!(entries <= input.len() / ENTRY);
    let again = [&item::header(&slot), item::payload(&slot)].concat();
    assert_eq!(item::decode(again.into()).ok(), Some((slot, 0)), "what was read can be written");
});

/// The input with checksums that are right, which a fuzzer does not find by itself.
fn signed(input: &[u8]) -> Option<Vec<u8>> {
    let mut item = input.to_vec();
    item.get_mut(..4)?.copy_from_slice(b"S1M\0");
    let length = u32::from_be_bytes(item.get(8..12)?.try_into().ok()?) as usize;
    let end = HEADER.checked_add(length)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(item.get(..HEADER - 4)?);
    hasher.update(item.get(HEADER..end)?);
    item.get_mut(HEADER - 4..HEADER)?.copy_from_slice(&hasher.finalize().to_be_bytes());
    for entry in item.get_mut(end..)?.chunks_exact_mut(ENTRY) {
        let (told, checksum) = entry.split_at_mut(ENTRY - 4);
        checksum.copy_from_slice(&crc32fast::hash(told).to_be_bytes());
    }
    Some(item)
}
