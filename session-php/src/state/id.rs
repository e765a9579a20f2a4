//! Session ids as PHP makes them.

use std::{fmt, sync::Arc};

use session_core::{Error, ErrorKind, Operation, Result, SessionId};

/// A session id of PHP's: any bytes, until a handler has something against them. Its `Debug` shows
/// nothing of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhpId(Arc<[u8]>);

impl PhpId {
    /// An id of these bytes.
    #[must_use]
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().into())
    }

    /// The bytes. Whoever reads them holds the session: keep them out of logs.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The id for a store.
    ///
    /// # Errors
    /// [`InvalidId`](ErrorKind::InvalidId): as [`SessionId::parse`].
    pub fn to_session_id(&self) -> Result<SessionId> {
        let text = str::from_utf8(&self.0).unwrap_or_default();
        SessionId::parse(text)
    }

    /// What PHP takes for the text: it ends before a NUL.
    pub(super) fn text(&self) -> &[u8] {
        until_nul(&self.0)
    }

    /// Whether PHP drops the id wherever it comes from.
    pub(super) fn is_dangerous(&self) -> bool {
        self.text().iter().any(|byte| b"\r\n\t <>'\"\\".contains(byte))
    }
}

impl fmt::Debug for PhpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhpId(..)")
    }
}

/// Up to the first NUL.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Whether `files` and prefixes take it: 1 to 256 characters out of `A-Z a-z 0-9 , -`.
pub(super) fn is_valid_key(bytes: &[u8]) -> bool {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b',' | b'-');
    !bytes.is_empty() && bytes.len() <= SessionId::MAX_LEN && bytes.iter().all(legal)
}

/// Where random bytes come from: for ids, and for the draw whether to collect garbage.
pub trait Random: fmt::Debug + Send {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when there are none.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()>;
}

/// The operating system's.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|source| {
            Error::new(ErrorKind::Unavailable, "session", Operation::Id)
                .with_detail("the operating system gave no random bytes")
                .with_source(source)
        })
    }
}

const ALPHABET: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ,-";

/// An id of PHP's own generator, with `sid_length` characters of `sid_bits_per_character` bits.
///
/// # Errors
/// When there are no random bytes.
pub fn create_id(random: &mut dyn Random, length: usize, bits: u8) -> Result<PhpId> {
    let mut bytes = vec![0; (length * usize::from(bits)).div_ceil(8)];
    random.fill(&mut bytes)?;
    Ok(PhpId::new(readable(&bytes, bits)).cut(length))
}

impl PhpId {
    fn cut(self, length: usize) -> Self {
        match self.0.get(..length) {
            Some(start) if start.len() < self.0.len() => Self::new(start),
            _ => self,
        }
    }
}

/// The lowest bits first, across the bounds of bytes.
fn readable(bytes: &[u8], bits: u8) -> Vec<u8> {
    let (mut waiting, mut have) = (0_u16, 0);
    let mut text = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes {
        waiting |= u16::from(*byte) << have;
        have += 8;
        while have >= bits {
            let index = usize::from(waiting & ((1 << bits) - 1));
            text.extend(ALPHABET.get(index));
            waiting >>= bits;
            have -= bits;
        }
    }
    text
}
