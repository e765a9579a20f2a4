//! A short run of what the fuzz targets do, on inputs that are near to valid ones.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

mod fuzz_bodies;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::Index};
use session_core::{Codec, Compression, Document, Format, NativeFormat, Timestamp};

fn cases() -> ProptestConfig {
    ProptestConfig::with_cases(2000)
}

/// Changes bytes of a valid input, cuts it, and lengthens it.
fn spoiled(valid: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<Index>(), any::<u8>()), 0..4);
    (valid, changes, any::<Index>(), 0..4_u8, vec(any::<u8>(), 0..8)).prop_map(
        |(mut input, changes, end, cut, more)| {
            for (at, byte) in changes {
                let at = at.index(input.len());
                input[at] = byte;
            }
            if cut == 0 {
                input.truncate(end.index(input.len()));
            }
            if cut == 1 {
                input.extend(more);
            }
            input
        },
    )
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let entries = vec((".{0,12}", vec(any::<u8>(), 0..40)), 0..5);
    (entries, any::<u64>(), any::<bool>()).prop_map(|(entries, at, folded)| {
        let mut document = Document::new(Codec::MessagePack, Timestamp::from_millis(at));
        for (name, value) in entries {
            document.entries.insert(&name, value);
        }
        let compression = if folded { always() } else { Compression::None };
        let format = NativeFormat::default().compression(compression);
        format.encode(&document).unwrap().to_vec()
    })
}

fn always() -> Compression {
    #[cfg(feature = "lz4")]
    return Compression::Lz4 { above: 0 };
    #[cfg(not(feature = "lz4"))]
    Compression::None
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(Unit|Text|.{0,6})".prop_map(Value::from),
    ];
    let name = "(Scalars|Text|Newtype|Optional|List|Map|Fields|first|.{0,3})";
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name, inner), 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn encoded() -> impl Strategy<Value = (u8, Bytes)> {
    (json(), 0..2_u8).prop_map(|(value, tag)| {
        let codec = if tag == 0 { Codec::MessagePack } else { Codec::Json };
        (tag, codec.encode(&value).unwrap())
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn envelope(input in spoiled(payload())) {
        fuzz_bodies::envelope(&input);
    }

    #[test]
    fn value(input in spoiled(encoded().prop_map(|(tag, bytes)| [&[tag], &bytes[..]].concat()))) {
        fuzz_bodies::value(&input);
    }

    #[test]
    fn value_of_any_bytes(input: Vec<u8>) {
        fuzz_bodies::value(&input);
    }

    #[test]
    fn merge(rule: u8, values in vec(json(), 3), tag in 0..2_u8, spoil in any::<[(Index, u8); 2]>()) {
        let codec = if tag == 0 { Codec::MessagePack } else { Codec::Json };
        let [base, mine, theirs] = [0, 1, 2].map(|n| codec.encode(&values[n]).unwrap());
        let lens = [base.len(), mine.len()].map(|len| u8::try_from(len).unwrap_or(u8::MAX));
        let mut input = [&[tag, rule, lens[0], lens[1]], &base[..], &mine, &theirs].concat();
        fuzz_bodies::merge(&input);
        for (at, byte) in spoil {
            let at = at.index(input.len());
            input[at] = byte;
        }
        fuzz_bodies::merge(&input);
    }
}
