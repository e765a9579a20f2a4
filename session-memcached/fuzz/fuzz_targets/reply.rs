//! What a server sends; see the README of this folder.

#![no_main]
#![allow(dead_code, reason = "the crate uses all of it")]

use bytes::BytesMut;

#[path = "../../src/link/parse.rs"]
mod parse;

use parse::{Form, Garbage, Reply};

const LARGEST: usize = 4_096;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(([form, cut], bytes)) = input.split_first_chunk() else { return };
    let form = match form % 4 {
        0 => Form::Meta(7),
        1 => Form::Line,
        2 => Form::Get,
        _ => Form::Statistics,
    };
    let whole = replies(form, &[bytes]);
    // Where the bytes are cut on their way makes no difference.
    let (first, rest) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    assert_eq!(replies(form, &[first, rest]), whole);
});

/// All replies, as the bytes come.
fn replies(form: Form, pieces: &[&[u8]]) -> (Vec<Reply>, Result<(), Garbage>) {
    let (mut buffer, mut all) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let before = buffer.len();
            match parse::next(&mut buffer, form, LARGEST) {
                Ok(Some(reply)) => {
                    assert!(buffer.len() < before, "a reply of nothing");
                    all.push(reply);
                }
                Ok(None) => {
                    assert_eq!(buffer.len(), before, "bytes are lost");
                    break;
                }
                Err(garbage) => return (all, Err(garbage)),
            }
            assert!(buffer.capacity() <= 4 * (LARGEST + input_size(pieces)), "it grows");
        }
    }
    (all, Ok(()))
}

fn input_size(pieces: &[&[u8]]) -> usize {
    pieces.iter().map(|piece| piece.len()).sum()
}
