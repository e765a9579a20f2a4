//! The decoded frame of a payload: facts about the session, and its entries, still encoded.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;

use crate::{Codec, KeyDigest, Timestamp, Ttl};

/// What a record's payload holds: facts about the session, and entries whose values are still
/// encoded. Values that nobody asks for are never decoded, and are written back as they were.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// The facts.
    pub header: Header,
    /// The entries.
    pub entries: Entries,
}

impl Document {
    /// A live document without entries.
    #[must_use]
    pub const fn new(codec: Codec, created_at: Timestamp) -> Self {
        let header = Header {
            codec,
            created_at,
            authenticated_at: None,
            idle: None,
            state: DocumentState::Live,
        };
        Self { header, entries: Entries::new() }
    }

    /// Puts a document together.
    #[must_use]
    pub const fn from_parts(header: Header, entries: Entries) -> Self {
        Self { header, entries }
    }
}

/// Facts about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// How the values of this document are encoded.
    pub codec: Codec,
    /// When the session was created.
    pub created_at: Timestamp,
    /// When its user was authenticated.
    pub authenticated_at: Option<Timestamp>,
    /// How long it lives without being used, where that differs from what is configured.
    pub idle: Option<Ttl>,
    /// Whether this is the session itself.
    pub state: DocumentState,
}

/// Whether a document is a session, or only leads to one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DocumentState {
    /// It is the session.
    #[default]
    Live,
    /// Its id was rotated away; the session goes on under another id.
    Alias(Alias),
}

/// Where the session of a rotated id goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alias {
    /// The key under which it goes on.
    pub successor: KeyDigest,
    /// From then on the alias redirects nobody: it tells of the use of a retired id.
    pub redirect_until: Timestamp,
    /// When the id was rotated.
    pub rotated_at: Timestamp,
}

impl Alias {
    /// An alias of `successor`.
    #[must_use]
    pub const fn new(
        successor: KeyDigest,
        redirect_until: Timestamp,
        rotated_at: Timestamp,
    ) -> Self {
        Self { successor, redirect_until, rotated_at }
    }
}

/// The entries of a document: encoded values by name, in the order of the names' bytes.
///
/// Values are slices of the payload they were read from, so a clone copies none of them. `Debug`
/// shows neither names nor values.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Entries(BTreeMap<Arc<str>, Bytes>);

impl Entries {
    /// The longest name that the native envelope has room for, in bytes of UTF-8.
    pub const MAX_NAME: usize = u8::MAX as usize;
    /// The largest number of entries that the native envelope has room for.
    pub const MAX_LEN: usize = 16_384;

    /// No entries.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The encoded value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.get(name)
    }

    /// Sets the encoded value of a name and returns the former one.
    pub fn insert(&mut self, name: impl Into<Arc<str>>, value: impl Into<Bytes>) -> Option<Bytes> {
        self.0.insert(name.into(), value.into())
    }

    /// Removes a name and returns its encoded value.
    pub fn remove(&mut self, name: &str) -> Option<Bytes> {
        self.0.remove(name)
    }

    /// Whether the name has a value.
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

    /// Names and encoded values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl<N: Into<Arc<str>>> FromIterator<(N, Bytes)> for Entries {
    fn from_iter<I: IntoIterator<Item = (N, Bytes)>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("len", &self.len()).finish_non_exhaustive()
    }
}
