//! How a single value becomes bytes, and comes back within bounds.

mod guard;

use bytes::Bytes;
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny},
};

use self::guard::Guard;
use crate::{Error, ErrorKind, Operation, Result};

/// How the values of a document are encoded.
///
/// A document names its codec, so a change of the configured codec applies to new sessions, and
/// those that live keep theirs.
///
/// Decoding is bounded, whatever the bytes say: lists, maps and enums nest at most 127 levels deep,
/// nothing is reserved on the word of a length prefix, and bytes left over are an error. A value
/// that nests deeper is refused when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Codec {
    /// MessagePack with the names of struct fields. Fields may be added to a stored struct (with
    /// `#[serde(default)]`) and removed from it without breaking live sessions.
    #[default]
    MessagePack,
    /// JSON, to be read by eye. Evolves like MessagePack; floats come back exactly; a float that is
    /// not a number is written as `null`, as JSON has none.
    Json,
    /// bincode 2: compact, and **positional**. Field names and types are not stored, so adding,
    /// removing, reordering or retyping a field or a variant of a stored struct makes every live
    /// value of it undecodable, or decodes it as something else without an error. Values cannot be
    /// merged by [`MergeRule::Counter`](crate::MergeRule::Counter),
    /// [`Max`](crate::MergeRule::Max) or [`Union`](crate::MergeRule::Union), and the depth of a
    /// value is checked only when it is read. bincode is no longer maintained (RUSTSEC-2025-0141);
    /// the feature exists for programs that already depend on it.
    #[cfg(feature = "bincode")]
    Bincode,
}

/// What [`Format::decode_value`](crate::Format::decode_value) hands the deserializer to.
pub type ValueVisitor<'a> =
    dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error> + 'a;

impl Codec {
    /// Whether the bytes of a value say of which type it is, so that it can be decoded without
    /// knowing.
    #[must_use]
    pub const fn is_self_describing(self) -> bool {
        match self {
            Self::MessagePack | Self::Json => true,
            #[cfg(feature = "bincode")]
            Self::Bincode => false,
        }
    }

    /// Encodes a value.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) when the codec cannot express the value (JSON wants
    /// maps with string keys), when it nests too deep, or when its own `Serialize` fails.
    pub fn encode(self, value: &dyn erased_serde::Serialize) -> Result<Bytes> {
        let bytes = match self {
            Self::MessagePack => rmp_serde::to_vec_named(value).ok(),
            Self::Json => serde_json::to_vec(value).ok(),
            #[cfg(feature = "bincode")]
            Self::Bincode => bincode::serde::encode_to_vec(value, BINCODE).ok(),
        };
        // The encoder's own error may repeat the value, so it goes no further.
        let bytes = bytes.ok_or_else(|| unwritable("the value has no form in this codec"))?;
        if !self.is_plain(&bytes) && self.is_readable(&bytes) == Some(false) {
            return Err(unwritable("the value nests too deep to be read again"));
        }
        Ok(bytes.into())
    }

    /// Decodes a value: hands a deserializer of it to `visit`.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) when the bytes are damaged, are longer than the value, nest
    /// too deep, or are not of the type asked for. The error says which, and nothing of the value.
    pub fn decode(self, bytes: &[u8], visit: &mut ValueVisitor<'_>) -> Result<()> {
        self.decode_seed(bytes, Visit(visit, bytes.len()))
            .ok_or_else(|| unreadable(self.is_readable(bytes)))
    }

    /// Whether the first byte shows a value without parts, which nests nothing: a number, a text.
    const fn is_plain(self, bytes: &[u8]) -> bool {
        let Some(first) = bytes.first() else { return false };
        match self {
            Self::MessagePack => !matches!(
                first,
                // Maps and lists by their form, unused, extensions, lists and maps.
                0x80..=0x9f | 0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 | 0xdc..=0xdf
            ),
            Self::Json => matches!(first, b'"' | b'-' | b'0'..=b'9' | b'f' | b'n' | b't'),
            #[cfg(feature = "bincode")]
            Self::Bincode => false,
        }
    }

    /// Whether the bytes are one well-formed value within bounds; `None` where the codec does not
    /// let us know.
    fn is_readable(self, bytes: &[u8]) -> Option<bool> {
        self.is_self_describing().then(|| self.decode_seed(bytes, Skip(bytes.len())).is_some())
    }

    fn decode_seed<S>(self, bytes: &[u8], seed: S) -> Option<()>
    where
        S: for<'de> DeserializeSeed<'de, Value = ()>,
    {
        match self {
            Self::MessagePack => {
                let mut de = rmp_serde::Deserializer::from_read_ref(bytes);
                seed.deserialize(&mut de).ok()?;
                // It does not tell where it stands; at the end, there is no next marker.
                let next = <()>::deserialize(&mut de);
                matches!(next, Err(rmp_serde::decode::Error::InvalidMarkerRead(_))).then_some(())
            }
            Self::Json => {
                let mut de = serde_json::Deserializer::from_slice(bytes);
                seed.deserialize(&mut de).ok()?;
                de.end().ok()
            }
            #[cfg(feature = "bincode")]
            Self::Bincode => {
                let ((), read) =
                    bincode::serde::seed_decode_from_slice(seed, bytes, BINCODE).ok()?;
                (read == bytes.len()).then_some(())
            }
        }
    }
}

#[cfg(feature = "bincode")]
const BINCODE: bincode::config::Configuration = bincode::config::standard();

fn unwritable(detail: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, "session", Operation::Encode).with_detail(detail)
}

fn unreadable(well_formed: Option<bool>) -> Error {
    let detail = match well_formed {
        Some(true) => "the value is not of the type asked for",
        Some(false) => "the value is damaged",
        None => "the value is damaged or not of the type asked for",
    };
    Error::new(ErrorKind::Corrupt, "session", Operation::Decode).with_detail(detail)
}

/// Lets a [`ValueVisitor`] read a value of so many bytes.
struct Visit<'a, 'v>(&'a mut ValueVisitor<'v>, usize);

impl<'de> DeserializeSeed<'de> for Visit<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let guard = Guard::new(deserializer, self.1);
        (self.0)(&mut <dyn erased_serde::Deserializer<'_>>::erase(guard)).map_err(D::Error::custom)
    }
}

/// Reads over a value of so many bytes.
struct Skip(usize);

impl<'de> DeserializeSeed<'de> for Skip {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let skipped = IgnoredAny::deserialize(Guard::new(deserializer, self.0));
        skipped.map(drop).map_err(D::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests;
