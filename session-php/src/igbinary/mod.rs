//! The binary form of the extension igbinary.
//!
//! A header, then a value: a byte that says what it is, and big-endian numbers. Strings are numbered
//! as they first appear, whatever they are for; arrays, objects and references have numbers too.

mod read;
mod write;

pub(crate) use self::{read::read, write::Writer};

/// Versions 1 and 2 are read, 2 is written.
const HEADER: [u8; 4] = [0, 0, 0, 2];

const NULL: u8 = 0x00;
const ARRAY_AGAIN: u8 = 0x01;
const FALSE: u8 = 0x04;
const TRUE: u8 = 0x05;
/// Positive, then negative, of each width.
const INT_8: u8 = 0x06;
const INT_16: u8 = 0x08;
const INT_32: u8 = 0x0a;
const INT_64: u8 = 0x20;
const FLOAT: u8 = 0x0c;
const EMPTY_STRING: u8 = 0x0d;
/// The first of three, for numbers of 8, 16 and 32 bits; as the others below.
const STRING_AGAIN: u8 = 0x0e;
const STRING: u8 = 0x11;
const ARRAY: u8 = 0x14;
const OBJECT: u8 = 0x17;
const OBJECT_OF_CLASS_AGAIN: u8 = 0x1a;
const CUSTOM: u8 = 0x1d;
const OBJECT_AGAIN: u8 = 0x22;
const REFERENCE: u8 = 0x25;
const ENUM: u8 = 0x27;
