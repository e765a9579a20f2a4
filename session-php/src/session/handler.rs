//! PHP's session serialisers.

use super::names::Piece;
use crate::{
    Error, ErrorKind, KeyRef, Result,
    text::{Scanner, write_head, write_int, write_string},
};

/// PHP's setting `session.serialize_handler`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SerializeHandler {
    /// `php`, the default: `name|value…`. Names have no `|` and are not numbers.
    #[default]
    Php,
    /// `php_binary`: a byte with the length of the name, the name, the value. Names have up to 127
    /// bytes and are not numbers.
    PhpBinary,
    /// `php_serialize`: the array as `serialize` writes it. Any name.
    PhpSerialize,
    /// `igbinary`, of the extension of this name: the array in its binary form. Names are not
    /// numbers.
    #[cfg(feature = "igbinary")]
    Igbinary,
    /// `msgpack`, of the extension of this name: the array as MessagePack. Names are not numbers.
    ///
    /// Arrays and objects that are one by reference, marked enums and classes that serialize themselves are
    /// refused ([`Unsupported`](ErrorKind::Unsupported)): they look different with each version of the
    /// extension. A scalar that is one by reference is written as a value of its own, as by the extension. An
    /// object is written with its properties, so do not set one of a class that has `__serialize`.
    #[cfg(feature = "msgpack")]
    Msgpack,
}

const LONGEST_BINARY_NAME: u8 = 127;

impl SerializeHandler {
    /// The serialiser of a setting; capitals are as good as small letters, as in PHP.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) when there is none, or this build lacks its feature.
    pub fn named(name: &str) -> Result<Self> {
        let all = [
            Self::Php,
            Self::PhpBinary,
            Self::PhpSerialize,
            #[cfg(feature = "igbinary")]
            Self::Igbinary,
            #[cfg(feature = "msgpack")]
            Self::Msgpack,
        ];
        let found = all.into_iter().find(|handler| handler.name().eq_ignore_ascii_case(name));
        found.ok_or(Error::new(ErrorKind::Unsupported, "no such serialize_handler"))
    }

    /// Its name in PHP's settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Php => "php",
            Self::PhpBinary => "php_binary",
            Self::PhpSerialize => "php_serialize",
            #[cfg(feature = "igbinary")]
            Self::Igbinary => "igbinary",
            #[cfg(feature = "msgpack")]
            Self::Msgpack => "msgpack",
        }
    }

    /// The serialiser with which its variables are kept as texts.
    pub(super) const fn text_form(self) -> Self {
        match self {
            #[cfg(feature = "igbinary")]
            Self::Igbinary => Self::PhpSerialize,
            #[cfg(feature = "msgpack")]
            Self::Msgpack => Self::PhpSerialize,
            text => text,
        }
    }

    /// Refuses names with which PHP would lose the variable, or the whole session.
    pub(super) fn check_name(self, name: &[u8]) -> Result<()> {
        let refuse = |detail| Err(Error::new(ErrorKind::Name, detail));
        let number = matches!(KeyRef::of(name), KeyRef::Int(_));
        match self {
            #[cfg(feature = "igbinary")]
            Self::Igbinary if number => refuse("PHP loses variables with numbers as names"),
            #[cfg(feature = "msgpack")]
            Self::Msgpack if number => refuse("PHP loses variables with numbers as names"),
            Self::Php | Self::PhpBinary if number => {
                refuse("PHP skips variables with numbers as names")
            }
            Self::Php if name.contains(&b'|') => {
                refuse("PHP stores nothing of a session with | in a name")
            }
            Self::PhpBinary if name.len() > usize::from(LONGEST_BINARY_NAME) => {
                refuse("PHP skips variables whose names are longer than 127 bytes")
            }
            _ => Ok(()),
        }
    }

    /// How many slots are taken before the first variable.
    pub(super) const fn slots_ahead(self) -> u32 {
        match self {
            Self::PhpSerialize => 1,
            _ => 0,
        }
    }

    /// Reads the name of the next variable of `php` or `php_binary`, or the end.
    pub(super) fn next_name(self, scanner: &mut Scanner<'_>) -> Result<Option<Piece>> {
        let rest = scanner.rest();
        let Some(first) = rest.first() else { return Ok(None) };
        let (before, length) = if self == Self::PhpBinary {
            // The high bit once marked undefined variables; PHP still takes it off.
            (1, usize::from(first & LONGEST_BINARY_NAME))
        } else {
            let end = rest.iter().position(|byte| *byte == b'|');
            (0, end.ok_or_else(|| scanner.error("a name without its |"))?)
        };
        let start = scanner.at() + before;
        if before + length >= rest.len() {
            return Err(scanner.error("a name without a value"));
        }
        scanner.skip(length + 1);
        Ok(Some(Piece::read(start, start + length)))
    }

    /// What stands before all variables.
    pub(super) fn write_head(self, out: &mut Vec<u8>, count: usize) {
        if self == Self::PhpSerialize {
            write_head(out, b'a', count, b'{');
        }
    }

    /// What stands before the value of a variable.
    pub(super) fn write_name(self, out: &mut Vec<u8>, name: &[u8]) {
        match (self, KeyRef::of(name)) {
            (Self::Php, _) => {
                out.extend_from_slice(name);
                out.push(b'|');
            }
            (Self::PhpBinary, _) => {
                out.push(u8::try_from(name.len()).unwrap_or(LONGEST_BINARY_NAME));
                out.extend_from_slice(name);
            }
            (_, KeyRef::Int(number)) => write_int(out, *b"i:", number),
            (_, KeyRef::Str(name)) => write_string(out, name),
        }
    }

    /// What stands behind all variables.
    pub(super) fn write_end(self, out: &mut Vec<u8>) {
        if self == Self::PhpSerialize {
            out.push(b'}');
        }
    }
}
