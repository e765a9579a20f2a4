//! How a record's payload is read and written as a whole.

mod client;
mod document;
mod native;

use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;

pub(crate) use self::document::Name;
pub use self::{
    client::{Binding, ClientHint, SessionHandle},
    document::{Alias, Document, DocumentState, Entries, Frame, Header},
    native::NativeFormat,
};
use crate::{Codec, Error, ErrorKind, Operation, Result, Support, Timestamp, codec::ValueVisitor};

/// How payloads are read and written: the native envelope ([`NativeFormat`]), or the format of
/// another system that shares the sessions.
///
/// A payload that `decode` refuses is never overwritten by the session handle: it may be damaged and
/// worth a look, or written by a newer version of the program during a rolling deployment.
pub trait Format: fmt::Debug + Send + Sync + 'static {
    /// What the format has room for.
    fn capabilities(&self) -> FormatCapabilities;

    /// The document of a new session.
    fn new_document(&self, created_at: Timestamp) -> Document;

    /// Reads the frame of a payload. Values stay encoded.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt): the payload is damaged, or was written by a newer version.
    /// [`Unsupported`](ErrorKind::Unsupported): it is sound, but this build or configuration cannot
    /// read it.
    fn decode(&self, payload: &Bytes) -> Result<Document>;

    /// Writes a payload.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported): the document holds something that the format has
    /// no room for. [`TooLarge`](ErrorKind::TooLarge): a name, a value or their number is beyond
    /// the format's limits.
    fn encode(&self, document: &Document) -> Result<Bytes>;

    /// Encodes one value of a document whose codec is `codec`.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported): the value has no form in this format.
    fn encode_value(&self, codec: Codec, value: &dyn erased_serde::Serialize) -> Result<Bytes>;

    /// Decodes one value: hands a deserializer of it to `visit`. [`decode_as`] is the convenient
    /// form.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt): the bytes are damaged or not of the type asked for.
    fn decode_value(&self, codec: Codec, bytes: &[u8], visit: &mut ValueVisitor<'_>) -> Result<()>;
}

/// Decodes one value of a document whose codec is `codec`.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt): the bytes are damaged or not a `T`. The error says nothing of
/// the value.
pub fn decode_as<T: DeserializeOwned>(
    format: &dyn Format,
    codec: Codec,
    bytes: &[u8],
) -> Result<T> {
    let mut decoded = None;
    format.decode_value(codec, bytes, &mut |deserializer| {
        decoded = Some(erased_serde::deserialize(deserializer)?);
        Ok(())
    })?;
    decoded.ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, "session", Operation::Decode)
            .with_detail("the format read no value")
    })
}

/// What a [`Format`] has room for. What it has no room for, it refuses to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FormatCapabilities {
    /// When the session was created. Where it is not kept, a document that was read says 1970.
    pub created_at: Support,
    /// When the user was authenticated.
    pub authenticated_at: Support,
    /// An idle lifetime of the session's own.
    pub idle: Support,
    /// When the present id was made.
    pub rotated_at: Support,
    /// A handle, a hint and a binding of the client.
    pub client: Support,
    /// An alias in the place of a rotated id. Without it a rotated id leads nowhere.
    pub alias: Support,
}

impl FormatCapabilities {
    /// Room for everything.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            created_at: Support::Yes,
            authenticated_at: Support::Yes,
            idle: Support::Yes,
            rotated_at: Support::Yes,
            client: Support::Yes,
            alias: Support::Yes,
        }
    }
}

impl Default for FormatCapabilities {
    fn default() -> Self {
        Self::new()
    }
}
