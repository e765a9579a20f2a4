//! Leases in items of their own, for tables of large sessions: taking and giving back a lock then
//! costs a unit each, whatever the size of the session.
//!
//! Who writes a session on a condition that a lease would exclude holds its lock while he writes, for
//! that one write if he has no lease. So there is one writer at a time, and while somebody holds a
//! lock nobody else writes. A lock that was not given back is taken over in two steps: the lock,
//! and then a commit of the same data, which changes its revision. What the one before may still
//! send is refused by that, as it names the revision that it expects.

mod locks;

use std::time::Duration;

use session_core::{
    Error, Expected, Holder, Jitter, Key, Lease, OpToken, Operation, Result, Revision, Slot, Then,
    Timestamp, Under, Write,
};
use tokio::time::{Instant, sleep};

use self::locks::{Lock, Taken};
pub(crate) use self::locks::{lapsed, release, renew, take};
use crate::{
    BACKEND, DynamoStore,
    change::Change,
    link::Part,
    quick::{self, Quick},
};

/// The limits of the pauses before another look at a write of somebody else.
const FIRST: Duration = Duration::from_millis(5);
const MOST: Duration = Duration::from_millis(50);

/// By what right a session is written.
#[derive(Debug, Clone, Copy)]
enum Guard<'a> {
    /// The caller has a lease.
    Held(&'a Lease, Then),
    /// He has none, and takes the lock for this write.
    Alone(OpToken),
    /// He breaks every lease.
    Breaking,
}

impl<'a> Guard<'a> {
    fn of(expected: Expected<'a>, op: OpToken) -> Self {
        match expected {
            Expected::Lease { lease, then, .. } => Self::Held(lease, then),
            Expected::Revision(_) => Self::Alone(op),
            _ => Self::Breaking,
        }
    }

    /// Who holds the lock while it is written, as the contract's rule sees it.
    fn holder(self) -> Option<Holder> {
        match self {
            Self::Held(lease, _) => Some(Holder::new(lease.token(), Timestamp::default())),
            Self::Alone(_) => None,
            Self::Breaking => Some(Holder::new(OpToken::from_bytes([0; 16]), Timestamp::default())),
        }
    }

    fn frees(self) -> bool {
        !matches!(self, Self::Held(_, Then::Keep))
    }
}

/// Without the lease, which is not in the session's item.
fn without_lease(expected: Expected<'_>) -> Expected<'_> {
    match expected {
        Expected::Lease { revision, .. } => Expected::Revision(revision),
        other => other,
    }
}

/// See [`create`](session_core::SessionStore::create).
pub(crate) async fn create(
    store: &DynamoStore,
    key: &Key,
    write: Write,
    op: OpToken,
    under: Option<Under<'_>>,
) -> Result<Revision> {
    let guard = under.map_or(Guard::Alone(op), |under| Guard::Held(under.lease, under.then));
    let quick = || quick::create(&write, op, None, store.now());
    let rule = |slot: &mut Slot, now| slot.create(BACKEND, write.clone(), op, under, now);
    Aside::new(store, Operation::Create, key).make(guard, quick, rule).await
}

/// See [`save`](session_core::SessionStore::save).
pub(crate) async fn save(
    store: &DynamoStore,
    key: &Key,
    write: Write,
    expected: Expected<'_>,
    op: OpToken,
) -> Result<Revision> {
    let quick = || quick::save(&write, without_lease(expected), op, store.now());
    let rule = |slot: &mut Slot, now| slot.save(BACKEND, write.clone(), expected, op, now);
    Aside::new(store, Operation::Save, key).make(Guard::of(expected, op), quick, rule).await
}

/// See [`delete`](session_core::SessionStore::delete).
pub(crate) async fn delete(
    store: &DynamoStore,
    key: &Key,
    expected: Expected<'_>,
    op: OpToken,
) -> Result<()> {
    let quick = || Ok(quick::delete(without_lease(expected), store.now()));
    let rule = |slot: &mut Slot, now| slot.delete(BACKEND, expected, now);
    Aside::new(store, Operation::Delete, key).make(Guard::of(expected, op), quick, rule).await
}

/// A change of a session whose lock is in another item. All its requests have one deadline.
struct Aside<'a> {
    store: &'a DynamoStore,
    operation: Operation,
    key: &'a Key,
    lock: Lock<'a>,
}

impl<'a> Aside<'a> {
    fn new(store: &'a DynamoStore, operation: Operation, key: &'a Key) -> Self {
        let lock = Lock::new(store, operation, key, store.0.link.deadline());
        Self { store, operation, key, lock }
    }

    /// A change of the session's own item, which leaves time to give the lock back.
    fn change(&self) -> Change<'a> {
        let rest = self.store.0.link.timeout / 8;
        let deadline = self.lock.deadline.checked_sub(rest).unwrap_or(self.lock.deadline);
        Change::new(self.store, self.operation, self.key).until(deadline)
    }

    async fn make<T: Send>(
        &self,
        guard: Guard<'_>,
        quick: impl Fn() -> Result<Quick<T>> + Send + Sync,
        rule: impl Fn(&mut Slot, Timestamp) -> Result<T> + Send + Sync,
    ) -> Result<T> {
        match guard {
            Guard::Breaking => {
                let (value, frees) = self.write(guard, quick()?, rule).await?;
                if frees {
                    self.lock.break_it().await?;
                }
                Ok(value)
            }
            Guard::Held(lease, _) => {
                let holder = self.lock.holder().await?;
                if holder.is_none_or(|holder| holder.token != lease.token()) {
                    return self.judged(holder, rule).await.map(|(value, _)| value);
                }
                let (value, frees) = self.write(guard, quick()?, rule).await?;
                if frees {
                    self.lock.free(lease.token()).await;
                }
                Ok(value)
            }
            Guard::Alone(token) => self.alone(token, quick, rule).await,
        }
    }

    /// Writes with the lock taken for this one write.
    async fn alone<T: Send>(
        &self,
        token: OpToken,
        quick: impl Fn() -> Result<Quick<T>> + Send + Sync,
        rule: impl Fn(&mut Slot, Timestamp) -> Result<T> + Send + Sync,
    ) -> Result<T> {
        let mut pauses = Jitter::new(FIRST, MOST);
        let taken = loop {
            let (holder, writes) = match self.lock.take_to_write(token).await? {
                Taken::Held { holder, writes } => (holder, writes),
                taken => break taken,
            };
            // Another write is over in a moment; it excludes as the revision does, not as a lease.
            let late = Instant::now() >= self.lock.deadline;
            let seen = Some(holder).filter(|_| !writes || late);
            let (value, is_final) = self.judged(seen, &rule).await?;
            if is_final {
                return Ok(value);
            }
            sleep(pauses.pause()).await;
        };
        let written = self.write(Guard::Alone(token), quick()?, rule).await;
        // One that may still come is made harmless by whoever takes the lock over.
        let may_come = written.as_ref().is_err_and(Error::maybe_applied);
        if may_come || matches!(taken, Taken::Over) {
            self.lock.let_lapse(token).await;
        } else {
            self.lock.free(token).await;
        }
        written.map(|(value, _)| value)
    }

    /// Writes the session's own item; returns also whether the lock is to be free then.
    async fn write<T>(
        &self,
        guard: Guard<'_>,
        quick: Quick<T>,
        rule: impl Fn(&mut Slot, Timestamp) -> Result<T> + Send + Sync,
    ) -> Result<(T, bool)> {
        let mut frees = guard.frees();
        let with_holder = |slot: &mut Slot, now: Timestamp| {
            slot.holder = guard.holder();
            let value = rule(slot, now);
            frees = slot.holder.take().is_none();
            value
        };
        let value = self.change().make(quick, with_holder).await?;
        Ok((value, frees))
    }

    /// What the rule says while this one holds the lock; and whether that is all, because there is
    /// nothing to write.
    async fn judged<T>(
        &self,
        holder: Option<Holder>,
        rule: impl Fn(&mut Slot, Timestamp) -> Result<T>,
    ) -> Result<(T, bool)> {
        let change = self.change();
        let item = change.read(Part::All).await?;
        let (mut slot, now) = (change.slot(&item)?, self.store.now());
        slot.expire(now);
        let before = slot.record.clone();
        slot.holder = holder;
        let value = rule(&mut slot, now).map_err(|error| change.refused(error))?;
        Ok((value, slot.record == before))
    }
}
