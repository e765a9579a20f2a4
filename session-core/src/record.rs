//! What stores keep: records, their revisions, and the tokens of operations and leases.

use std::{fmt, time::Duration};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::{PrincipalDigest, Result, Timestamp, Ttl, id::random_token};

/// One life of a record: random, made when the record is created, and kept until it ends.
///
/// A record that was deleted and created again under the same key has another incarnation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation([u8; 16]);

impl Incarnation {
    /// The incarnation of layouts that have no room for one
    /// ([`RevisionKind::Content`](crate::RevisionKind::Content)).
    pub const NONE: Self = Self([0; 16]);

    /// Makes a new random incarnation.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when there are no random bytes.
    pub fn generate() -> Result<Self> {
        random_token().map(Self)
    }

    /// An incarnation read back from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incarnation({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

/// Which state of which incarnation a record is in. Equal or not equal; it has no order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision {
    incarnation: Incarnation,
    version: u128,
}

impl Revision {
    /// The `version`th state of an incarnation.
    #[must_use]
    pub const fn counted(incarnation: Incarnation, version: u64) -> Self {
        Self { incarnation, version: version as u128 }
    }

    /// The revision of layouts without room for one: a digest of the stored bytes.
    #[must_use]
    pub const fn of_content(digest: u128) -> Self {
        Self { incarnation: Incarnation::NONE, version: digest }
    }

    /// [`of_content`](Self::of_content), by the digest that every layout of this family takes.
    #[must_use]
    pub fn of_bytes(stored: &[u8]) -> Self {
        let digest = Sha256::digest(stored);
        Self::of_content(digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte)))
    }

    /// The revision of which these were the parts.
    pub(crate) const fn from_parts(incarnation: Incarnation, version: u128) -> Self {
        Self { incarnation, version }
    }

    /// The incarnation, which [`touch`](crate::SessionStore::touch) compares.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The state within the incarnation, for a store.
    #[must_use]
    pub const fn version(&self) -> u128 {
        self.version
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.incarnation == Incarnation::NONE {
            // Its version is a digest of the content.
            return f.write_str("Revision(..)");
        }
        write!(f, "Revision({:?}, {})", self.incarnation, self.version)
    }
}

/// What travels beside the payload because stores index by it or clamp to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Meta {
    /// The principal that the session belongs to, for the [`PrincipalIndex`](crate::PrincipalIndex).
    pub principal: Option<PrincipalDigest>,
    /// The principal's epoch when the session was authenticated; a session whose epoch is lower
    /// than the principal's present one was revoked.
    pub epoch: u64,
    /// The moment that no save and no touch extends the record beyond.
    pub absolute_deadline: Option<Timestamp>,
}

impl Meta {
    /// No principal, no absolute deadline.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this absolute deadline.
    #[must_use]
    pub const fn with_absolute_deadline(mut self, deadline: Option<Timestamp>) -> Self {
        self.absolute_deadline = deadline;
        self
    }

    /// Belonging to this principal, authenticated in this epoch.
    #[must_use]
    pub const fn with_principal(mut self, principal: Option<PrincipalDigest>, epoch: u64) -> Self {
        self.principal = principal;
        self.epoch = epoch;
        self
    }
}

/// Whether a save goes on with the record's incarnation or starts a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Lineage {
    /// The record stays the same one: touches in flight stay valid.
    #[default]
    Continue,
    /// The record becomes another one (a session id that was retired becomes an alias): touches
    /// in flight are refused like saves. A store whose revisions are digests
    /// ([`RevisionKind::Content`](crate::RevisionKind::Content)) refuses it.
    Restart,
}

/// What `create` and `save` write.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Write {
    /// The payload, opaque to stores.
    pub payload: Bytes,
    /// How long the record lives from now on, clamped to the absolute deadline.
    pub ttl: Ttl,
    /// What stores index by and clamp to. It replaces the former meta as a whole.
    pub meta: Meta,
    /// Whether the incarnation goes on. `create` always starts one.
    pub lineage: Lineage,
}

impl Write {
    /// Writes `payload`, to live for `ttl`.
    #[must_use]
    pub fn new(payload: impl Into<Bytes>, ttl: impl Into<Ttl>) -> Self {
        Self {
            payload: payload.into(),
            ttl: ttl.into(),
            meta: Meta::default(),
            lineage: Lineage::Continue,
        }
    }

    /// With this meta.
    #[must_use]
    pub const fn with_meta(mut self, meta: Meta) -> Self {
        self.meta = meta;
        self
    }

    /// With this lineage.
    #[must_use]
    pub const fn with_lineage(mut self, lineage: Lineage) -> Self {
        self.lineage = lineage;
        self
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write")
            .field("payload_len", &self.payload.len())
            .field("ttl", &self.ttl)
            .field("meta", &self.meta)
            .field("lineage", &self.lineage)
            .finish()
    }
}

/// A record as a store returns it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The payload, byte for byte as it was written.
    pub payload: Bytes,
    /// The meta as it was written.
    pub meta: Meta,
    /// The revision, to be named in the next save.
    pub revision: Revision,
    /// How long the record still lives, by the store's clock. Never zero.
    pub remaining: Ttl,
}

impl Record {
    /// A record.
    #[must_use]
    pub const fn new(payload: Bytes, meta: Meta, revision: Revision, remaining: Ttl) -> Self {
        Self { payload, meta, revision, remaining }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("payload_len", &self.payload.len())
            .field("meta", &self.meta)
            .field("revision", &self.revision)
            .field("remaining", &self.remaining)
            .finish()
    }
}

/// The caller's random name of one operation, so that the operation can be sent again when its
/// reply was lost, and takes effect once.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpToken([u8; 16]);

impl OpToken {
    /// Makes a new random token.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when there are no random bytes.
    pub fn generate() -> Result<Self> {
        random_token().map(Self)
    }

    /// A token read back from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for OpToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpToken(..)")
    }
}

/// The proof of holding a lock: a stable token, the same from the grant to the release.
///
/// Its token is the [`OpToken`] of the `lock` call that won it; that is what makes a repeated
/// `lock` call find its own lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    token: OpToken,
    duration: Duration,
}

impl Lease {
    /// The lease that the `lock` call `token` won for `duration`.
    #[must_use]
    pub const fn new(token: OpToken, duration: Duration) -> Self {
        Self { token, duration }
    }

    /// The token that the store compares.
    #[must_use]
    pub const fn token(&self) -> OpToken {
        self.token
    }

    /// The time for which the lease was granted, from the grant on and from each renewal on.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.duration
    }
}
