//! Taking a lock, and waiting for it.
//!
//! The first attempt is one conditional write that brings the record along. Who is refused looks at
//! the holder with small reads at random pauses that grow, and writes again only when the lock looks
//! free. Of each process only the head of a line asks DynamoDB. A lock that was given back in this
//! process wakes the next in line at once.

use std::time::Duration;

use session_core::{
    Error, ErrorKind, Jitter, Key, Lease, LockOutcome, LockRequest, Locked, Operation, QueueError,
    Result, Slot, Timestamp, instant_after,
};
use tokio::time::Instant;

use crate::{
    BACKEND, DynamoStore, Leases, aside,
    change::{Change, corrupt},
    item,
    link::{Outcome, Part},
    quick,
};

/// The longest pause between two looks at a lock.
pub(crate) const WAKE_STEP: Duration = Duration::from_millis(200);
/// How long after the end of a lease the next look comes at the latest: to the millisecond after it,
/// and back.
pub(crate) const AFTER_LAPSE: Duration = Duration::from_millis(2);
/// The limit of the first pause.
const FIRST: Duration = Duration::from_millis(10);
const LOCK: Operation = Operation::Lock;

/// What has come of asking for a lock.
enum Asked {
    Granted(Locked),
    /// Somebody else has it, for so much longer.
    Held(Duration),
}

/// See [`lock`](session_core::SessionStore::lock).
pub(crate) async fn lock(store: &DynamoStore, key: &Key, request: LockRequest) -> Result<Locked> {
    let refuse = |kind| Error::new(kind, BACKEND, LOCK);
    let deadline = instant_after(request.wait);
    let turn = match store.0.queue.enter(key.digest(), deadline).await {
        Ok(turn) => turn,
        Err(QueueError::Full) => return Err(refuse(ErrorKind::TooManyWaiters)),
        Err(_) => return Err(refuse(ErrorKind::LockTimeout)),
    };
    let mut pauses = Jitter::new(FIRST, WAKE_STEP);
    let mut asked = take(store, key, request).await?;
    loop {
        let held = match asked {
            Asked::Granted(locked) => return Ok(locked),
            Asked::Held(held) => held,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let left = store.left_of(held);
            return Err(refuse(ErrorKind::LockTimeout).with_retry_after(Some(left)));
        }
        let lapse = held.saturating_add(Duration::from_millis(1));
        turn.wait(pauses.pause().min(lapse).min(left)).await;
        asked = match look(store, key, request).await? {
            Some(held) => Asked::Held(held),
            None => take(store, key, request).await?,
        };
    }
}

/// Takes the lock if it is free.
async fn take(store: &DynamoStore, key: &Key, request: LockRequest) -> Result<Asked> {
    if store.leases() == Leases::Aside {
        let lease = Lease::new(request.op, request.lease);
        return Ok(match aside::take(store, key, request).await? {
            Ok(record) => Asked::Granted(Locked::new(Some(lease), record)),
            Err(held) => Asked::Held(held),
        });
    }
    let duration = store.held_for(request.lease);
    let mut change = Change::new(store, LOCK, key);
    let item = match change.write(&quick::lock(request, duration, store.now())).await? {
        Outcome::Refused(item) => item,
        Outcome::Done(item) => {
            let Ok(slot) = item::decode(&item) else {
                return Err(give_back(store, key, request).await);
            };
            let now = store.now();
            if is_live(&slot, now) {
                return Ok(granted(&slot, request, now));
            }
            // The answer came when the lease was over: the same token takes it anew.
            item
        }
    };
    let mut until = Timestamp::default();
    let rule = |slot: &mut Slot, now: Timestamp| match slot.lock(request.op, duration, now) {
        LockOutcome::Granted => {
            until = slot.holder.map_or(now, |holder| holder.until);
            Ok(granted(slot, request, now))
        }
        LockOutcome::Held(held) => Ok(Asked::Held(held)),
        _ => Err(Error::new(ErrorKind::Backend, BACKEND, LOCK)),
    };
    match change.settle(item, rule).await? {
        Asked::Granted(_) if until <= store.now() => Ok(Asked::Held(Duration::ZERO)),
        asked => Ok(asked),
    }
}

fn is_live(slot: &Slot, now: Timestamp) -> bool {
    slot.holder.is_some_and(|holder| holder.is_live(now))
}

/// For how much longer somebody else holds the lock, if somebody does.
async fn look(store: &DynamoStore, key: &Key, request: LockRequest) -> Result<Option<Duration>> {
    let change = match store.leases() {
        Leases::InItem => Change::new(store, LOCK, key),
        Leases::Aside => Change::of_lock(store, LOCK, key),
    };
    let item = change.read(Part::Holder).await?;
    let holder = item::decode_holder(&item).map_err(|item::Damage| corrupt(LOCK))?;
    let now = store.now();
    let other = holder.filter(|holder| holder.token != request.op && holder.is_live(now));
    Ok(other.map(|holder| holder.until.since(now)))
}

/// Leaves no lock on what cannot be read. It would end with its lease.
async fn give_back(store: &DynamoStore, key: &Key, request: LockRequest) -> Error {
    let lease = Lease::new(request.op, request.lease);
    if let Some((statement, ())) = quick::release(&lease) {
        drop(Change::new(store, LOCK, key).write(&statement).await);
    }
    corrupt(LOCK)
}

fn granted(slot: &Slot, request: LockRequest, now: Timestamp) -> Asked {
    let lease = Lease::new(request.op, request.lease);
    Asked::Granted(Locked::new(Some(lease), slot.load(now)))
}
