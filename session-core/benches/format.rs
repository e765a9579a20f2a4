//! What it costs to read and write payloads and values, of 1 KB and of 63 KB.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]
#![allow(clippy::unwrap_used, reason = "a benchmark that fails has no figures")]

use std::{collections::BTreeMap, hint::black_box};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use session_core::{
    Codec, Compression, Document, Format, MergeRule, NativeFormat, Timestamp, decode_as,
    merge_entry,
};

const CODECS: &[Codec] = &[
    Codec::MessagePack,
    Codec::Json,
    #[cfg(feature = "bincode")]
    Codec::Bincode,
];

const COMPRESSIONS: &[(&str, Compression)] = &[
    ("plain", Compression::None),
    #[cfg(feature = "lz4")]
    ("lz4", Compression::LZ4),
];

/// What a shop might keep in an entry.
#[derive(Serialize, Deserialize)]
struct Item {
    name: String,
    price: f64,
    amount: u32,
    options: BTreeMap<String, String>,
    tags: Vec<String>,
    note: Option<String>,
}

fn item(text: usize) -> Item {
    let words =
        |n: usize| "lorem ipsum dolor sit amet, consectetur ".chars().cycle().take(n).collect();
    Item {
        name: "a thing".into(),
        price: 19.95,
        amount: 3,
        options: BTreeMap::from([("colour".into(), "blue".into())]),
        tags: vec!["new".into()],
        note: (text > 0).then(|| words(text)),
    }
}

/// 16 entries whose values are items with a note of so many characters.
fn document(format: &NativeFormat, codec: Codec, text: usize) -> Document {
    let mut document = Document::new(codec, Timestamp::from_millis(1_763_719_200_000));
    for n in 0..16 {
        let value = format.encode_value(codec, &item(text)).unwrap();
        document.entries.insert(&format!("entry-{n:02}"), value);
    }
    document
}

fn payloads(c: &mut Criterion) {
    for (name, compression) in COMPRESSIONS {
        let format = NativeFormat::default().compression(*compression);
        let mut group = c.benchmark_group(format!("envelope {name}"));
        for text in [0, 3_900] {
            let document = document(&format, Codec::MessagePack, text);
            let payload = format.encode(&document).unwrap();
            group.throughput(Throughput::Bytes(payload.len() as u64));
            group.bench_with_input(BenchmarkId::new("encode", payload.len()), &document, |b, d| {
                b.iter(|| format.encode(black_box(d)).unwrap());
            });
            group.bench_with_input(BenchmarkId::new("decode", payload.len()), &payload, |b, p| {
                b.iter(|| format.decode(black_box(p)).unwrap());
            });
        }
        group.finish();
    }
}

fn values(c: &mut Criterion) {
    let format = NativeFormat::default();
    for codec in CODECS {
        let mut group = c.benchmark_group(format!("value {codec:?}"));
        for text in [0, 3_900] {
            let item = item(text);
            let bytes = format.encode_value(*codec, &item).unwrap();
            group.bench_with_input(BenchmarkId::new("encode", bytes.len()), &item, |b, item| {
                b.iter(|| format.encode_value(*codec, black_box(item)).unwrap());
            });
            group.bench_with_input(BenchmarkId::new("decode", bytes.len()), &bytes, |b, bytes| {
                b.iter(|| decode_as::<Item>(&format, *codec, black_box(bytes)).unwrap());
            });
        }
        group.finish();
    }
}

/// The way of one value out of a payload and back into it.
fn one_value(c: &mut Criterion) {
    let format = NativeFormat::default();
    let mut group = c.benchmark_group("read one value");
    for text in [0, 3_900] {
        let payload = format.encode(&document(&format, Codec::MessagePack, text)).unwrap();
        group.bench_with_input(
            BenchmarkId::from_parameter(payload.len()),
            &payload,
            |b, payload| {
                b.iter(|| {
                    let document = format.decode(black_box(payload)).unwrap();
                    let bytes = document.entries.get("entry-07").unwrap();
                    decode_as::<Item>(&format, document.header.codec, bytes).unwrap()
                });
            },
        );
    }
    group.finish();
}

fn merges(c: &mut Criterion) {
    let format = NativeFormat::default();
    let codec = Codec::MessagePack;
    let mut group = c.benchmark_group("merge");
    let [five, six, seven] = [5, 6, 7].map(|n| codec.encode(&n).unwrap());
    group.bench_function("counter", |b| {
        b.iter(|| {
            let (base, mine, theirs) = (Some(&five), Some(&six), Some(&seven));
            merge_entry(MergeRule::Counter, &format, codec, base, mine, theirs).unwrap()
        });
    });
    let list = |from: u32, to: u32| codec.encode(&(from..to).collect::<Vec<_>>()).unwrap();
    let [base, mine, theirs] = [list(0, 100), list(2, 102), list(0, 120)];
    group.bench_function("union of 100", |b| {
        b.iter(|| {
            let (base, mine, theirs) = (Some(&base), Some(&mine), Some(&theirs));
            merge_entry(MergeRule::Union, &format, codec, base, mine, theirs).unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, payloads, values, one_value, merges);
criterion_main!(benches);
