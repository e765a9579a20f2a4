//! Input that is meant to harm: no panic, no hang, no end of the stack.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::thread;

use fastrand::Rng;
use session_php::{ErrorKind, Limits, SerializeHandler, SessionData, Value, from_slice};

const HANDLERS: [SerializeHandler; 3] =
    [SerializeHandler::Php, SerializeHandler::PhpBinary, SerializeHandler::PhpSerialize];

const SEEDS: &[&[u8]] = &[
    b"a|i:1;b|s:1:\"x\";c|R:1;d|a:2:{i:0;O:3:\"Foo\":1:{s:1:\"x\";r:4;}i:1;r:4;}",
    b"\x01ai:1;\x01bd:1.5E-7;\x01cE:6:\"Unit:A\";\x01dC:3:\"Old\":3:{abc}\x01er:4;",
    b"a:3:{s:1:\"a\";a:3:{i:0;i:1;i:1;R:3;i:0;N;}i:7;N;s:1:\"b\";S:1:\"\\41\";}",
];

/// Looks at everything there is to look at.
fn use_up(handler: SerializeHandler, data: &[u8]) {
    let Ok(mut session) = SessionData::decode(handler, data.to_vec()) else { return };
    let names: Vec<Vec<u8>> = session.names().map(<[u8]>::to_vec).collect();
    for name in &names {
        drop(session.get::<serde_json::Value>(name));
    }
    assert_eq!(session.encode().unwrap(), data);
    let rewritten = session.rewritten(handler).unwrap().encode().unwrap();
    let again = SessionData::decode(handler, rewritten).unwrap();
    assert_eq!(again.len(), names.len());
    if let Some(name) = names.first() {
        assert!(session.remove(name).unwrap());
        let left = session.encode().unwrap();
        assert_eq!(SessionData::decode(handler, left).unwrap().len(), names.len() - 1);
    }
}

#[test]
fn broken_sessions_do_no_harm() {
    let mut rng = Rng::with_seed(8);
    for case in 0..15_000 {
        let number = case % SEEDS.len();
        let mut data = SEEDS[number].to_vec();
        for _ in 0..rng.usize(1..6) {
            let at = rng.usize(0..data.len());
            match rng.u8(0..4) {
                0 => data[at] = rng.u8(..),
                1 => data.insert(at, *rng.choice(b"0123456789:;{}\"|arROsSEC").unwrap()),
                2 if data.len() > 1 => _ = data.remove(at),
                _ => {
                    let piece = data[at..(at + 12).min(data.len())].to_vec();
                    let to = rng.usize(0..data.len());
                    data.splice(to..to, piece);
                }
            }
        }
        use_up(HANDLERS[number], &data);
    }
}

#[cfg(feature = "igbinary")]
#[test]
fn broken_igbinary_does_no_harm() {
    let handler = SerializeHandler::Igbinary;
    let seeds = SEEDS.iter().zip(HANDLERS).map(|(seed, from)| {
        let session = SessionData::decode(from, seed.to_vec()).unwrap();
        let names: Vec<&[u8]> = session.names().collect();
        let mut binary = SessionData::new(handler);
        for name in names.into_iter().filter(|name| *name != b"7") {
            binary.insert_value(name, &session.value(name).unwrap().unwrap()).unwrap();
        }
        binary.encode().unwrap().to_vec()
    });
    let seeds: Vec<Vec<u8>> = seeds.collect();
    let mut rng = Rng::with_seed(8);
    for case in 0..15_000 {
        let mut data = seeds[case % seeds.len()].clone();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(4..data.len());
            match rng.u8(0..3) {
                0 => data[at] = rng.u8(..0x30),
                1 => data.insert(at, rng.u8(..0x30)),
                _ => {
                    let piece = data[at..(at + 12).min(data.len())].to_vec();
                    data.splice(at..at, piece);
                }
            }
        }
        use_up(handler, &data);
    }
}

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
