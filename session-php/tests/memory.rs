//! How much memory an input can make us take.

use std::sync::Mutex;

use peak_alloc::PeakAlloc;
use session_php::{SerializeHandler, SessionData, Value};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Memory is the whole program's, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn memory_goes_by_the_length_of_the_input() {
    let _alone = ALONE.lock();
    let length = 1 << 20;
    let fill = |piece: &str| piece.repeat(length / piece.len());
    let inputs = [
        // Counts that promise more than there is, in each other.
        (false, fill("a:9999:{i:0;")),
        (false, format!("a:{}:{{", length / 7) + &fill("i:0;N;")),
        // The most values for the fewest bytes.
        (
            true,
            format!(
                "a:1:{{i:0;a:{}:{{{}}}}}",
                90_000,
                (0..90_000).map(|n| format!("i:{n};N;")).collect::<String>()
            ),
        ),
        (
            true,
            format!(
                "a:{}:{{{}}}",
                90_000,
                (0..90_000).map(|n| format!("s:6:\"x{n:05}\";N;")).collect::<String>()
            ),
        ),
        (true, format!("a:1:{{i:0;{}N;{}}}", "a:1:{i:0;".repeat(4000), "}".repeat(4000))),
        (false, fill("O:1:\"A\":1:{i:0;")),
        (false, "9".repeat(length)),
    ];
    for (well_formed, input) in inputs {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let read = Value::parse(input.clone()).is_ok();
        let took = MEMORY.peak_usage().saturating_sub(before);
        let head: String = input.chars().take(20).collect();
        assert_eq!(read, well_formed, "{head}");
        assert!(
            took < 14 * input.len() + (512 << 10),
            "{took} bytes for {} of {head}",
            input.len()
        );
    }
}

#[cfg(feature = "igbinary")]
#[test]
fn igbinary_is_denser() {
    let _alone = ALONE.lock();
    let length = 1_u32 << 20;
    // So many properties without a value; so many entries with the shortest keys.
    for (head, rest) in [
        (&b"\x11\x01a\x17\x01A\x16"[..], vec![0; length as usize]),
        (b"\x11\x01a\x16", [6, 0, 0].repeat(length as usize / 3)),
    ] {
        let count = (length / 3).to_be_bytes();
        let input = [b"\0\0\0\x02\x14\x01", head, &count, &rest].concat();
        let (before, length) = (MEMORY.current_usage(), input.len());
        MEMORY.reset_peak_usage();
        assert!(SessionData::decode(SerializeHandler::Igbinary, input).is_ok());
        let took = MEMORY.peak_usage().saturating_sub(before);
        assert!(took < 25 * length, "{took} bytes for {length}");
    }
}

/// What making a session takes, for each byte of it.
fn for_each_byte(handler: SerializeHandler, input: Vec<u8>) -> usize {
    let (before, length) = (MEMORY.current_usage(), input.len());
    MEMORY.reset_peak_usage();
    let session = SessionData::decode(handler, input);
    let took = MEMORY.peak_usage().saturating_sub(before);
    assert!(session.is_ok_and(|session| session.len() > 50_000), "{}", handler.name());
    took / length
}

#[test]
fn a_session_of_tiny_variables_takes_the_most() {
    let _alone = ALONE.lock();
    // The shortest names of which there are so many.
    let names = || (0..=u16::MAX).map(u16::to_be_bytes).filter(|name| !name.contains(&b'|'));
    let texts = names().flat_map(|[first, second]| [first, second, b'|', b'N', b';']).collect();
    let binary = names().flat_map(|[first, second]| [2, first, second, b'N', b';']).collect();
    assert!(for_each_byte(SerializeHandler::Php, texts) < 50);
    assert!(for_each_byte(SerializeHandler::PhpBinary, binary) < 50);
    let array: Vec<u8> =
        (0..64_000).flat_map(|number| format!("i:{number};N;").into_bytes()).collect();
    let array = [b"a:64000:{", &*array, b"}"].concat();
    assert!(for_each_byte(SerializeHandler::PhpSerialize, array) < 50);
    #[cfg(feature = "igbinary")]
    {
        let pairs = (0..64_000_u16).flat_map(|number| {
            let [high, low] = number.to_be_bytes();
            [8, high, low, 0]
        });
        let binary = b"\0\0\0\x02\x15\xfa\0".iter().copied().chain(pairs).collect();
        assert!(for_each_byte(SerializeHandler::Igbinary, binary) < 50);
    }
}

#[test]
fn values_with_references_are_read_once() {
    let _alone = ALONE.lock();
    let list: String = (0..10_000).map(|number| format!("i:{number};N;")).collect();
    let text = format!("a|a:10000:{{{list}}}b|R:1;");
    let session = SessionData::decode(SerializeHandler::Php, text);
    let read = || session.as_ref().is_ok_and(|it| it.value("b").is_ok_and(|b| b.is_some()));
    assert!(read());
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    assert!(read());
    assert!(MEMORY.peak_usage().saturating_sub(before) < 10_000);
}

#[cfg(feature = "igbinary")]
#[test]
fn an_array_that_is_a_copy_of_itself_takes_little() {
    let _alone = ALONE.lock();
    let data = b"\0\0\0\x02\x14\x01\x11\x01a\x01\0".to_vec();
    let session = SessionData::decode(SerializeHandler::Igbinary, data);
    let value = session.and_then(|session| session.value("a"));
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    assert!(value.is_ok_and(|value| value.is_some_and(|value| value.serialize().is_err())));
    let took = MEMORY.peak_usage().saturating_sub(before);
    assert!(took < 128 << 20, "{took} bytes");
}
