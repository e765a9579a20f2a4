//! The decoded frame of a payload: facts about the session, and its entries, still encoded.

use std::{any::Any, fmt, mem, ptr, sync::Arc};

use bytes::Bytes;

use super::{Binding, ClientHint, SessionHandle};
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
            rotated_at: None,
            handle: None,
            client: None,
            binding: None,
            state: DocumentState::Live,
            frame: Frame::none(),
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
    /// When its present id was made, where that was not with the session.
    pub rotated_at: Option<Timestamp>,
    /// The name under which its principal's sessions list it.
    pub handle: Option<SessionHandle>,
    /// What was said of the client at the log-in.
    pub client: Option<ClientHint>,
    /// The properties of the client at the log-in.
    pub binding: Option<Binding>,
    /// Whether this is the session itself.
    pub state: DocumentState,
    /// What the format needs to write the document as it read it.
    pub frame: Frame,
}

/// What a format knows of a payload beside its entries, kept from reading a document to writing it: the
/// order in which another system had them, what refers to what. The session handle passes it on
/// with the header, unread. The native format has none.
///
/// Frames are equal when they are the same. `Debug` shows nothing of them.
#[derive(Clone, Default)]
pub struct Frame(Option<Arc<dyn Any + Send + Sync>>);

impl Frame {
    /// Nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// A frame that holds `kept`.
    #[must_use]
    pub fn new<T: Any + Send + Sync>(kept: T) -> Self {
        Self(Some(Arc::new(kept)))
    }

    /// What it holds, if it is a `T`.
    #[must_use]
    pub fn kept<T: Any>(&self) -> Option<&T> {
        self.0.as_deref().and_then(|kept| kept.downcast_ref())
    }

    fn address(&self) -> *const () {
        self.0.as_ref().map_or(ptr::null(), |kept| Arc::as_ptr(kept).cast())
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Eq for Frame {}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").finish_non_exhaustive()
    }
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
pub struct Entries(Vec<Entry>);

/// Sessions have few entries, and most are read more often than they gain one: a sorted list is
/// smaller and faster than a tree.
type Entry = (Name, Bytes);

/// A name, UTF-8: a slice of the payload that it was read from, like the values.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Name(Bytes);

impl Name {
    /// `None` when the bytes are not UTF-8.
    pub(crate) fn read(bytes: Bytes) -> Option<Self> {
        str::from_utf8(&bytes).is_ok().then_some(Self(bytes))
    }

    fn as_str(&self) -> &str {
        // It was looked at when it was read.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self(Bytes::copy_from_slice(name.as_bytes()))
    }
}

impl Entries {
    /// The longest name that the native envelope has room for, in bytes of UTF-8.
    pub const MAX_NAME: usize = u8::MAX as usize;
    /// The largest number of entries that the native envelope has room for.
    pub const MAX_LEN: usize = 16_384;

    /// No entries.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// No entries, with room for so many.
    pub(crate) fn with_capacity(entries: usize) -> Self {
        Self(Vec::with_capacity(entries))
    }

    /// The encoded value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        let at = self.find(name).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Sets the encoded value of a name and returns the former one.
    pub fn insert(&mut self, name: &str, value: impl Into<Bytes>) -> Option<Bytes> {
        match self.find(name) {
            Ok(at) => self.0.get_mut(at).map(|(_, old)| mem::replace(old, value.into())),
            Err(at) => {
                self.0.insert(at, (name.into(), value.into()));
                None
            }
        }
    }

    /// Adds an entry whose name comes after all others; `false` when it does not.
    #[must_use]
    pub(crate) fn push(&mut self, name: Name, value: Bytes) -> bool {
        let last = self.0.last();
        let in_order = last.is_none_or(|(last, _)| last.0 < name.0);
        if in_order {
            self.0.push((name, value));
        }
        in_order
    }

    /// Removes a name and returns its encoded value.
    pub fn remove(&mut self, name: &str) -> Option<Bytes> {
        let at = self.find(name).ok()?;
        Some(self.0.remove(at).1)
    }

    /// Whether the name has a value.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and encoded values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Where the name is, or belongs.
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(at, _)| (*at.0).cmp(name.as_bytes()))
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("len", &self.len()).finish_non_exhaustive()
    }
}
