//! What the fuzz targets of `fuzz/` do with their bytes. They panic when a promise is broken.

#![expect(clippy::expect_used, reason = "a broken promise ends the run")]

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use session_core::{Codec, Format, MergeRule, NativeFormat, decode_as, merge_entry};

/// Codecs by the first byte of the input.
fn codec(tag: u8) -> Codec {
    match tag % 3 {
        0 => Codec::MessagePack,
        1 => Codec::Json,
        #[cfg(feature = "bincode")]
        _ => Codec::Bincode,
        #[cfg(not(feature = "bincode"))]
        _ => Codec::default(),
    }
}

/// Reads the input as a payload. What can be read is written and read again the same, and where
/// nothing is compressed it is written as it was.
pub(crate) fn envelope(input: &[u8]) {
    let format = NativeFormat::default().max_decompressed(1 << 20);
    let payload = Bytes::copy_from_slice(input);
    let Ok(document) = format.decode(&payload) else { return };
    let written = format.encode(&document).expect("what was read can be written");
    assert_eq!(format.decode(&written).expect("what was written can be read"), document);
    if payload.get(6) == Some(&0) {
        assert_eq!(written, payload);
    }
}

/// A value of many shapes.
#[derive(Debug, Serialize, Deserialize)]
enum Shape {
    Unit,
    Scalars(bool, i8, u16, i64, u64, f32, f64, char),
    Wide(i128, u128),
    Text(String),
    Newtype(Box<Self>),
    Optional(Option<Box<Self>>),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
    Numbered(BTreeMap<u8, [u8; 2]>),
    Fields {
        first: Option<String>,
        #[serde(default)]
        second: Vec<u8>,
    },
}

/// A value whose type the codec must tell.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
}

/// Reads the input, after a byte that chooses the codec, as values of several types. What can be
/// read is written and read again the same.
pub(crate) fn value(input: &[u8]) {
    let Some((tag, bytes)) = input.split_first() else { return };
    let codec = codec(*tag);
    round_trip::<Shape>(codec, bytes);
    round_trip::<Untagged>(codec, bytes);
    round_trip::<serde_json::Value>(codec, bytes);
    round_trip::<String>(codec, bytes);
    round_trip::<Vec<Option<(u8, i64)>>>(codec, bytes);
    round_trip::<Vec<()>>(codec, bytes);
}

fn round_trip<T: Serialize + DeserializeOwned>(codec: Codec, bytes: &[u8]) {
    let format = NativeFormat::default();
    let Ok(value) = decode_as::<T>(&format, codec, bytes) else { return };
    let written = format.encode_value(codec, &value).expect("what was read can be written");
    let again = decode_as::<T>(&format, codec, &written).expect("what was written can be read");
    assert_eq!(format.encode_value(codec, &again).expect("and written again"), written);
}

/// Merges parts of the input by a rule that it chooses. What comes out can be read.
pub(crate) fn merge(input: &[u8]) {
    let [tag, rule, first, second, bytes @ ..] = input else { return };
    let codec = codec(*tag);
    let rule = match rule % 3 {
        0 => MergeRule::Counter,
        1 => MergeRule::Max,
        _ => MergeRule::Union,
    };
    let (base, rest) = bytes.split_at(usize::from(*first).min(bytes.len()));
    let (mine, theirs) = rest.split_at(usize::from(*second).min(rest.len()));
    let [base, mine, theirs] = [base, mine, theirs].map(Bytes::copy_from_slice);
    let present = |bytes: &Bytes| !bytes.is_empty();
    let [base, mine, theirs] = [&base, &mine, &theirs].map(|bytes| present(bytes).then_some(bytes));
    let format = NativeFormat::default();
    let Ok(Some(merged)) = merge_entry(rule, &format, codec, base, mine, theirs) else { return };
    let taken_over = [mine, theirs].contains(&Some(&merged));
    let read = decode_as::<serde::de::IgnoredAny>(&format, codec, &merged);
    assert!(taken_over || read.is_ok());
}
