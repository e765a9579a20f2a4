//! What a store promises, in numbers.

use std::time::Duration;

use crate::{Error, ErrorKind, Lineage, Meta, Operation, Result, Write};

/// Whether a store has an ability. Without it the method answers
/// [`Unsupported`](crate::ErrorKind::Unsupported).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Support {
    /// It is there.
    Yes,
    /// It is not, and the method says so.
    No,
}

impl Support {
    /// Whether the ability is there.
    #[must_use]
    pub const fn is_yes(self) -> bool {
        matches!(self, Self::Yes)
    }
}

/// What a revision is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevisionKind {
    /// The incarnation and a version: a record that was deleted and created again never matches.
    Incarnation,
    /// A digest of the stored bytes: a record that returns to the same bytes matches again, and
    /// `touch` cannot tell incarnations apart.
    Content,
}

/// What refuses a commit by a holder who lost its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fencing {
    /// The holder's token is compared with the write: refused as soon as somebody else took the
    /// lock, even before he wrote.
    Token,
    /// Only the content is compared: refused once somebody else wrote.
    Content,
    /// Nothing does.
    None,
}

/// How the lease is checked when a record is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaseCheck {
    /// In the same atomic step as the write.
    Atomic,
    /// Through the data's revision, which winning a lock changes.
    ViaRevision,
}

/// How many of a record's commits are remembered by their token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Idempotency {
    /// The last `n` commits: an operation sent again takes effect once as long as fewer than `n`
    /// others were committed in between.
    Window(u32),
    /// None: an operation whose reply was lost may not be sent again blindly.
    None,
}

/// What `lock` does on a key without a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockAbsent {
    /// It holds the key by a placeholder that is not a record and expires with its lease.
    Held,
    /// It holds nothing: no lease, no record, nothing written.
    NotHeld,
}

/// Whom a lock keeps out, beside other holders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockScope {
    /// Those who save or delete a revision of the record. Touches go on beside a lock, and who saves
    /// or deletes whatever is there breaks it.
    Commits,
    /// Everybody who writes the record: touches, and saves and deletes of whatever is there, wait
    /// for the holder and fail if that takes too long.
    Record,
    /// Everybody who writes anything, also other records, and locks of them.
    Store,
}

/// Who removes expired records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sweeping {
    /// Somebody must call [`sweep`](crate::SessionStore::sweep) now and then.
    Needed,
    /// The server does; `sweep` finds nothing to do.
    ByServer,
}

/// What a store promises and what it does not, in numbers; the conformance suite tests what is
/// declared, both ways.
///
/// [`new`](Self::new) gives the strongest promises; a store lowers what it cannot keep.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The store's short name, as in errors: `"memory"`, `"files"`, `"redis"`.
    pub backend: &'static str,
    /// The largest payload in bytes. Larger ones are refused before any I/O.
    pub max_payload: usize,
    /// What a revision is made of.
    pub revision: RevisionKind,
    /// What refuses a commit by a holder who lost its lease.
    pub fencing: Fencing,
    /// How the lease is checked when a record is saved.
    pub lease_check: LeaseCheck,
    /// How many commits are remembered by their token.
    pub idempotency: Idempotency,
    /// Whether `lock`, `renew` and `release` work, and leases can be named in writes.
    pub locking: Support,
    /// What `lock` does on a key without a record.
    pub lock_absent: LockAbsent,
    /// Whom a lock keeps out.
    pub lock_scope: LockScope,
    /// Whether waiters of one process get the lock in the order they came.
    pub fifo: Support,
    /// The most waiters for one lock in one process.
    pub max_waiters: usize,
    /// The longest time between a release and the moment when a waiter tries again.
    pub wake_step: Duration,
    /// How long after the end of a dead holder's lease a waiter gets the lock, at most.
    pub takeover_time: Duration,
    /// Whether `touch` works without a rewrite.
    pub touch: Support,
    /// Whether a payload of no bytes is a record. Without it, writing one leaves no record, as a
    /// lifetime that is over does.
    pub empty_payloads: Support,
    /// Whether [`Meta`](crate::Meta) is kept. Without it a write with meta is refused.
    pub meta: Support,
    /// Whether the [`PrincipalIndex`](crate::PrincipalIndex) lists sessions. Without it there are
    /// epochs only, and `list` and `revoke` are refused. Without an index it means nothing.
    pub listing: Support,
    /// How exactly a deadline is kept; it is never cut short by it.
    pub expiry_precision: Duration,
    /// How far the clocks of two servers may differ in their view of one deadline: zero when the
    /// store's own clock decides.
    pub clock_skew: Duration,
    /// How old a read on another server may be at most.
    pub staleness: Duration,
    /// Who removes expired records.
    pub sweeping: Sweeping,
    /// Whether records may vanish before their deadline when memory runs short.
    pub evicts: bool,
    /// Whether a committed write survives a restart of the store.
    pub survives_restart: bool,
    /// Whether a committed write survives the loss of the store's primary server.
    pub survives_failover: bool,
}

impl Capabilities {
    /// The strongest promises: what a store that is not limited in any way would declare.
    #[must_use]
    pub const fn new(backend: &'static str) -> Self {
        Self {
            backend,
            max_payload: 1024 * 1024,
            revision: RevisionKind::Incarnation,
            fencing: Fencing::Token,
            lease_check: LeaseCheck::Atomic,
            idempotency: Idempotency::Window(1),
            locking: Support::Yes,
            lock_absent: LockAbsent::Held,
            lock_scope: LockScope::Commits,
            fifo: Support::Yes,
            max_waiters: 64,
            wake_step: Duration::ZERO,
            takeover_time: Duration::ZERO,
            touch: Support::Yes,
            empty_payloads: Support::Yes,
            meta: Support::Yes,
            listing: Support::Yes,
            expiry_precision: Duration::from_millis(1),
            clock_skew: Duration::ZERO,
            staleness: Duration::ZERO,
            sweeping: Sweeping::Needed,
            evicts: false,
            survives_restart: true,
            survives_failover: true,
        }
    }

    /// The strongest promises of a layout that has room for a payload and for nothing beside it, as
    /// those of other systems: revisions are digests of the bytes, no token of an operation is
    /// remembered, there is no meta, and nobody waits for replicas.
    #[must_use]
    pub const fn of_payloads_only(backend: &'static str) -> Self {
        Self {
            revision: RevisionKind::Content,
            fencing: Fencing::Content,
            idempotency: Idempotency::None,
            meta: Support::No,
            survives_failover: false,
            ..Self::new(backend)
        }
    }

    /// The same without locks.
    #[must_use]
    pub const fn without_locking(mut self) -> Self {
        self.locking = Support::No;
        self.fencing = Fencing::None;
        self
    }

    /// Refuses a write that the store cannot keep as it is asked to, before any I/O.
    ///
    /// # Errors
    /// - [`TooLarge`](ErrorKind::TooLarge): see [`max_payload`](Self::max_payload).
    /// - [`Unsupported`](ErrorKind::Unsupported): it has meta and there is no room for it, or it
    ///   starts a new lineage ([`Lineage::Restart`]) and revisions tell of none.
    pub fn check_write(&self, write: &Write, operation: Operation) -> Result<()> {
        let refuse = |kind| Error::new(kind, self.backend, operation);
        let unsupported = |detail| Err(refuse(ErrorKind::Unsupported).with_detail(detail));
        if write.payload.len() > self.max_payload {
            return Err(refuse(ErrorKind::TooLarge));
        }
        if !self.meta.is_yes() && write.meta != Meta::new() {
            return unsupported("there is no room for a principal or an absolute deadline");
        }
        if self.revision == RevisionKind::Content && write.lineage == Lineage::Restart {
            return unsupported(
                "revisions are digests, which do not tell one lineage from another",
            );
        }
        Ok(())
    }
}
