//! What can be wrong with values and sessions.

use std::fmt;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be read or written. It repeats nothing of the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    detail: &'static str,
    offset: Option<usize>,
}

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// PHP could not read it either: PHP destroys a session that it cannot decode.
    Syntax,
    /// A reference to something that is not there, or to a scalar as if it were an object.
    Reference,
    /// Nested beyond [`Limits::depth`](crate::Limits::depth).
    TooDeep,
    /// Longer or more than the limits allow.
    TooLarge,
    /// A name that the session serialiser cannot write.
    Name,
    /// The value has no form in PHP, or not in this serialiser.
    Unsupported,
    /// The value is not of the type asked for.
    Type,
}

impl Error {
    pub(crate) const fn new(kind: ErrorKind, detail: &'static str) -> Self {
        Self { kind, detail, offset: None }
    }

    pub(crate) const fn at(kind: ErrorKind, detail: &'static str, offset: usize) -> Self {
        Self { kind, detail, offset: Some(offset) }
    }

    /// What kind of thing is wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Where in the input, counted in bytes, where something was read.
    #[must_use]
    pub const fn offset(&self) -> Option<usize> {
        self.offset
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "{} at byte {offset}", self.detail),
            None => f.write_str(self.detail),
        }
    }
}

impl std::error::Error for Error {}

const NOT_OF_THE_TYPE: Error =
    Error::new(ErrorKind::Type, "the value is not of the type asked for");

/// The texts that serde makes repeat values, so they go no further.
impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(_: T) -> Self {
        NOT_OF_THE_TYPE
    }
}

impl serde::ser::Error for Error {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::new(ErrorKind::Unsupported, "the value cannot be serialized")
    }
}
