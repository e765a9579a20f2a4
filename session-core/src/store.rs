//! The contract between stores and everything above them.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Capabilities, Incarnation, Key, Lease, OpToken, PrincipalDigest, Record, Result, Revision, Ttl,
    Write,
};

#[doc = include_str!("store.md")]
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a session store",
    note = "implement `session_core::SessionStore` and run the `session-conformance` suite on it"
)]
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// Creates the record of a key that has none.
    ///
    /// Atomic: of any number of creators of one key exactly one succeeds (C07); nobody sees a
    /// part of the record. The record gets a new incarnation, even where `write.lineage` says
    /// otherwise.
    ///
    /// # Behavior
    /// - Returns the revision of the new record (C01). The payload comes back byte for byte,
    ///   whatever bytes it holds, and also when it is empty (C02, C03).
    /// - A record past its deadline does not count: its key is free (E01).
    /// - With `under`, the caller holds the lock of the key by that lease, taken while there was
    ///   no record; the lock is kept or released with the write (L40).
    /// - A `ttl` that is over leaves no record (E03).
    /// - Sent again with the same `op`, it returns the revision of the first time (Z05).
    /// - Dropping the future: the record exists as a whole or not at all.
    ///
    /// # Errors
    /// - [`AlreadyExists`](crate::ErrorKind::AlreadyExists): there is a live record, which stays
    ///   as it is (C06).
    /// - [`LockHeld`](crate::ErrorKind::LockHeld): there is no record, but somebody else holds the
    ///   key's lock.
    /// - [`LockLost`](crate::ErrorKind::LockLost): the lease of `under` was taken or broken.
    /// - [`TooLarge`](crate::ErrorKind::TooLarge), [`Unsupported`](crate::ErrorKind::Unsupported):
    ///   before any I/O, see [`Capabilities::check_write`] (C10, D06, D21).
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision>;

    /// Reads the record of a key.
    ///
    /// Atomic: all of one revision, never parts of two (L29). Never waits for a lock. Writes
    /// nothing, whatever the key (C05).
    ///
    /// # Behavior
    /// - No record, or one past its deadline, is `Ok(None)` (C04, E01, E02), whether or not it is
    ///   still stored.
    /// - A commit that was acknowledged to anybody is seen (C09), unless `options` allows a
    ///   staleness that the store declares.
    /// - Cancel safe.
    ///
    /// # Errors
    /// - [`Corrupt`](crate::ErrorKind::Corrupt): the stored bytes are damaged (C20). They stay
    ///   for inspection.
    async fn load(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>>;

    /// Replaces the record if it is as `expected`.
    ///
    /// Atomic with the comparison: of savers that expect one revision at most one succeeds (L17).
    /// Never creates a record (C08), so a session that was deleted or has expired never comes
    /// back (L43).
    ///
    /// # Behavior
    /// - The checks, in this order: no live record: `NotFound`; `op` was committed already: the
    ///   revision of that commit is returned (Z05); the lease: `LockLost` or `LockHeld`; the
    ///   revision: `Conflict`.
    /// - Replaces payload and meta, and sets the deadline to `ttl` from now, clamped to the
    ///   absolute deadline of the new meta (E10, E11). A `ttl` that is over removes the record
    ///   (E03).
    /// - [`Expected::Revision`] under somebody else's live lease is refused, even when the revision
    ///   matches. Over a lease that has lapsed it succeeds and breaks that lease.
    /// - [`Expected::Lease`] succeeds also after the lease has lapsed, as long as nobody took or
    ///   broke it (L14 is the contrary). With [`Then::Release`] the lock is free with the write.
    /// - [`Expected::Any`] compares nothing, [`Expected::Incarnation`] only the incarnation; both
    ///   break any lease, or wait for its holder: see [`Capabilities::lock_scope`] (D13, D22).
    /// - A payload of no bytes is one like any other, or removes the record: see
    ///   [`Capabilities::empty_payloads`] (C03, D23).
    /// - Dropping the future: the write happens as a whole or not at all.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound): no live record (C08, L43).
    /// - [`Conflict`](crate::ErrorKind::Conflict): another revision, or another incarnation of the
    ///   key (L15, L17); may carry the record that won (L18).
    /// - [`LockHeld`](crate::ErrorKind::LockHeld): somebody else holds the lock.
    /// - [`LockLost`](crate::ErrorKind::LockLost): the lease was taken or broken (L13, L14).
    /// - [`TooLarge`](crate::ErrorKind::TooLarge), [`Unsupported`](crate::ErrorKind::Unsupported):
    ///   before any I/O, see [`Capabilities::check_write`]; the old record stands (C10, C11, D06,
    ///   D21).
    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision>;

    /// Extends the life of a record without touching it otherwise.
    ///
    /// Atomic. Never creates or revives a record (E06, E07), never changes payload, meta or
    /// revision (E05, E08), never shortens the life, never passes the absolute deadline (E10).
    /// Works under anybody's lease and leaves the lease alone (L36).
    ///
    /// Touching twice has the effect of touching once, so `op` need not be remembered. Cancel
    /// safe.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound): no live record (E06, E07).
    /// - [`Conflict`](crate::ErrorKind::Conflict): the record is of another incarnation.
    /// - [`Unsupported`](crate::ErrorKind::Unsupported): see [`Capabilities::touch`].
    async fn touch(&self, key: &Key, ttl: Ttl, incarnation: Incarnation, op: OpToken)
    -> Result<()>;

    /// Removes the record if it is as `expected`.
    ///
    /// Atomic with the comparison. When it returns, no reader anywhere sees the record beyond the
    /// declared staleness (C18), and nothing in flight brings it back (L43).
    ///
    /// # Behavior
    /// - No live record is success (C17).
    /// - [`Expected::Any`] and [`Expected::Incarnation`] win over every lease and break it: a
    ///   log-out waits for nobody.
    /// - [`Expected::Revision`] under somebody else's live lease is refused.
    /// - [`Expected::Lease`] with [`Then::Release`] also frees the lock (L34).
    /// - Dropping the future: the record is removed or not.
    ///
    /// # Errors
    /// - [`Conflict`](crate::ErrorKind::Conflict): another revision, or another incarnation.
    /// - [`LockHeld`](crate::ErrorKind::LockHeld): somebody else holds the lock.
    /// - [`LockLost`](crate::ErrorKind::LockLost): the lease was taken or broken.
    async fn delete(&self, key: &Key, expected: Expected<'_>, op: OpToken) -> Result<()>;

    /// Takes the key's lock, waiting for it if need be, and returns the record with it.
    ///
    /// Atomic: between the grant and the read of the record nobody else commits. At most one live
    /// lease a key exists (L01). The store waits, because only the store knows how to wait well;
    /// within one process waiters stand in one bounded queue (L25, L26).
    ///
    /// # Behavior
    /// - A `wait` of zero tries once (L06).
    /// - Locks of different keys do not wait for each other (L03).
    /// - A lease that has lapsed may be taken (L09); one that is renewed may not (L20). What
    ///   counts is the present holder's lease, also when the lock changed hands during the wait
    ///   (L38).
    /// - Sent again with the same [`LockRequest::op`], it returns the same lease (L12).
    /// - Without a record: see [`Capabilities::lock_absent`] (L40). Nothing that could be taken
    ///   for a record is written.
    /// - Dropping the future leaves no queue entry (L07); a lock that was granted in that moment
    ///   is free again after its lease at the latest (L08).
    ///
    /// # Errors
    /// - [`LockTimeout`](crate::ErrorKind::LockTimeout): not free within `wait` (L05); nothing
    ///   is left behind.
    /// - [`TooManyWaiters`](crate::ErrorKind::TooManyWaiters): at once, when the queue is full (L25).
    /// - [`Unsupported`](crate::ErrorKind::Unsupported): see [`Capabilities::locking`].
    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked>;

    /// Lets a lease last for `duration` from now.
    ///
    /// Atomic, idempotent, and leaves the token as it is. Succeeds also after the lease has
    /// lapsed, as long as nobody took or broke it. Cancel safe.
    ///
    /// # Errors
    /// - [`LockLost`](crate::ErrorKind::LockLost): the lease was taken or broken, or the record
    ///   was deleted under it.
    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()>;

    /// Gives the lock back.
    ///
    /// Atomic and idempotent. A lock that somebody else holds by now stays his (L10, L11). Cancel
    /// safe.
    ///
    /// # Errors
    /// None but those of the transport: a lease that is gone is success.
    async fn release(&self, key: &Key, lease: &Lease) -> Result<()>;

    /// Removes expired records, a bounded step at a time.
    ///
    /// A record's deadline is compared again in the atomic step that removes it (E19). Live
    /// records and records without an expiry stay (E17, E18). What belongs to a removed record
    /// goes with it (E25). Several sweepers do not disturb each other (E21).
    ///
    /// Call it with the cursor of the last report until the report has none; a cursor may be used
    /// by another process (E20). Cancel safe.
    ///
    /// # Errors
    /// None but those of the transport. A record that cannot be read is counted as skipped.
    async fn sweep(&self, cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport>;

    /// Checks that the store answers, for readiness probes.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Timeout`](crate::ErrorKind::Timeout).
    async fn ping(&self) -> Result<()>;

    /// What the store promises. Constant for the life of the value.
    fn capabilities(&self) -> &Capabilities;

    /// The index of sessions by principal, where the store has one.
    fn principal_index(&self) -> Option<&dyn PrincipalIndex>;

    /// The enumeration of all sessions, where the store has one.
    fn enumeration(&self) -> Option<&dyn Enumeration>;
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// How old the answer may be; zero (the default) for the latest committed state. A store that
    /// declares no staleness reads the latest state always.
    pub max_staleness: Duration,
}

impl ReadOptions {
    /// The latest committed state.
    #[must_use]
    pub fn latest() -> Self {
        Self::default()
    }

    /// A state of at most this age.
    #[must_use]
    pub const fn max_staleness(bound: Duration) -> Self {
        Self { max_staleness: bound }
    }
}

/// What happens to the lock when a write under a lease succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Then {
    /// The caller goes on holding it.
    Keep,
    /// It is free with the write, in the same step and round trip.
    Release,
}

/// The lease under which a record is created.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Under<'a> {
    /// The lease, won by `lock` while there was no record.
    pub lease: &'a Lease,
    /// What happens to the lock then.
    pub then: Then,
}

impl<'a> Under<'a> {
    /// Under `lease`, and `then`.
    #[must_use]
    pub const fn new(lease: &'a Lease, then: Then) -> Self {
        Self { lease, then }
    }
}

/// The state that a record must be in for a write to be made.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Expected<'a> {
    /// Any state, and whoever holds the lock. For tools and foreign layouts.
    Any,
    /// Any state of this incarnation, and whoever holds the lock. For log-out, which waits for
    /// nobody, and must not take an alias for the session that was rotated away from under it.
    Incarnation(Incarnation),
    /// This revision, and nobody else holds the lock.
    Revision(Revision),
    /// This revision, and this lease is still the caller's.
    Lease {
        /// The lease.
        lease: &'a Lease,
        /// The revision that was read under the lease.
        revision: Revision,
        /// What happens to the lock then.
        then: Then,
    },
}

/// How a lock is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockRequest {
    /// The token of the request; the lease that is granted has the same.
    pub op: OpToken,
    /// How long the lease lasts when it is not renewed.
    pub lease: Duration,
    /// How long to wait for the lock at most; zero tries once.
    pub wait: Duration,
}

impl LockRequest {
    /// Asks for a lease, waiting for up to `wait`.
    #[must_use]
    pub const fn new(op: OpToken, lease: Duration, wait: Duration) -> Self {
        Self { op, lease, wait }
    }
}

/// A lock that was won, and the record under it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Locked {
    /// The lease; `None` only without a record, on stores that do not hold absent keys.
    pub lease: Option<Lease>,
    /// The record as it is now, which nobody else can commit to while the lease lives.
    pub record: Option<Record>,
}

impl Locked {
    /// A lease and the record under it.
    #[must_use]
    pub const fn new(lease: Option<Lease>, record: Option<Record>) -> Self {
        Self { lease, record }
    }
}

/// Where a bounded walk goes on; opaque, and valid in any process.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(Bytes);

impl Cursor {
    /// A cursor of a store's own making.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The store's own bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursor(..)")
    }
}

/// The bounds of one step of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepBudget {
    /// The most records to look at.
    pub max_scanned: usize,
    /// The most time to spend, as a bound on starting another record, not on finishing one.
    pub max_time: Duration,
}

impl SweepBudget {
    /// At most `max_scanned` records and `max_time`.
    #[must_use]
    pub const fn new(max_scanned: usize, max_time: Duration) -> Self {
        Self { max_scanned, max_time }
    }
}

impl Default for SweepBudget {
    /// 1,000 records or one second: short enough to leave live traffic alone.
    fn default() -> Self {
        Self::new(1_000, Duration::from_secs(1))
    }
}

/// What one step of a sweep did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SweepReport {
    /// Records looked at.
    pub scanned: usize,
    /// Expired records removed.
    pub deleted: usize,
    /// Records that could not be read, or that were extended after they had been looked at.
    pub skipped: usize,
    /// How long ago the oldest removed record had expired.
    pub oldest_lag: Option<Duration>,
    /// Where the next step goes on; `None` at the end of the walk.
    pub next: Option<Cursor>,
}

/// One page of keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct KeyPage {
    /// Keys of live sessions, which `load`, `delete` and `create` accept.
    pub keys: Vec<Key>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<Cursor>,
}

impl KeyPage {
    /// A page.
    #[must_use]
    pub const fn new(keys: Vec<Key>, next: Option<Cursor>) -> Self {
        Self { keys, next }
    }
}

/// Sessions by principal (user), and the epoch that revokes them all at once.
///
/// The list is advisory: it is verified when it is read, so that expired and deleted sessions do
/// not appear (U01), and an entry that was lost is a session that the list misses, nothing worse.
/// Revocation does not depend on it: it is a bump of the epoch, which every session authenticated
/// before fails (U04).
#[async_trait]
pub trait PrincipalIndex: fmt::Debug + Send + Sync {
    /// The live sessions of a principal, a page at a time (U01, U05). `limit` bounds the page.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported): see [`Capabilities::listing`]; and those of
    /// the transport.
    async fn list(
        &self,
        principal: &PrincipalDigest,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<KeyPage>;

    /// The principal's present epoch; zero when it was never bumped. Read it *before*
    /// authenticating, so that a revocation during the authentication is not missed.
    ///
    /// # Errors
    /// Those of the transport.
    async fn epoch(&self, principal: &PrincipalDigest) -> Result<u64>;

    /// Raises the principal's epoch and returns the new one: all sessions authenticated before are
    /// revoked.
    ///
    /// # Errors
    /// Those of the transport.
    async fn bump_epoch(&self, principal: &PrincipalDigest) -> Result<u64>;

    /// Deletes the sessions of a principal, except one, and returns how many it deleted.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported): see [`Capabilities::listing`]; and those of
    /// the transport.
    async fn revoke(&self, principal: &PrincipalDigest, except: Option<&Key>) -> Result<usize>;
}

/// The walk over all sessions of a store.
#[async_trait]
pub trait Enumeration: fmt::Debug + Send + Sync {
    /// The keys of live sessions, a page at a time (N01). A session that lives from the first page
    /// to the last appears exactly once. `limit` bounds the page.
    ///
    /// # Errors
    /// Those of the transport.
    async fn keys(&self, cursor: Option<&Cursor>, limit: usize) -> Result<KeyPage>;
}
