//! Taking a lock, and waiting for it.
//!
//! The first attempt appends a claim to the item and reads it, in one round trip: whether the claim
//! was granted, the entries before it tell. Later attempts look first, so that waiters write nothing
//! while the lock is held. Of each process only the head of a line asks the server, at random pauses
//! that grow. A lock that was given back in this process wakes the next in line at once.

use std::time::Duration;

use session_core::{
    Error, ErrorKind, Key, Lease, LockOutcome, LockRequest, Locked, Operation, QueueError, Record,
    Result, instant_after,
};
use tokio::time::Instant;

use crate::{
    BACKEND, MemcachedStore,
    change::{Change, Unread, seen},
    item::{self, Event},
    link::Command,
    revision,
};

/// The longest pause between two looks at a lock.
pub(crate) const WAKE_STEP: Duration = Duration::from_millis(100);
/// How long after the end of a lease the next look comes at the latest: to the millisecond after it,
/// and back.
pub(crate) const AFTER_LAPSE: Duration = Duration::from_millis(2);
/// The limit of the first pause.
const FIRST: Duration = Duration::from_millis(5);
const LOCK: Operation = Operation::Lock;

/// See [`lock`](session_core::SessionStore::lock).
pub(crate) async fn lock(
    store: &MemcachedStore,
    key: &Key,
    request: LockRequest,
) -> Result<Locked> {
    let refuse = |kind| Error::new(kind, BACKEND, LOCK);
    let deadline = instant_after(request.wait);
    let turn = match store.0.queue.enter(key.digest(), deadline).await {
        Ok(turn) => turn,
        Err(QueueError::Full) => return Err(refuse(ErrorKind::TooManyWaiters)),
        Err(_) => return Err(refuse(ErrorKind::LockTimeout)),
    };
    let mut pauses = Pauses { limit: FIRST };
    let mut asked = claim(store, key, request).await?;
    loop {
        let held = match asked {
            Asked::Granted(locked) => return Ok(*locked),
            Asked::Held(held) => held,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(refuse(ErrorKind::LockTimeout).with_retry_after(Some(held)));
        }
        let lapse = held.saturating_add(Duration::from_millis(1));
        turn.wait(pauses.next().min(lapse).min(left)).await;
        asked = look_and_take(store, key, request).await?;
    }
}

/// What has come of asking for a lock.
enum Asked {
    Granted(Box<Locked>),
    /// Somebody else has it, for so much longer.
    Held(Duration),
}

/// Appends a claim and reads what it has come to.
async fn claim(store: &MemcachedStore, key: &Key, request: LockRequest) -> Result<Asked> {
    let change = Change::new(store, LOCK, key);
    store.0.hints.take(key.digest());
    let entry = Event::Lock(request.op, request.lease).encode(store.0.clock.now());
    let commands = [Command::Append { value: &entry, number: None }, Command::Get];
    let asked = store.0.link.ask(&change.name, &commands, change.deadline).await;
    let answer = asked.map_err(|fault| fault.into_error(LOCK, true))?;
    let mut seen = match seen(answer) {
        Ok(Some(seen)) => seen,
        Ok(None) => return look_and_take(store, key, request).await,
        Err(Unread::Damage) => return Err(crate::change::corrupt(LOCK)),
        Err(Unread::Fault(fault)) => return Err(fault.into_error(LOCK, true)),
    };
    let now = store.0.clock.now();
    let granted = match seen.slot.holder {
        Some(holder) if holder.token == request.op => item::outlives_its_lock(&seen.slot),
        Some(holder) if holder.is_live(now) => return Ok(Asked::Held(holder.until.since(now))),
        _ => false,
    };
    if !granted {
        return look_and_take(store, key, request).await;
    }
    let locked = locked(revision::take_record(&mut seen.slot, now), request);
    store.0.hints.put(key.digest(), seen);
    Ok(locked)
}

/// Looks at the item, and takes the lock if it is free.
async fn look_and_take(store: &MemcachedStore, key: &Key, request: LockRequest) -> Result<Asked> {
    let change = Change::new(store, LOCK, key).event(Event::Lock(request.op, request.lease));
    change
        .make(|slot, now| match slot.lock(request.op, request.lease, now) {
            // The payload may have to be written again.
            LockOutcome::Granted => Ok(locked(revision::record(slot, now), request)),
            LockOutcome::Held(held) => Ok(Asked::Held(held)),
            _ => Err(Error::new(ErrorKind::Backend, BACKEND, LOCK)),
        })
        .await
}

fn locked(record: Option<Record>, request: LockRequest) -> Asked {
    let lease = Lease::new(request.op, request.lease);
    Asked::Granted(Box::new(Locked::new(Some(lease), record)))
}

/// Random pauses up to a limit that doubles.
struct Pauses {
    limit: Duration,
}

impl Pauses {
    fn next(&mut self) -> Duration {
        let pause = self.limit.mul_f64(fastrand::f64());
        self.limit = (self.limit * 2).min(WAKE_STEP);
        pause
    }
}

#[cfg(test)]
mod tests {
    use session_core::{OpToken, ReadOptions, SessionStore, Write};
    use test_servers::memcached::{Options, Server};

    use super::*;

    /// Others may remember the item between any two steps of a caller.
    #[tokio::test]
    async fn a_lock_brings_the_record_whatever_is_remembered_of_the_item() {
        let server = Server::start(&Options::new()).await.unwrap();
        let store = MemcachedStore::open(&server.url()).await.unwrap();
        let hour = Duration::from_secs(3_600);
        let key = test_load::new_key();
        let op = OpToken::generate().unwrap();
        store.create(&key, Write::new("payload", hour), op, None).await.unwrap();
        store.load(&key, ReadOptions::default()).await.unwrap();
        let request = test_load::lock(hour / 2, Duration::ZERO);
        let Asked::Granted(locked) = look_and_take(&store, &key, request).await.unwrap() else {
            panic!("the lock is free");
        };
        assert_eq!(locked.record.unwrap().payload, "payload");
    }
}
