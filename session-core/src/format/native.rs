//! The family's own format.

use bytes::Bytes;

use crate::{
    Codec, Compression, Document, Format, FormatCapabilities, Result, Timestamp,
    codec::ValueVisitor, envelope,
};

/// The family's own format: a versioned envelope around entries that are decoded one by one.
///
/// Its bytes are described in `docs/formats/envelope.md`. Reading a payload copies no value, and
/// costs no more memory than the payload itself plus an index of less than 128 bytes an entry,
/// for at most [`Entries::MAX_LEN`](crate::Entries::MAX_LEN) entries; a compressed payload also
/// costs its decompressed size, which [`max_decompressed`](Self::max_decompressed) bounds.
#[derive(Debug, Clone)]
pub struct NativeFormat {
    codec: Codec,
    compression: Compression,
    max_decompressed: usize,
}

impl NativeFormat {
    /// The default of [`max_decompressed`](Self::max_decompressed): 8 MiB.
    pub const MAX_DECOMPRESSED: usize = 8 * 1024 * 1024;

    /// The format, with `codec` for the values of new sessions. Without compression.
    #[must_use]
    pub const fn new(codec: Codec) -> Self {
        Self { codec, compression: Compression::None, max_decompressed: Self::MAX_DECOMPRESSED }
    }

    /// With this compression.
    #[must_use]
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// The most bytes that a compressed payload may unfold to; 8 MiB by default. One that says it
    /// is larger is refused before it is unfolded, and none larger is written compressed. All
    /// servers of a fleet need the same.
    #[must_use]
    pub const fn max_decompressed(mut self, bytes: usize) -> Self {
        self.max_decompressed = bytes;
        self
    }
}

impl Default for NativeFormat {
    fn default() -> Self {
        Self::new(Codec::default())
    }
}

impl Format for NativeFormat {
    fn capabilities(&self) -> FormatCapabilities {
        FormatCapabilities::new()
    }

    fn new_document(&self, created_at: Timestamp) -> Document {
        Document::new(self.codec, created_at)
    }

    fn decode(&self, payload: &Bytes) -> Result<Document> {
        envelope::decode(payload, self.max_decompressed)
    }

    fn encode(&self, document: &Document) -> Result<Bytes> {
        envelope::encode(document, self.compression, self.max_decompressed)
    }

    fn encode_value(&self, codec: Codec, value: &dyn erased_serde::Serialize) -> Result<Bytes> {
        codec.encode(value)
    }

    fn decode_value(&self, codec: Codec, bytes: &[u8], visit: &mut ValueVisitor<'_>) -> Result<()> {
        codec.decode(bytes, visit)
    }
}
