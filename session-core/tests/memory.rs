//! What hostile payloads cost. One test only, as it watches the memory of the whole process.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::large_enum_variant,
    reason = "a test may fail, and large elements are what it is about"
)]

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use peak_alloc::PeakAlloc;
use serde::{Deserialize, de::DeserializeOwned};
use session_core::{Codec, Document, Entries, Format, NativeFormat, Timestamp, decode_as};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What errors and the like may cost.
const SLACK: usize = 4096;

/// The most bytes that were held at once during `run`, beyond those that were held before.
fn cost<T>(run: impl FnOnce() -> T) -> usize {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    drop(run());
    ALLOCATOR.peak_usage() - before
}

#[test]
fn sec_42_hostile_payloads_cost_in_proportion_to_their_length() {
    values_are_not_copied();
    the_index_of_entries_is_bounded();
    a_count_is_not_believed();
    #[cfg(feature = "lz4")]
    a_compression_bomb_is_not_unfolded();
    announced_lengths_are_not_believed();
    lists_cost_what_they_hold();
}

fn written(entries: impl IntoIterator<Item = (String, Vec<u8>)>) -> Bytes {
    let mut document = Document::new(Codec::default(), Timestamp::default());
    for (name, value) in entries {
        document.entries.insert(&name, value);
    }
    NativeFormat::default().encode(&document).unwrap()
}

fn decoding(payload: &Bytes) -> usize {
    cost(|| NativeFormat::default().decode(payload))
}

fn values_are_not_copied() {
    let payload = written([("large".to_owned(), vec![7; 1 << 20])]);
    assert!(decoding(&payload) < SLACK);
}

/// The bound that the documentation of `NativeFormat` states.
fn the_index_of_entries_is_bounded() {
    for entries in [1_000, Entries::MAX_LEN] {
        let payload = written((0..entries).map(|n| (format!("{n:x}"), Vec::new())));
        let cost = decoding(&payload);
        assert!(cost < 128 * entries, "{cost} bytes for {entries} entries");
    }
}

fn a_count_is_not_believed() {
    let payload = written([("a".to_owned(), vec![1])]);
    for count in [u32::MAX, 16_384, 1_000, 3] {
        let mut hostile = payload.to_vec();
        hostile[18..22].copy_from_slice(&count.to_le_bytes());
        let hostile = Bytes::from(hostile);
        assert!(decoding(&hostile) < SLACK, "{count}");
    }
}

#[cfg(feature = "lz4")]
fn a_compression_bomb_is_not_unfolded() {
    use session_core::Compression;

    let mut document = Document::new(Codec::default(), Timestamp::default());
    document.entries.insert("zeros", vec![0; 4 << 20]);
    let bomb = NativeFormat::default().compression(Compression::LZ4).encode(&document).unwrap();
    assert!(bomb.len() < 32 * 1024);
    let strict = NativeFormat::default().max_decompressed(1 << 20);
    assert!(cost(|| strict.decode(&bomb).unwrap_err()) < SLACK);
    assert!(decoding(&bomb) < (4 << 20) + 2 * SLACK);

    let mut liar = bomb.slice(..1_000).to_vec();
    liar[18..22].copy_from_slice(&(7_u32 << 20).to_le_bytes());
    let liar = Bytes::from(liar);
    assert!(decoding(&liar) < SLACK);
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only what it costs counts")]
enum Nested {
    List(Vec<Self>),
    Map(HashMap<String, Self>),
    Large([u128; 32]),
}

fn announced_lengths_are_not_believed() {
    let max = u32::MAX.to_be_bytes();
    for marker in [0xC6, 0xDB, 0xDD, 0xDF] {
        let announced = [&[marker][..], &max].concat();
        all_types(Codec::MessagePack, &announced);
        // Each list is the first element of the one around it.
        for levels in [2, 10, 100, 1000] {
            all_types(Codec::MessagePack, &[&[0xDD][..], &max].concat().repeat(levels));
            let enums = [&[0x81, 0xA4][..], b"List", &[0xDD], &max].concat();
            all_types(Codec::MessagePack, &enums.repeat(levels));
        }
    }
    // As many elements as there are bytes, but of the wrong type.
    all_types(Codec::MessagePack, &[&[0xDC, 0x27, 0x10][..], &[0xC2; 10_000]].concat());
    all_types(Codec::MessagePack, &[&[0xDE, 0x13, 0x88][..], &[0xC2; 10_000]].concat());
    #[cfg(feature = "bincode")]
    for len in [u64::from(u32::MAX), u64::MAX] {
        let announced = [&[253][..], &len.to_le_bytes()].concat();
        for levels in [1, 10, 100] {
            all_types(Codec::Bincode, &announced.repeat(levels));
            all_types(Codec::Bincode, &[&[0], &announced[..]].concat().repeat(levels));
        }
    }
    for text in ["[", r#"{"List":["#, r#"{"a":"#] {
        all_types(Codec::Json, text.repeat(1000).as_bytes());
    }
}

fn all_types(codec: Codec, bytes: &[u8]) {
    bounded::<String>(codec, bytes);
    bounded::<Vec<()>>(codec, bytes);
    bounded::<Vec<u8>>(codec, bytes);
    bounded::<Vec<[u64; 32]>>(codec, bytes);
    bounded::<Vec<Vec<Vec<String>>>>(codec, bytes);
    bounded::<HashSet<u64>>(codec, bytes);
    bounded::<BTreeMap<String, Vec<u64>>>(codec, bytes);
    bounded::<Nested>(codec, bytes);
}

fn bounded<T: DeserializeOwned>(codec: Codec, bytes: &[u8]) {
    let cost = cost(|| decode_as::<T>(&NativeFormat::default(), codec, bytes).err());
    let len = bytes.len();
    let name = std::any::type_name::<T>();
    assert!(cost < SLACK + 64 * len, "{cost} bytes for {len} in {codec:?} as {name}");
}

/// A list grows by doubling, so for a moment it holds three times its elements.
fn lists_cost_what_they_hold() {
    for codec in [Codec::MessagePack, Codec::Json] {
        let bytes = codec.encode(&vec![1_u8; 100_000]).unwrap();
        let cost = cost(|| decode_as::<Vec<u64>>(&NativeFormat::default(), codec, &bytes).unwrap());
        assert!(cost < 8 * 100_000 * 4, "{cost}");
    }
}
