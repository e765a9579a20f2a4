//! The store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::{
    Capabilities, Cursor, Enumeration, Error, ErrorKind, Expected, Holds, Incarnation, Key, Lease,
    LeaseCheck, LockQueue, LockRequest, Locked, Meta, OpToken, Operation, PrincipalIndex,
    ReadOptions, Record, Result, Revision, SessionStore, SweepBudget, SweepReport, Sweeping, Then,
    Ttl, Under, Write,
};
use tokio::time::Instant;

use super::{
    PhpLayout,
    guard::{Taken, guard},
    items::{Added, Found, Item, PRECISION, Written, held_for, seconds},
    lock,
};
use crate::{
    BACKEND,
    keys::Name,
    link::{Fault, Info, Link},
};

/// The longest key that a server takes.
const LONGEST_KEY: usize = 250;
/// What a server itself needs of the largest item.
const SERVERS_OVERHEAD: usize = 512;

/// Keeps sessions in Memcached as PHP's extension memcached does, so that both can use them at the
/// same time.
///
/// It needs the id of a session ([`Key::secret`]), which is part of its key, and servers of version
/// 1.6.10 or newer. Its revisions are digests of the stored bytes. A clone is a handle to the same
/// store.
#[derive(Debug, Clone)]
pub struct PhpStore(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    layout: PhpLayout,
    link: Link,
    pub(super) queue: LockQueue,
    pub(super) holds: Holds,
    capabilities: Capabilities,
}

/// What follows the prefix in the keys of a session. It decides about the server, so that record and
/// lock may be on two.
pub(super) struct Names {
    data: Vec<u8>,
    lock: Option<Vec<u8>>,
}

/// What a conditional write makes of a record.
#[derive(Clone, Copy)]
enum What<'a> {
    Replace(&'a Write),
    Remove,
}

impl Names {
    /// The record and the lock, for an operation that begins now.
    pub(super) fn items<'a>(
        &'a self,
        store: &'a PhpStore,
        operation: Operation,
    ) -> (Item<'a>, Option<Item<'a>>) {
        let inner = &store.0;
        let (link, deadline) = (&inner.link, inner.link.deadline());
        let prefix = inner.layout.memcached.prefix.as_bytes();
        let item = |text| Item { link, name: Name::of_text(prefix, text), operation, deadline };
        (item(&self.data), self.lock.as_deref().map(item))
    }
}

impl PhpStore {
    /// Connects.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when a setting or the credentials are wrong, or a server is too
    /// old; [`Unavailable`](ErrorKind::Unavailable) or [`Timeout`](ErrorKind::Timeout) when no server
    /// answers.
    pub async fn open(layout: PhpLayout) -> Result<Self> {
        layout.check()?;
        let link = Link::open(&layout.memcached).await;
        let link = link.map_err(|fault| fault.into_error(Operation::Open, false))?;
        if !link.speaks_meta() {
            return Err(Error::new(ErrorKind::Config, BACKEND, Operation::Open)
                .with_detail("a server is older than version 1.6.10"));
        }
        let infos: Vec<Info> =
            link.infos().into_iter().map(|info| info.unwrap_or(Info::UNKNOWN)).collect();
        let capabilities = capabilities(&layout, &infos);
        let queue = LockQueue::new(capabilities.max_waiters);
        let holds = Holds::default();
        Ok(Self(Arc::new(Inner { layout, link, queue, holds, capabilities })))
    }

    pub(super) fn names(&self, key: &Key, operation: Operation) -> Result<Names> {
        let refuse = |kind| Error::new(kind, BACKEND, operation);
        let id = key.secret().ok_or_else(|| {
            refuse(ErrorKind::Unsupported).with_detail("PHP's layout needs the id of a session")
        })?;
        let data = id.expose().as_bytes().to_vec();
        let lock = self.0.layout.lock.as_ref();
        let lock = lock.map(|lock| [lock.infix.as_bytes(), &data].concat());
        let longest = lock.as_ref().unwrap_or(&data).len();
        if self.0.layout.memcached.prefix.len() + longest > LONGEST_KEY {
            return Err(refuse(ErrorKind::InvalidId));
        }
        Ok(Names { data, lock })
    }

    pub(super) fn no_locks(operation: Operation) -> Error {
        Error::new(ErrorKind::Unsupported, BACKEND, operation)
            .with_detail("sessions are not locked in this layout")
    }

    /// Does a conditional write, again for as long as the record is as expected and yet another one
    /// by the time it is written. Without a record the error is `absent`.
    async fn change(
        &self,
        data: Item<'_>,
        lock: Option<Item<'_>>,
        expected: Expected<'_>,
        absent: ErrorKind,
        change: What<'_>,
    ) -> Result<()> {
        let refuse = |kind| Error::new(kind, BACKEND, data.operation);
        let mut in_doubt = false;
        let doubtful = |error: Error, doubt| if doubt { error.with_maybe_applied() } else { error };
        while Instant::now() < data.deadline {
            let holder = match (lock, expected) {
                (Some(lock), Expected::Lease { .. }) => lock.look().await?,
                _ => None,
            };
            let Some(found) = data.look().await? else {
                return Err(doubtful(refuse(absent), in_doubt));
            };
            if let Err(error) = allowed(expected, &found, holder.as_ref(), refuse) {
                return Err(doubtful(error, in_doubt));
            }
            let written = match change {
                What::Replace(write) => {
                    data.replace(found.version, &write.payload, write.ttl).await?
                }
                What::Remove => data.remove(found.version).await?,
            };
            match written {
                Written::Done => return Ok(()),
                Written::Missed { in_doubt: doubt } => in_doubt |= doubt,
            }
        }
        Err(data.failed(Fault::timeout().in_doubt(in_doubt), true))
    }

    /// As [`change`](Self::change), under the session's lock: the caller's, or one for this write.
    async fn change_alone(
        &self,
        names: &Names,
        operation: Operation,
        expected: Expected<'_>,
        absent: ErrorKind,
        change: What<'_>,
    ) -> Result<()> {
        let (data, lock) = names.items(self, operation);
        let (Some(lock), Expected::Revision(_)) = (lock, expected) else {
            return self.change(data, lock, expected, absent, change).await;
        };
        match guard(lock).await? {
            Taken::Ours(guard) => {
                let outcome = self.change(data, Some(lock), expected, absent, change).await;
                guard.free().await;
                outcome
            }
            Taken::Theirs(_) if data.life().await?.is_none() => {
                Err(Error::new(absent, BACKEND, operation))
            }
            Taken::Theirs(life) => Err(held(operation, life)),
        }
    }

    /// What a write leaves of the lock.
    async fn settle(
        &self,
        key: &Key,
        names: &Names,
        operation: Operation,
        expected: Expected<'_>,
        seen: Option<Revision>,
    ) -> Result<()> {
        let (_, lock) = names.items(self, operation);
        match (expected, lock) {
            (Expected::Lease { lease, then: Then::Keep, .. }, _) => {
                self.0.holds.note(key.digest(), lease, seen);
            }
            (Expected::Lease { lease, .. }, Some(lock)) => {
                self.0.holds.forget(key.digest(), lease);
                lock::free(lock, lease).await?;
            }
            (Expected::Any | Expected::Incarnation(_), Some(lock)) => lock.remove_any().await?,
            _ => {}
        }
        self.0.queue.wake(key.digest());
        Ok(())
    }

    fn check_lease(&self, expected: Expected<'_>, operation: Operation) -> Result<()> {
        let locks = self.0.layout.lock.is_some();
        if locks || !matches!(expected, Expected::Lease { .. }) {
            return Ok(());
        }
        Err(Self::no_locks(operation))
    }

    async fn create_under(
        &self,
        names: &Names,
        write: &Write,
        under: Under<'_>,
    ) -> Result<Revision> {
        let refuse = |kind| Error::new(kind, BACKEND, Operation::Create);
        let (data, lock) = names.items(self, Operation::Create);
        let Some(lock) = lock else { return Err(Self::no_locks(Operation::Create)) };
        let secret = lock::secret(under.lease);
        if data.life().await?.is_some() {
            return Err(refuse(ErrorKind::AlreadyExists));
        }
        if lock.look().await?.is_none_or(|found| found.value != secret) {
            return Err(refuse(ErrorKind::LockLost));
        }
        add(data, write).await
    }

    async fn create_alone(&self, names: &Names, write: &Write) -> Result<Revision> {
        let (data, lock) = names.items(self, Operation::Create);
        let Some(lock) = lock else { return add(data, write).await };
        match guard(lock).await? {
            Taken::Ours(guard) => {
                let outcome = add(data, write).await;
                guard.free().await;
                outcome
            }
            Taken::Theirs(_) if data.life().await?.is_some() => {
                Err(Error::new(ErrorKind::AlreadyExists, BACKEND, Operation::Create))
            }
            Taken::Theirs(life) => Err(held(Operation::Create, life)),
        }
    }
}

async fn add(data: Item<'_>, write: &Write) -> Result<Revision> {
    let taken = Error::new(ErrorKind::AlreadyExists, BACKEND, data.operation);
    match data.add(&write.payload, write.ttl).await? {
        Added::Done(_) | Added::Over => Ok(Revision::of_bytes(&write.payload)),
        Added::Taken => Err(taken),
        Added::InDoubt => Err(taken.with_maybe_applied()),
    }
}

/// The record of a stored item.
pub(super) fn record(found: Found) -> Record {
    let revision = Revision::of_bytes(&found.value);
    Record::new(found.value, Meta::new(), revision, found.life)
}

fn held(operation: Operation, life: Ttl) -> Error {
    Error::new(ErrorKind::LockHeld, BACKEND, operation).with_retry_after(held_for(life))
}

/// Whether a record that was found may be changed.
fn allowed(
    expected: Expected<'_>,
    found: &Found,
    holder: Option<&Found>,
    refuse: impl Fn(ErrorKind) -> Error,
) -> Result<()> {
    let (matches, otherwise) = match expected {
        Expected::Any => (true, ErrorKind::Conflict),
        Expected::Incarnation(incarnation) => {
            (incarnation == Incarnation::NONE, ErrorKind::Conflict)
        }
        Expected::Revision(revision) => {
            (Revision::of_bytes(&found.value) == revision, ErrorKind::Conflict)
        }
        Expected::Lease { lease, revision, .. } => {
            let is_held = holder.map(|holder| holder.value == lock::secret(lease));
            // Of a lock that is gone nothing tells whether it lapsed or was taken, but the bytes do.
            let otherwise =
                if is_held == Some(true) { ErrorKind::Conflict } else { ErrorKind::LockLost };
            let same = Revision::of_bytes(&found.value) == revision;
            (same && is_held != Some(false), otherwise)
        }
        _ => return Err(refuse(ErrorKind::Unsupported)),
    };
    if matches {
        return Ok(());
    }
    let mut error = refuse(otherwise);
    if otherwise == ErrorKind::Conflict {
        let current = Found { value: found.value.clone(), ..*found };
        error = error.with_current(Some(record(current)));
    }
    Err(error)
}

fn capabilities(layout: &PhpLayout, infos: &[Info]) -> Capabilities {
    let config = &layout.memcached;
    let largest = infos.iter().map(|info| info.largest_item).min().unwrap_or_default();
    let mut capabilities = Capabilities::of_payloads_only(BACKEND);
    match &layout.lock {
        Some(lock) => {
            capabilities.wake_step = lock.pause;
            capabilities.takeover_time = PRECISION;
        }
        None => capabilities = capabilities.without_locking(),
    }
    capabilities.max_payload =
        config.max_payload.min(largest.saturating_sub(SERVERS_OVERHEAD + LONGEST_KEY));
    capabilities.max_waiters = config.max_waiters;
    capabilities.lease_check = LeaseCheck::ViaRevision;
    capabilities.expiry_precision = PRECISION;
    capabilities.sweeping = Sweeping::ByServer;
    capabilities.evicts = infos.iter().any(|info| info.evicts);
    capabilities.survives_restart = false;
    capabilities
}

#[async_trait]
impl SessionStore for PhpStore {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        _op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        let operation = Operation::Create;
        self.0.capabilities.check_write(&write, operation)?;
        let names = self.names(key, operation)?;
        let Some(under) = under else {
            let created = self.create_alone(&names, &write).await;
            self.0.queue.wake(key.digest());
            return created;
        };
        let revision = self.create_under(&names, &write, under).await?;
        let expected = Expected::Lease { lease: under.lease, revision, then: under.then };
        self.settle(key, &names, operation, expected, Some(revision)).await?;
        Ok(revision)
    }

    async fn load(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        let names = self.names(key, Operation::Load)?;
        let (data, _) = names.items(self, Operation::Load);
        Ok(data.look().await?.map(record))
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        _op: OpToken,
    ) -> Result<Revision> {
        let operation = Operation::Save;
        self.0.capabilities.check_write(&write, operation)?;
        self.check_lease(expected, operation)?;
        let names = self.names(key, operation)?;
        let (absent, change) = (ErrorKind::NotFound, What::Replace(&write));
        self.change_alone(&names, operation, expected, absent, change).await?;
        let revision = Revision::of_bytes(&write.payload);
        self.settle(key, &names, operation, expected, Some(revision)).await?;
        Ok(revision)
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        _op: OpToken,
    ) -> Result<()> {
        let refuse = |kind| Err(Error::new(kind, BACKEND, Operation::Touch));
        let names = self.names(key, Operation::Touch)?;
        let (data, _) = names.items(self, Operation::Touch);
        let Some(life) = data.life().await? else { return refuse(ErrorKind::NotFound) };
        if incarnation != Incarnation::NONE {
            return refuse(ErrorKind::Conflict);
        }
        let left = life.duration().map(|left| left.as_secs());
        let longer = match (left, seconds(ttl)) {
            (Some(left), Some(wanted)) => wanted > left,
            (left, _) => left.is_some(),
        };
        if longer && !data.touch(ttl).await? {
            return refuse(ErrorKind::NotFound);
        }
        Ok(())
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, _op: OpToken) -> Result<()> {
        let operation = Operation::Delete;
        self.check_lease(expected, operation)?;
        let names = self.names(key, operation)?;
        let (data, _) = names.items(self, operation);
        if matches!(expected, Expected::Any) {
            data.remove_any().await?;
            return self.settle(key, &names, operation, expected, None).await;
        }
        let absent = ErrorKind::NotFound;
        match self.change_alone(&names, operation, expected, absent, What::Remove).await {
            Ok(()) => {}
            // No record is success, and leaves the lock to its holder.
            Err(error) if error.kind() == absent => {
                if !matches!(expected, Expected::Lease { .. }) {
                    return Ok(());
                }
            }
            Err(error) => return Err(error),
        }
        self.settle(key, &names, operation, expected, None).await
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        match &self.0.layout.lock {
            Some(how) => lock::lock(self, key, how, request).await,
            None => Err(Self::no_locks(Operation::Lock)),
        }
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        lock::renew(self, key, lease, duration).await
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        let names = self.names(key, Operation::Release)?;
        let (_, lock) = names.items(self, Operation::Release);
        let Some(lock) = lock else { return Err(Self::no_locks(Operation::Release)) };
        self.0.holds.forget(key.digest(), lease);
        lock::free(lock, lease).await?;
        self.0.queue.wake(key.digest());
        Ok(())
    }

    async fn sweep(&self, _cursor: Option<&Cursor>, _budget: SweepBudget) -> Result<SweepReport> {
        Ok(SweepReport::default())
    }

    async fn ping(&self) -> Result<()> {
        self.0.link.ping().await.map_err(|fault| fault.into_error(Operation::Ping, false))
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        None
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        None
    }
}
