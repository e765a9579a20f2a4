//! How much memory an input can make us take.

use std::sync::Mutex;

use peak_alloc::PeakAlloc;
use session_php::Value;

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
        fill("a:9999:{i:0;"),
        format!("a:{}:{{", length / 7) + &fill("i:0;N;"),
        // The most values for the fewest bytes.
        format!(
            "a:1:{{i:0;a:{}:{{{}}}}}",
            90_000,
            (0..90_000).map(|n| format!("i:{n};N;")).collect::<String>()
        ),
        format!(
            "a:{}:{{{}}}",
            90_000,
            (0..90_000).map(|n| format!("s:5:\"{n:05}\";N;")).collect::<String>()
        ),
        format!("a:1:{{i:0;{}N;{}}}", "a:1:{i:0;".repeat(4000), "}".repeat(4000)),
        fill("O:1:\"A\":1:{i:0;"),
        "9".repeat(length),
    ];
    for input in inputs {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        drop(Value::parse(input.clone()));
        let took = MEMORY.peak_usage().saturating_sub(before);
        let head: String = input.chars().take(20).collect();

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
    use session_php::{SerializeHandler, SessionData};
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
        drop(SessionData::decode(SerializeHandler::Igbinary, input));
        let took = MEMORY.peak_usage().saturating_sub(before);
        assert!(took < 25 * length, "{took} bytes for {length}");
    }
}
