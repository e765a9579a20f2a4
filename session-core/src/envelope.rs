//! The native envelope: how a [`Document`] lies in a record's payload.
//!
//! The bytes are described in `docs/formats/envelope.md`. Each version of the format has a module
//! that reads it; the newest one also writes. Payloads of every version that was ever written are
//! stored in `testdata/`, and every later program must read them.

mod compression;
mod input;
mod v1;

use bytes::Bytes;

pub use self::compression::Compression;
use self::input::{Input, corrupt};
use crate::{Document, Result};

/// The first bytes of every version. The first of them is not UTF-8, so no text starts like this.
const MAGIC: [u8; 4] = *b"\xF5SES";

/// Reads a payload of any known version.
pub(crate) fn decode(payload: &Bytes, max_decompressed: usize) -> Result<Document> {
    let mut input = Input::new(payload.clone());
    if input.array()? != MAGIC {
        return Err(corrupt("not a session envelope"));
    }
    match input.byte()? {
        0 => Err(corrupt("there is no version 0")),
        v1::VERSION => v1::decode(input, max_decompressed),
        _ => Err(corrupt("written by a newer version of the program")),
    }
}

/// Writes a payload of the newest version.
pub(crate) fn encode(
    document: &Document,
    compression: Compression,
    max_decompressed: usize,
) -> Result<Bytes> {
    v1::encode(document, compression, max_decompressed)
}

#[cfg(test)]
mod tests;
