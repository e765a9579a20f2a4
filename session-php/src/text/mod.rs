//! The text form that `serialize` writes and `unserialize` reads.

mod alike;
mod build;
mod chunk;
mod float;
mod number;
mod outline;
mod scan;
mod value;
mod write;

pub use self::float::Precision;
#[cfg(any(feature = "igbinary", feature = "msgpack"))]
pub(crate) use self::scan::{Event, Sink, Slot, Text, is_class_name};
pub(crate) use self::{
    build::Builder,
    float::write_float,
    outline::Outline,
    scan::{ScannedKey, Scanner},
    write::{Writer, write_head, write_int, write_length, write_string},
};
