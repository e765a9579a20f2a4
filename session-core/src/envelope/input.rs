//! Reading forward through bytes that nobody vouches for.

use bytes::Bytes;

use crate::{Error, ErrorKind, Operation, Result};

/// A payload, and up to where it was read. Asked for more than there is, it answers
/// [`Corrupt`](ErrorKind::Corrupt); it allocates nothing.
pub(super) struct Input {
    payload: Bytes,
    at: usize,
}

impl Input {
    pub(super) const fn new(payload: Bytes) -> Self {
        Self { payload, at: 0 }
    }

    /// How many bytes are left.
    pub(super) const fn len(&self) -> usize {
        self.payload.len() - self.at
    }

    /// All that is left.
    pub(super) fn rest(self) -> Bytes {
        self.payload.slice(self.at..)
    }

    /// The next `len` bytes, as a slice that shares the payload.
    pub(super) fn take(&mut self, len: usize) -> Result<Bytes> {
        let start = self.at;
        self.view(len)?;
        Ok(self.payload.slice(start..self.at))
    }

    /// The next `len` bytes, to be looked at only.
    pub(super) fn view(&mut self, len: usize) -> Result<&[u8]> {
        let rest = self.payload.get(self.at..).unwrap_or_default();
        let (view, _) = rest.split_at_checked(len).ok_or_else(|| corrupt("cut short"))?;
        self.at += len;
        Ok(view)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let array = self.view(N)?.first_chunk();
        array.copied().ok_or_else(|| corrupt("cut short"))
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
        if self.len() == 0 { Ok(()) } else { Err(corrupt("bytes after the end")) }
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
