//! Reading forward through bytes that nobody vouches for.

use bytes::Bytes;

use crate::{Error, ErrorKind, Operation, Result};

/// The part of a payload that is not read yet. Asked for more than there is, it answers
/// [`Corrupt`](ErrorKind::Corrupt); it allocates nothing.
pub(super) struct Input(Bytes);

impl Input {
    pub(super) const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// All that is left.
    pub(super) fn rest(self) -> Bytes {
        self.0
    }

    /// The next `len` bytes, as a slice that shares the payload.
    pub(super) fn take(&mut self, len: usize) -> Result<Bytes> {
        if len > self.0.len() {
            return Err(corrupt("cut short"));
        }
        Ok(self.0.split_to(len))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let array = *self.0.first_chunk().ok_or_else(|| corrupt("cut short"))?;
        bytes::Buf::advance(&mut self.0, N);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length or a count.
    pub(super) fn size(&mut self) -> Result<usize> {
        let size = self.array().map(u32::from_le_bytes)?;
        usize::try_from(size).map_err(|_beyond_memory| corrupt("cut short"))
    }

    /// What remains must be nothing.
    pub(super) fn end(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(corrupt("bytes after the end")) }
    }
}

pub(super) fn corrupt(detail: &'static str) -> Error {
    decoding(ErrorKind::Corrupt, detail)
}

pub(super) fn unsupported(detail: &'static str) -> Error {
    decoding(ErrorKind::Unsupported, detail)
}

fn decoding(kind: ErrorKind, detail: &'static str) -> Error {
    Error::new(kind, "session", Operation::Decode).with_detail(detail)
}
