//! A short run of what the fuzz targets do, on inputs that are near to valid ones.

mod fuzz_bodies;

use fastrand::Rng;
#[cfg(feature = "msgpack")]
use session_php::ErrorKind;
use session_php::SerializeHandler;
#[cfg(any(feature = "igbinary", feature = "msgpack"))]
use session_php::SessionData;

const HANDLERS: [SerializeHandler; 3] =
    [SerializeHandler::Php, SerializeHandler::PhpBinary, SerializeHandler::PhpSerialize];

const SEEDS: &[&[u8]] = &[
    b"a|i:1;b|s:1:\"x\";c|R:1;d|a:2:{i:0;O:3:\"Foo\":1:{s:1:\"x\";r:4;}i:1;r:4;}",
    b"\x01ai:1;\x01bd:1.5E-7;\x01cE:6:\"Unit:A\";\x01dC:3:\"Old\":3:{abc}\x01er:4;",
    b"a:3:{s:1:\"a\";a:3:{i:0;i:1;i:1;R:3;i:0;N;}i:7;N;s:1:\"b\";S:1:\"\\41\";}",
];

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
        fuzz_bodies::session(HANDLERS[number], &data);
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
        fuzz_bodies::session(handler, &data);
    }
}

#[cfg(feature = "msgpack")]
#[test]
fn broken_msgpack_does_no_harm() {
    let handler = SerializeHandler::Msgpack;
    let whole: &[u8] = b"\x86\xc0\x01\xa1a\x93\x01\xcc\xff\xd1\x80\0\xa1b\x82\xa1x\xcb\x40\x09\x21\xfb\x54\x44\x2d\x18\
        \x05\xc3\xa1c\x82\xc0\xa1P\xa1n\xc0\xa1d\x82\xc0\x04\0\x04\xa1e\xd9\x03abc";
    let read = SessionData::decode(handler, whole.to_vec()).unwrap();
    assert_eq!(read.names().count(), 5);
    let mut rng = Rng::with_seed(8);
    for _ in 0..15_000 {
        let mut data = whole.to_vec();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(0..data.len());
            match rng.u8(0..4) {
                0 => data[at] = rng.u8(..),
                1 => data.insert(at, rng.u8(0x80..)),
                2 => data.truncate(at.max(1)),
                _ => {
                    let piece = data[at..(at + 12).min(data.len())].to_vec();
                    data.splice(at..at, piece);
                }
            }
        }
        fuzz_bodies::session(handler, &data);
    }
    // What says that much follows, and is short.
    for data in [
        &b"\xdf\xff\xff\xff\xff"[..],
        b"\x81\xa1a\xdd\xff\xff\xff\xff",
        b"\x81\xa1a\xdb\xff\xff\xff\xff",
    ] {
        SessionData::decode(handler, data.to_vec()).unwrap_err();
    }
    let deep = [b"\x81\xa1a".to_vec(), vec![0x91; 100_000], vec![0xc0]].concat();
    assert_eq!(SessionData::decode(handler, deep).unwrap_err().kind(), ErrorKind::TooDeep);
}

#[test]
fn bytes_of_all_kinds_do_no_harm() {
    let mut rng = Rng::with_seed(8);
    for _ in 0..3_000 {
        let length = rng.usize(..40);
        let data: Vec<u8> = (0..length).map(|_| rng.u8(..) >> rng.u8(..4)).collect();
        fuzz_bodies::text(&data);
        #[cfg(feature = "igbinary")]
        fuzz_bodies::igbinary(&data);
        #[cfg(feature = "msgpack")]
        fuzz_bodies::msgpack(&data);
    }
}
