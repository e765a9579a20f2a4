//! The binary form of the extension msgpack: MessagePack, with marks for what PHP has more.
//!
//! An array whose keys are 0, 1, 2, … is an array there, any other one is a map. A map whose first key is nil is
//! something else: an object, with the name of its class as the value of that key, or an object that was
//! there before. What else has such a mark (arrays and objects that are one by reference, classes that serialize
//! themselves, cases of enums) differs between versions of the extension, and is refused.

mod read;
mod write;

pub(crate) use self::{read::read, write::Writer};

const NIL: u8 = 0xc0;
const FALSE: u8 = 0xc2;
const TRUE: u8 = 0xc3;
const FLOAT_32: u8 = 0xca;
const FLOAT_64: u8 = 0xcb;
/// The first of four, for numbers of 8, 16, 32 and 64 bits; likewise signed ones.
const UNSIGNED: u8 = 0xcc;
const SIGNED: u8 = 0xd0;
/// What is short has its length in the tag.
const SHORT_MAP: u8 = 0x80;
const SHORT_ARRAY: u8 = 0x90;
const SHORT_STRING: u8 = 0xa0;
/// The first of three, for lengths of 8, 16 and 32 bits.
const BINARY: u8 = 0xc4;
const STRING: u8 = 0xd9;
/// The first of two, for counts of 16 and 32 bits.
const ARRAY: u8 = 0xdc;
const MAP: u8 = 0xde;
/// Small negative numbers are their own tag from here on.
const NEGATIVE: u8 = 0xe0;

/// The array of variables, which PHP has as a reference.
const MARK_OF_REFERENCE: u8 = 1;
const MARK_OF_OBJECT_AGAIN: u8 = 4;

const ONLY_PHP: &str = "a reference, an enum or a class that serializes itself, in msgpack";
