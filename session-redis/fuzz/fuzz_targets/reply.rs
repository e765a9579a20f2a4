//! What a server sends; see the README of this folder.

#![no_main]
#![allow(dead_code, reason = "the crate uses all of it")]

#[path = "../../src/link/parse.rs"]
mod parse;
#[path = "../../src/link/reply.rs"]
mod reply;

use bytes::BytesMut;
use parse::{Garbage, Parser};
use reply::Value;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(([first, second], bytes)) = input.split_first_chunk() else { return };
    let whole = replies(&[bytes]);
    // Where the bytes are cut on their way makes no difference.
    let (head, tail) = bytes.split_at(usize::from(*first).min(bytes.len()));
    let (middle, tail) = tail.split_at(usize::from(*second).min(tail.len()));
    assert_eq!(replies(&[head, middle, tail]), whole);
});

/// All replies, as the bytes come.
fn replies(pieces: &[&[u8]]) -> (Vec<Value>, Result<(), Garbage>) {
    let (mut parser, mut bytes, mut all) = (Parser::default(), BytesMut::new(), Vec::new());
    for piece in pieces {
        bytes.extend_from_slice(piece);
        loop {
            let before = bytes.len();
            match parser.next(&mut bytes) {
                Ok(Some(reply)) => {
                    assert!(bytes.len() < before, "a reply of nothing");
                    all.push(reply);
                }
                Ok(None) => break,
                Err(garbage) => return (all, Err(garbage)),
            }
        }
    }
    (all, Ok(()))
}
