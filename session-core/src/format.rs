//! How a record's payload is read and written as a whole.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;

use crate::{Codec, KeyDigest, Result, Support, Timestamp, Ttl, codec::Visit, envelope};

/// A record's payload, taken apart: facts about the session, and its entries, still encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// The facts.
    pub header: Header,
    /// The entries.
    pub entries: Entries,
}

impl Document {
    /// An empty session that begins now.
    #[must_use]
    pub fn new(codec: Codec, created_at: Timestamp) -> Self {
        let state = DocumentState::Live;
        let header = Header { codec, created_at, authenticated_at: None, idle: None, state };
        Self { header, entries: Entries::new() }
    }

    /// Puts a document together.
    #[must_use]
    pub const fn from_parts(header: Header, entries: Entries) -> Self {
        Self { header, entries }
    }
}

/// What a payload says of its session besides the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// How the values of this session are encoded.
    pub codec: Codec,
    /// When the session began.
    pub created_at: Timestamp,
    /// When its user last logged in.
    pub authenticated_at: Option<Timestamp>,
    /// The idle lifetime of this session, where it has one of its own.
    pub idle: Option<Ttl>,
    /// Whether this is a session or what is left of a rotated one.
    pub state: DocumentState,
}

/// Whether a record is a session, or leads to one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DocumentState {
    /// A session.
    Live,
    /// The id was rotated away.
    Alias(Alias),
}

/// What is left under an id that was rotated away.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alias {
    /// The key of the session that it became. It does not lead to its id.
    pub successor: KeyDigest,
    /// Until when the old id leads to the successor.
    pub redirect_until: Timestamp,
    /// When the id was rotated away.
    pub rotated_at: Timestamp,
}

impl Alias {
    /// An alias.
    #[must_use]
    pub const fn new(
        successor: KeyDigest,
        redirect_until: Timestamp,
        rotated_at: Timestamp,
    ) -> Self {
        Self { successor, redirect_until, rotated_at }
    }
}

/// The entries of a session: encoded values by name, in order of the names.
///
/// Values are slices of the payload that they came from; a clone copies none of them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Entries(BTreeMap<Box<str>, Bytes>);

impl Entries {
    /// No entries.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The encoded value of an entry.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.get(name)
    }

    /// Sets an entry and returns its former value.
    pub fn insert(&mut self, name: &str, value: Bytes) -> Option<Bytes> {
        self.0.insert(name.into(), value)
    }

    /// Removes an entry and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<Bytes> {
        self.0.remove(name)
    }

    /// Whether there is an entry of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(AsRef::as_ref)
    }

    /// Names and encoded values, in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// What a format has room for. What it has no room for is refused when it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FormatCapabilities {
    /// When the session began, and when its user logged in.
    pub times: Support,
    /// An idle lifetime of the session's own.
    pub idle: Support,
    /// Aliases, which [`Session::cycle_id`](crate::Session::cycle_id) leaves under the old id.
    pub alias: Support,
}

/// How a record's payload is read and written: the native envelope, or another system's format.
pub trait Format: fmt::Debug + Send + Sync + 'static {
    /// What the format has room for.
    fn capabilities(&self) -> FormatCapabilities;

    /// A new session without entries.
    fn new_document(&self, created_at: Timestamp) -> Document;

    /// Takes a payload apart, without decoding its values.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when it is damaged, or of a version that this program
    /// does not know.
    fn decode(&self, payload: &Bytes) -> Result<Document>;

    /// Puts a payload together.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when the document holds what the format has no
    /// room for.
    fn encode(&self, document: &Document) -> Result<Bytes>;

    /// Encodes one value.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when the value has no form in the codec.
    fn encode_value(&self, codec: Codec, value: &dyn erased_serde::Serialize) -> Result<Bytes>;

    /// Hands one encoded value's deserializer to `visit`. Use [`decode_as`](crate::decode_as).
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when `visit` fails, or leaves some of the bytes.
    fn decode_value(&self, codec: Codec, bytes: &[u8], visit: Visit<'_>) -> Result<()>;
}

/// The native format: the envelope of `docs/formats/envelope.md`.
#[derive(Debug, Clone, Copy, Default)]
pub struct NativeFormat {
    codec: Codec,
}

impl NativeFormat {
    /// The native format, with the values of new sessions in `codec`. Sessions that exist keep the
    /// codec that they began with.
    #[must_use]
    pub const fn new(codec: Codec) -> Self {
        Self { codec }
    }
}

impl Format for NativeFormat {
    fn capabilities(&self) -> FormatCapabilities {
        FormatCapabilities { times: Support::Yes, idle: Support::Yes, alias: Support::Yes }
    }

    fn new_document(&self, created_at: Timestamp) -> Document {
        Document::new(self.codec, created_at)
    }

    fn decode(&self, payload: &Bytes) -> Result<Document> {
        envelope::decode(payload)
    }

    fn encode(&self, document: &Document) -> Result<Bytes> {
        envelope::encode(document)
    }

    fn encode_value(&self, codec: Codec, value: &dyn erased_serde::Serialize) -> Result<Bytes> {
        codec.encode(value)
    }

    fn decode_value(&self, codec: Codec, bytes: &[u8], visit: Visit<'_>) -> Result<()> {
        codec.decode(bytes, visit)
    }
}
