//! `cargo +nightly fuzz run igbinary`, in `session-php/`.

#![no_main]
#![allow(dead_code, reason = "each target uses one of the bodies")]

#[path = "../../tests/fuzz_bodies/mod.rs"]
mod fuzz_bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_bodies::igbinary(input));
