//! Compression of the entries.

use bytes::Bytes;

use super::input::corrupt;
use crate::Result;

/// Whether payloads are compressed when they are written.
///
/// Compressed payloads are read whatever is chosen here, if the program was built with the
/// feature `lz4`; without it they are refused with [`Unsupported`](crate::ErrorKind::Unsupported).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// They are not.
    #[default]
    None,
    /// LZ4: a 52 KB session of text shrinks to a fifth in some 20 µs.
    #[cfg(feature = "lz4")]
    Lz4 {
        /// Entries of up to so many bytes altogether are left as they are, and so are those that
        /// do not become smaller.
        above: usize,
    },
}

#[cfg(feature = "lz4")]
impl Compression {
    /// LZ4 for entries of more than 2 KiB. Below that it saves a store nothing worth its time.
    pub const LZ4: Self = Self::Lz4 { above: 2048 };
}

impl Compression {
    const fn above(self) -> Option<usize> {
        match self {
            Self::None => None,
            #[cfg(feature = "lz4")]
            Self::Lz4 { above } => Some(above),
        }
    }
}

pub(super) const NONE: u8 = 0;
pub(super) const LZ4: u8 = 1;

/// Compresses `body` with LZ4, if that is asked for and makes it smaller. A body of more than `max`
/// bytes is left alone, as nobody would unfold it.
pub(super) fn fold(compression: Compression, body: &[u8], max: usize) -> Option<Vec<u8>> {
    let above = compression.above()?;
    if body.len() <= above || body.len() > max {
        return None;
    }
    lz4::fold(body).filter(|folded| folded.len() < body.len())
}

/// The body that was written with the compression `tag`, which may have no more than `max` bytes.
pub(super) fn unfold(tag: u8, body: Bytes, max: usize) -> Result<Bytes> {
    match tag {
        NONE => Ok(body),
        LZ4 => lz4::unfold(body, max),
        _ => Err(corrupt("unknown compression")),
    }
}

#[cfg(feature = "lz4")]
mod lz4 {
    use bytes::Bytes;
    use lz4_flex::block;

    use super::super::input::{Input, corrupt};
    use crate::Result;

    /// LZ4 cannot shrink anything further than this.
    const MAX_RATIO: usize = 255;

    /// The length, then an LZ4 block.
    pub(super) fn fold(body: &[u8]) -> Option<Vec<u8>> {
        u32::try_from(body.len()).is_ok().then(|| block::compress_prepend_size(body))
    }

    pub(super) fn unfold(body: Bytes, max: usize) -> Result<Bytes> {
        let mut input = Input::new(body);
        let len = input.size()?;
        let block = input.rest();
        if len > max {
            return Err(corrupt("unfolds to more bytes than the configuration allows"));
        }
        if len > block.len().saturating_mul(MAX_RATIO) {
            return Err(corrupt("cannot unfold to as many bytes as it says"));
        }
        // Its error tells positions only, and helps nobody.
        let body = block::decompress(&block, len).ok().filter(|body| body.len() == len);
        body.map(Bytes::from).ok_or_else(|| corrupt("damaged LZ4 block"))
    }
}

#[cfg(not(feature = "lz4"))]
mod lz4 {
    use bytes::Bytes;

    use super::super::input::unsupported;
    use crate::Result;

    pub(super) fn fold(_body: &[u8]) -> Option<Vec<u8>> {
        None
    }

    pub(super) fn unfold(_body: Bytes, _max: usize) -> Result<Bytes> {
        Err(unsupported("the program was built without the feature `lz4`"))
    }
}
