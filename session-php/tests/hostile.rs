//! Input that is meant to harm: no panic, no hang, no end of the stack.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{collections::BTreeMap, fmt, thread};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, Visitor},
};
use session_php::{ErrorKind, Limits, Value, from_slice};
#[cfg(feature = "igbinary")]
use session_php::{SerializeHandler, SessionData};

#[cfg(feature = "igbinary")]
#[test]
fn arrays_that_multiply_are_not_followed_for_ever() {
    // Each array has the one before it twice, and the last is shared.
    let mut data = b"\0\0\0\x02\x14\x29\x11\x02a0\x14\x01\x06\0\x25\x06\x01".to_vec();
    for number in 1..=40_u8 {
        data.extend_from_slice(&[0x11, 2, b'a', b'0' + number]);
        let before = if number == 1 { 1 } else { number + 1 };
        data.extend_from_slice(&[0x14, 2, 6, 0, 1, before, 6, 1, 1, before]);
    }
    let session = SessionData::decode(SerializeHandler::Igbinary, data.clone()).unwrap();
    let too_much = session.get::<serde_json::Value>("aX").unwrap_err().kind();
    assert_eq!(too_much, ErrorKind::TooLarge);
    let text = session.rewritten(SerializeHandler::Php).unwrap();
    assert_eq!(text.encode().unwrap_err().kind(), ErrorKind::TooLarge);
    let rewritten = session.rewritten(SerializeHandler::Igbinary).unwrap();
    assert!(rewritten.encode().unwrap().len() <= data.len());
}

#[test]
fn depth_needs_no_stack() {
    let depth = 300_000;
    let text = format!("{}N;{}", "a:1:{i:0;".repeat(depth), "}".repeat(depth));
    let deep = thread::Builder::new().stack_size(128 << 10).spawn(move || {
        let limits = Limits::new().depth(usize::MAX);
        let value = Value::parse_within(text.clone(), limits).unwrap();
        assert!(value.clone().serialize().unwrap() == text);
        value
    });
    let value = deep.unwrap().join().unwrap();
    // serde's visitors need stack, so it does not go as deep.
    assert_eq!(value.to::<serde_json::Value>().unwrap_err().kind(), ErrorKind::TooDeep);
}

#[test]
fn limits_are_kept() {
    let text = "a:3:{i:0;i:1;i:1;a:1:{i:0;N;}i:2;N;}";
    let refused = |limits| Value::parse_within(text, limits).unwrap_err().kind();
    assert!(Value::parse_within(text, Limits::new().depth(2).values(5).bytes(text.len())).is_ok());
    assert_eq!(refused(Limits::new().depth(1)), ErrorKind::TooDeep);
    assert_eq!(refused(Limits::new().values(4)), ErrorKind::TooLarge);
    assert_eq!(refused(Limits::new().bytes(text.len() - 1)), ErrorKind::TooLarge);
}

#[test]
fn objects_that_multiply_are_not_followed_for_ever() {
    // Each object has the one before it twice.
    let mut text = "a:41:{i:0;O:1:\"A\":0:{}".to_owned();
    let mut before = 2;
    for number in 1..=40 {
        let twice = format!("s:1:\"a\";r:{before};s:1:\"b\";r:{before};");
        text += &format!("i:{number};O:1:\"A\":2:{{{twice}}}");
        before = 3 * number;
    }
    let value = Value::parse(text + "}").unwrap();
    assert_eq!(value.to::<serde_json::Value>().unwrap_err().kind(), ErrorKind::TooLarge);
    let itself = "O:1:\"A\":1:{s:1:\"a\";r:1;}";
    assert_eq!(
        from_slice::<serde_json::Value>(itself.as_bytes()).unwrap_err().kind(),
        ErrorKind::TooDeep
    );
}

/// `count` elements, the first of which stands in all others.
fn shared(first: &str, count: usize) -> Value {
    let others: String = (1..count).map(|number| format!("i:{number};R:2;")).collect();
    Value::parse(format!("a:{count}:{{i:0;{first}{others}}}")).unwrap()
}

#[test]
fn what_is_shared_is_not_made_for_ever() {
    #[derive(Debug)]
    struct Binary;
    impl<'de> Deserialize<'de> for Binary {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Any;
            impl Visitor<'_> for Any {
                type Value = Binary;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("bytes")
                }
                fn visit_bytes<E>(self, _: &[u8]) -> Result<Binary, E> {
                    Ok(Binary)
                }
            }
            deserializer.deserialize_bytes(Any)
        }
    }

    fn kind<'a, T: Deserialize<'a>>(value: &'a Value) -> ErrorKind {
        value.view().to::<T>().map(drop).unwrap_err().kind()
    }
    let long = "x".repeat(100_000);
    let text = shared(&format!("s:100000:\"{long}\";"), 1000);
    assert_eq!(kind::<Vec<String>>(&text), ErrorKind::TooLarge);
    assert_eq!(kind::<Vec<Option<String>>>(&text), ErrorKind::TooLarge);
    assert_eq!(kind::<Vec<Binary>>(&text), ErrorKind::TooLarge);
    let key = shared(&format!("a:1:{{s:100000:\"{long}\";N;}}"), 1000);
    assert_eq!(kind::<Vec<BTreeMap<String, ()>>>(&key), ErrorKind::TooLarge);
    let case = shared(&format!("E:100002:\"A:{long}\";"), 1000);
    assert_eq!(kind::<Vec<String>>(&case), ErrorKind::TooLarge);
    let nulls: String = (0..2000).map(|number| format!("i:{number};N;")).collect();
    let nulls = shared(&format!("a:2000:{{{nulls}}}"), 600);
    assert_eq!(kind::<Vec<Vec<Option<u8>>>>(&nulls), ErrorKind::TooLarge);
    assert_eq!(kind::<Vec<Vec<IgnoredAny>>>(&nulls), ErrorKind::TooLarge);
    assert_eq!(kind::<Vec<Vec<()>>>(&nulls), ErrorKind::TooLarge);
    // Lists of which only the beginning is asked for are looked through all the same.
    let nulls: String = (0..20_000).map(|number| format!("i:{number};N;")).collect();
    let nulls = shared(&format!("a:20000:{{{nulls}}}"), 20_000);
    assert_eq!(kind::<Vec<((),)>>(&nulls), ErrorKind::TooLarge);
}

#[test]
fn as_much_as_may_be_read_may_be_made() {
    for element in ["N;", "i:5;"] {
        let list: String = (0..990_000).map(|number| format!("i:{number};{element}")).collect();
        let value = Value::parse(format!("a:990000:{{{list}}}")).unwrap();
        assert_eq!(value.to::<Vec<Option<u8>>>().unwrap().len(), 990_000);
    }
    let long = "x".repeat(15 << 20);
    let value = shared(&format!("s:{}:\"{long}\";", long.len()), 4);
    assert_eq!(value.to::<Vec<String>>().unwrap().len(), 4);
}

#[cfg(feature = "igbinary")]
mod igbinary {
    use super::*;

    const BINARY: SerializeHandler = SerializeHandler::Igbinary;

    /// An array of `first`, with a string of 100000 letters in its middle, and of others.
    fn repeated(first: (&[u8], &[u8]), other: &[u8], count: u16) -> Vec<u8> {
        let mut data = b"\0\0\0\x02\x14\x01\x11\x01a\x15".to_vec();
        data.extend_from_slice(&count.to_be_bytes());
        data.extend_from_slice(b"\x06\0");
        data.extend_from_slice(first.0);
        data.extend_from_slice(&100_000_u32.to_be_bytes());
        data.resize(data.len() + 100_000, b'A');
        data.extend_from_slice(first.1);
        for number in 1..count {
            data.push(8);
            data.extend_from_slice(&number.to_be_bytes());
            data.extend_from_slice(other);
        }
        data
    }

    #[test]
    fn strings_are_not_repeated_for_ever() {
        type Piece = &'static [u8];
        let pieces: [((Piece, Piece), Piece); 5] = [
            // Strings, classes, cases, keys; and copies of a variable.
            ((b"\x13", b""), b"\x0e\x01"),
            ((b"\x19", b"\x14\0"), b"\x1a\x01\x14\0"),
            ((b"\x19", b"\x27\x11\x01B"), b"\x1a\x01\x27\x0e\x02"),
            ((b"\x14\x01\x13", b"\0"), b"\x14\x01\x0e\x01\0"),
            ((b"\x25\x13", b""), b"\x01\x02"),
        ];
        for (number, (first, other)) in pieces.into_iter().enumerate() {
            let few = repeated(first, other, 150);
            assert!(SessionData::decode(BINARY, few.clone()).is_ok(), "{number}");
            let many = SessionData::decode(BINARY, repeated(first, other, 200)).unwrap_err();
            assert_eq!(many.kind(), ErrorKind::TooLarge, "{number}");
            let less = Limits::new().bytes(few.len() + 1000);
            let refused = SessionData::decode_within(BINARY, few, less).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::TooLarge, "{number}");
        }
    }

    #[test]
    fn an_array_that_is_a_copy_of_itself_is_not_written_for_ever() {
        let data = b"\0\0\0\x02\x14\x01\x11\x01a\x01\0".to_vec();
        let session = SessionData::decode(BINARY, data).unwrap();
        let value = session.value("a").unwrap().unwrap();
        assert_eq!(value.serialize().unwrap_err().kind(), ErrorKind::TooLarge);
        let mut other = SessionData::new(SerializeHandler::Php);
        assert_eq!(other.insert_value("a", &value).unwrap_err().kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn the_case_of_an_enum_has_a_name() {
        for case in [&b"\x11\x01A"[..], b"\x11\0", b"\x0d"] {
            let data = [b"\0\0\0\x02\x14\x01\x11\x01a\x17\x04Unit\x27", case].concat();
            let read = SessionData::decode(BINARY, data);
            assert_eq!(read.is_ok(), case.len() == 3, "{}", case.escape_ascii());
        }
    }
}
