//! How single values are encoded.

use bytes::Bytes;
use serde::{Deserialize, de::IgnoredAny};

use crate::{Error, ErrorKind, Operation, Result};

/// How the values of a session are encoded, one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Codec {
    /// MessagePack, struct fields by name, so that a field with a default may be added to a stored
    /// struct without breaking live sessions. Compact, and readable from other languages.
    #[default]
    MessagePack,
    /// JSON, for reading stored sessions by eye. Byte strings become lists of numbers.
    Json,
}

/// What a codec's deserializer is handed to.
pub(crate) type Visit<'a> =
    &'a mut dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error>;

/// Deeper values are refused, so that no stored value can exhaust the stack.
const MAX_DEPTH: usize = 128;

impl Codec {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::MessagePack => 1,
            Self::Json => 2,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::MessagePack),
            2 => Some(Self::Json),
            _ => None,
        }
    }

    pub(crate) fn encode(self, value: &dyn erased_serde::Serialize) -> Result<Bytes> {
        let bytes = match self {
            Self::MessagePack => rmp_serde::to_vec_named(value).ok(),
            Self::Json => serde_json::to_vec(value).ok(),
        };
        // The codecs' own errors may quote the value.
        bytes.map(Bytes::from).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "session", Operation::Encode)
                .with_detail("the value cannot be encoded")
        })
    }

    pub(crate) fn decode(self, bytes: &[u8], visit: Visit<'_>) -> Result<()> {
        let complete = match self {
            Self::MessagePack => {
                let mut source = rmp_serde::Deserializer::from_read_ref(bytes);
                source.set_max_depth(MAX_DEPTH);
                let done = visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut source));
                done.is_ok() && IgnoredAny::deserialize(&mut source).is_err()
            }
            Self::Json => {
                let mut source = serde_json::Deserializer::from_slice(bytes);
                let done = visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut source));
                done.is_ok() && source.end().is_ok()
            }
        };
        if complete { Ok(()) } else { Err(not_a_value()) }
    }
}

/// The codecs' own errors may quote the value, so none is passed on.
fn not_a_value() -> Error {
    Error::new(ErrorKind::Corrupt, "session", Operation::Decode)
        .with_detail("the stored value is not of the type that is asked for")
}

/// Decodes one value with a format.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt) when the bytes are not a `T`.
pub fn decode_as<T: for<'de> Deserialize<'de>>(
    format: &dyn crate::Format,
    codec: Codec,
    bytes: &[u8],
) -> Result<T> {
    let mut value = None;
    format.decode_value(codec, bytes, &mut |source| {
        value = Some(erased_serde::deserialize(source)?);
        Ok(())
    })?;
    value.ok_or_else(not_a_value)
}
