//! What is noted of a client at a log-in.

use std::{fmt, sync::Arc};

use data_encoding::BASE64URL_NOPAD;

use crate::{Error, ErrorKind, Operation, Result, id::fill_random};

/// The name of a session in the list of its principal's sessions: to be shown to the user and taken
/// back from him.
///
/// Random, made at the log-in and kept when the id is rotated. It leads neither to the id nor to the key, and
/// can do nothing but name one of the sessions of the principal for whom it is used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionHandle([u8; 16]);

impl SessionHandle {
    /// Makes a new random handle.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when there are no random bytes.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0; 16];
        fill_random(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// A handle read back from a payload.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a payload.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads the text of a handle, as its `Display` writes it: 22 characters that fit a URL and
    /// a form.
    ///
    /// # Errors
    /// [`InvalidId`](ErrorKind::InvalidId) when it is not the text of a handle.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or_else(|| {
            Error::new(ErrorKind::InvalidId, "session", Operation::Id)
                .with_detail("not a session's handle")
        })
    }
}

impl fmt::Display for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionHandle({self})")
    }
}

/// What the application says of a client, for the user to recognise his devices by: `Firefox on
/// Linux`, a city, a name that he gave.
///
/// Nothing is decided by it. It holds at most [`MAX_LEN`](Self::MAX_LEN) bytes and no control
/// characters; what is more is cut off, so that a request's header can be given as it is. It is the
/// client's word: escape it where it is shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientHint(Arc<str>);

impl ClientHint {
    /// The longest hint in bytes of UTF-8.
    pub const MAX_LEN: usize = 128;

    /// As much of `text` as there is room for.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut hint = String::with_capacity(text.len().min(Self::MAX_LEN));
        for shown in text.chars().filter(|shown| !shown.is_control()) {
            if hint.len() + shown.len_utf8() > Self::MAX_LEN {
                break;
            }
            hint.push(shown);
        }
        Self(hint.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// It may be anything, so no log shows it.
impl fmt::Debug for ClientHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientHint({} bytes)", self.0.len())
    }
}

/// A digest of properties of a client, made by [`KeyHasher::binding`](crate::KeyHasher::binding).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Binding([u8; 32]);

impl Binding {
    /// A digest read back from a payload.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a payload.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binding(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_comes_back_from_its_text_and_nothing_else_does() {
        let handle = SessionHandle::generate().unwrap();
        let text = handle.to_string();
        assert_eq!(text.len(), 22);
        assert_eq!(SessionHandle::parse(&text).unwrap(), handle);
        for wrong in ["", "a", &text[1..], &format!("{text}A"), "../../../../../../etc/"] {
            assert_eq!(SessionHandle::parse(wrong).unwrap_err().kind(), ErrorKind::InvalidId);
        }
    }

    #[test]
    fn a_hint_is_cut_between_characters_and_holds_no_controls() {
        let hint = ClientHint::new(&"ü".repeat(100));
        assert_eq!(hint.as_str(), "ü".repeat(64));
        let odd = ClientHint::new(&format!("a{}", "ü".repeat(100)));
        assert_eq!(odd.as_str().len(), 127);
        assert_eq!(ClientHint::new("a\r\nSet-Cookie: b\0\u{9b}").as_str(), "aSet-Cookie: b");
        assert_eq!(ClientHint::new(hint.as_str()), hint);
    }
}
