use std::{collections::BTreeMap, error::Error as _, fmt::Debug, marker::PhantomData};

use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned, ser};

use super::*;
use crate::{NativeFormat, decode_as};

/// Those that this build knows.
pub(crate) const ALL: &[Codec] = &[
    Codec::MessagePack,
    Codec::Json,
    #[cfg(feature = "bincode")]
    Codec::Bincode,
];

fn self_describing() -> impl Iterator<Item = Codec> {
    ALL.iter().copied().filter(|codec| codec.is_self_describing())
}

fn decode<T: DeserializeOwned>(codec: Codec, bytes: &[u8]) -> Result<T> {
    decode_as(&NativeFormat::default(), codec, bytes)
}

fn detail(error: &Error) -> String {
    let text = error.to_string();
    text.rsplit(": ").next().unwrap_or_default().to_owned()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    unit: (),
    flag: bool,
    small: i8,
    signed: i64,
    unsigned: u64,
    wide: (i128, u128),
    float: (f32, f64),
    letter: char,
    text: String,
    none: Option<u8>,
    some: Option<Option<String>>,
    list: Vec<u16>,
    array: [u8; 3],
    map: BTreeMap<String, Vec<bool>>,
    newtype: Newtype,
    choices: Vec<Choice>,
    nothing: PhantomData<u8>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Newtype(Vec<Choice>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Choice {
    Unit,
    Newtype(String),
    Tuple(u8, i64),
    Struct { a: Option<f64>, b: () },
}

fn everything() -> Everything {
    let choices = vec![
        Choice::Unit,
        Choice::Newtype("x".into()),
        Choice::Tuple(1, -1),
        Choice::Struct { a: Some(0.1), b: () },
    ];
    Everything {
        unit: (),
        flag: true,
        small: i8::MIN,
        signed: i64::MIN,
        unsigned: u64::MAX,
        wide: (i128::MIN, u128::MAX),
        float: (f32::MAX, f64::MIN_POSITIVE),
        letter: 'é',
        text: "\u{0}\"\\\u{1F600}".into(),
        none: None,
        some: Some(Some(String::new())),
        list: (0..300).collect(),
        array: [0, 127, 255],
        map: BTreeMap::from([(String::new(), vec![true]), ("ключ".into(), vec![])]),
        newtype: Newtype(choices.clone()),
        choices,
        nothing: PhantomData,
    }
}

#[test]
fn a_value_of_any_shape_comes_back() {
    for codec in ALL {
        let bytes = codec.encode(&everything()).unwrap();
        assert_eq!(decode::<Everything>(*codec, &bytes).unwrap(), everything(), "{codec:?}");
    }
}

proptest! {
    #[test]
    fn floats_and_texts_come_back_exactly(float: f64, text: String, bytes: Vec<u8>) {
        prop_assume!(float.is_finite());
        for codec in ALL {
            let value = (float, text.clone(), bytes.clone());
            let encoded = codec.encode(&value).unwrap();
            prop_assert_eq!(decode::<(f64, String, Vec<u8>)>(*codec, &encoded).unwrap(), value);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        for codec in ALL {
            drop(decode::<Everything>(*codec, &bytes));
            drop(decode::<Tree>(*codec, &bytes));
        }
    }
}

#[test]
fn a_field_may_be_added_and_another_removed_where_names_are_stored() {
    #[derive(Serialize)]
    struct Old {
        kept: u8,
        removed: String,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct New {
        #[serde(default)]
        added: Option<u8>,
        kept: u8,
    }
    for codec in self_describing() {
        let bytes = codec.encode(&Old { kept: 1, removed: "x".into() }).unwrap();
        assert_eq!(decode::<New>(codec, &bytes).unwrap(), New { added: None, kept: 1 });
    }
}

#[test]
fn fields_that_take_no_bytes_come_back() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Marked {
        Struct { flag: bool, unit: (), nothing: PhantomData<u8> },
        Tuple((), (), ()),
    }
    for codec in ALL {
        let value = vec![((), (), Marked::Tuple((), (), ()))];
        let bytes = codec.encode(&value).unwrap();
        assert_eq!(decode::<Vec<((), (), Marked)>>(*codec, &bytes).unwrap(), value, "{codec:?}");
        let value = Marked::Struct { flag: true, unit: (), nothing: PhantomData };
        let bytes = codec.encode(&value).unwrap();
        assert_eq!(decode::<Marked>(*codec, &bytes).unwrap(), value, "{codec:?}");
    }
}

/// What the documentation of [`Codec::Bincode`] warns of.
#[cfg(feature = "bincode")]
#[test]
fn bincode_takes_one_struct_for_another() {
    #[derive(Serialize)]
    struct Old {
        user: u8,
        admin: bool,
    }
    #[derive(Deserialize)]
    struct New {
        admin: bool,
        user: u8,
    }
    let bytes = Codec::Bincode.encode(&Old { user: 1, admin: false }).unwrap();
    let new: New = decode(Codec::Bincode, &bytes).unwrap();
    assert!(new.admin && new.user == 0);
}

#[test]
fn bytes_after_the_value_are_refused() {
    for codec in ALL {
        let mut bytes = codec.encode(&vec![7_u8]).unwrap().to_vec();
        assert_eq!(decode::<Vec<u8>>(*codec, &bytes).unwrap(), [7]);
        bytes.extend(codec.encode(&vec![7_u8]).unwrap());
        let error = decode::<Vec<u8>>(*codec, &bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{codec:?}");
    }
}

#[test]
fn the_error_tells_damage_from_a_wrong_type() {
    for codec in self_describing() {
        let bytes = codec.encode(&"text").unwrap();
        let wrong_type = decode::<u8>(codec, &bytes).unwrap_err();
        assert_eq!(detail(&wrong_type), "the value is not of the type asked for");
        let damaged = decode::<String>(codec, &bytes[..bytes.len() - 1]).unwrap_err();
        assert_eq!(detail(&damaged), "the value is damaged");
    }
}

#[test]
fn no_error_shows_anything_of_the_value() {
    const SECRET: &str = "hunter2hunter2";
    let mut provoked = 0;
    let mut check = |error: Option<Error>| {
        let Some(error) = error else { return };
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter") && error.source().is_none(), "{shown}");
        provoked += 1;
    };
    for codec in ALL {
        let bytes = codec.encode(&SECRET).unwrap();
        let cut = &bytes[..bytes.len() - 1];
        let longer = [&bytes[..], b"hunter2"].concat();
        for bytes in [&bytes[..], cut, &longer] {
            check(decode::<u8>(*codec, bytes).err());
            check(decode::<Choice>(*codec, bytes).err());
            check(decode::<BTreeMap<u8, u8>>(*codec, bytes).err());
            check(decode::<Picky>(*codec, bytes).err());
        }
        check(codec.encode(&Picky(SECRET.into())).err());
    }
    check(Codec::Json.encode(&BTreeMap::from([(vec![SECRET], 1)])).err());
    assert_eq!(provoked, 13 * ALL.len() + 1);
}

#[test]
fn not_even_the_error_inside_a_format_shows_anything_of_the_value() {
    for codec in ALL {
        let bytes = codec.encode(&"hunter").unwrap();
        let mut shown = String::new();
        let visited = codec.decode(&bytes, &mut |deserializer| {
            let error = erased_serde::deserialize::<bool>(deserializer).unwrap_err();
            shown = format!("{error} {error:?}");
            Err(error)
        });
        assert!(visited.is_err() && shown.contains("rejected"), "{shown}");
        assert!(!shown.contains("hunter"), "{shown}");
    }
}

/// A type whose own errors repeat the value.
#[derive(Debug)]
struct Picky(String);

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Err(D::Error::custom(String::deserialize(deserializer)?))
    }
}

impl Serialize for Picky {
    fn serialize<S: ser::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom(&self.0))
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Node(Box<Self>),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
    Fields { left: Option<Box<Self>> },
}

fn nested(levels: usize, wrap: impl Fn(Tree) -> Tree) -> Tree {
    (0..levels).fold(Tree::Leaf, |tree, _| wrap(tree))
}

/// A worker thread of tokio has twice as much.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(1024 * 1024).spawn(test).unwrap();
    thread.join().unwrap();
}

#[test]
fn values_of_the_greatest_depth_come_back_and_deeper_ones_are_refused() {
    let wraps: [fn(Tree) -> Tree; 4] = [
        |tree| Tree::Node(Box::new(tree)),
        |tree| Tree::List(vec![tree]),
        |tree| Tree::Map(BTreeMap::from([("k".into(), tree)])),
        |tree| Tree::Fields { left: Some(Box::new(tree)) },
    ];
    on_a_small_stack(move || {
        for (codec, wrap) in ALL.iter().flat_map(|codec| wraps.map(|wrap| (*codec, wrap))) {
            let mut refused = 0;
            for levels in 40..140 {
                let tree = nested(levels, wrap);
                match codec.encode(&tree) {
                    Ok(bytes) if codec.is_self_describing() => {
                        let back = decode::<Tree>(codec, &bytes);
                        assert_eq!(back.ok(), Some(tree), "{codec:?}, {levels} levels");
                    }
                    Ok(bytes) => refused += usize::from(decode::<Tree>(codec, &bytes).is_err()),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Unsupported);
                        refused += 1;
                    }
                }
            }
            assert!((10..90).contains(&refused), "{codec:?}: {refused}");
        }
    });
}

#[test]
fn the_limit_is_127_levels() {
    let message_pack = |levels| [&[0x91].repeat(levels)[..], &[0xC0]].concat();
    let json = |levels| ["[".repeat(levels), "]".repeat(levels)].concat().into_bytes();
    let reads = |codec, bytes: &[u8]| decode::<serde_json::Value>(codec, bytes).is_ok();
    on_a_small_stack(move || {
        assert!(reads(Codec::MessagePack, &message_pack(127)));
        assert!(!reads(Codec::MessagePack, &message_pack(128)));
        assert!(reads(Codec::Json, &json(127)));
        assert!(!reads(Codec::Json, &json(128)));
    });
}

#[test]
fn sec_42_depth_bombs_are_refused_on_a_small_stack() {
    const LEVELS: usize = 100_000;
    let bombs: [(Codec, Vec<u8>); 5] = [
        (Codec::MessagePack, [0x91].repeat(LEVELS)),
        (Codec::MessagePack, [&[0x81, 0xA4][..], b"Node"].concat().repeat(LEVELS)),
        (Codec::MessagePack, [&[0x81, 0xA4][..], b"List", &[0x91]].concat().repeat(LEVELS)),
        (Codec::Json, b"[".repeat(LEVELS)),
        (Codec::Json, br#"{"Node":"#.repeat(LEVELS)),
    ];
    on_a_small_stack(move || {
        for (codec, bomb) in bombs {
            assert!(decode::<Tree>(codec, &bomb).is_err());
            assert!(decode::<serde_json::Value>(codec, &bomb).is_err());
            assert!(decode::<IgnoredAny>(codec, &bomb).is_err());
        }
    });
}

#[cfg(feature = "bincode")]
#[test]
fn depth_bombs_in_bincode_are_refused_on_a_small_stack() {
    on_a_small_stack(|| {
        for bomb in [[1].repeat(100_000), [4, 1].repeat(100_000)] {
            assert!(decode::<Tree>(Codec::Bincode, &bomb).is_err());
            assert!(decode::<Chain>(Codec::Bincode, &bomb).is_err());
        }
    });
}

/// A type that holds itself in nothing but an `Option`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Chain(#[expect(dead_code, reason = "only its depth counts")] Option<Box<Self>>);

/// A type that no value could end.
#[derive(Debug, Deserialize)]
struct Endless(#[expect(dead_code, reason = "only its depth counts")] Box<Self>);

#[test]
fn a_type_that_goes_on_for_ever_is_refused_on_a_small_stack() {
    on_a_small_stack(|| {
        for codec in ALL {
            let bytes = codec.encode(&1_u8).unwrap();
            assert!(decode::<Chain>(*codec, &bytes).is_err(), "{codec:?}");
            assert!(decode::<Endless>(*codec, &bytes).is_err(), "{codec:?}");
        }
    });
}

#[cfg(feature = "bincode")]
#[test]
fn a_length_that_bincode_announces_is_not_believed() {
    let announced = [&[253][..], &u64::MAX.to_le_bytes()].concat();
    assert!(decode::<Vec<()>>(Codec::Bincode, &announced).is_err());
    assert!(decode::<Vec<u64>>(Codec::Bincode, &announced).is_err());
    assert!(decode::<String>(Codec::Bincode, &announced).is_err());
    assert!(decode::<BTreeMap<u8, u8>>(Codec::Bincode, &announced).is_err());
}

#[test]
fn an_extension_of_messagepack_is_a_value_like_others() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "_ExtStruct")]
    struct Extension((i8, Raw));
    #[derive(Debug, PartialEq)]
    struct Raw(Vec<u8>);
    impl Serialize for Raw {
        fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&self.0)
        }
    }
    impl<'de> Deserialize<'de> for Raw {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl serde::de::Visitor<'_> for Visitor {
                type Value = Raw;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("bytes")
                }
                fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Raw, E> {
                    Ok(Raw(bytes.to_owned()))
                }
            }
            deserializer.deserialize_bytes(Visitor)
        }
    }
    let value = Extension((5, Raw(vec![1, 2, 3])));
    let bytes = Codec::MessagePack.encode(&value).unwrap();
    assert_eq!(&bytes[..], [0xC7, 3, 5, 1, 2, 3]);
    assert_eq!(decode::<Extension>(Codec::MessagePack, &bytes).unwrap(), value);
}
