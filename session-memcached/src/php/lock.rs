//! Taking a lock, keeping it, giving it back.
//!
//! PHP's lock is an item whose value is `1`; that it is there is all that PHP looks at. Here its value
//! tells whose it is, so that nobody gives back what is not his.

use std::time::Duration;

use data_encoding::HEXLOWER;
use session_core::{
    Error, ErrorKind, Jitter, Key, Lease, LockRequest, Locked, Operation, QueueError, Result, Ttl,
    instant_after,
};
use tokio::time::Instant;

use super::{
    items::{Added, Item, Written, held_for},
    layout::PhpLock,
    store::{PhpStore, record},
};
use crate::{BACKEND, link::Fault};

/// What the lock of a single write begins with.
pub(super) const GUARD: &str = "w:";
/// The limit of the first pause.
const FIRST: Duration = Duration::from_millis(5);

/// What the lock's item holds under this lease.
pub(super) fn secret(lease: &Lease) -> String {
    HEXLOWER.encode(lease.token().as_bytes())
}

/// See [`lock`](session_core::SessionStore::lock).
pub(super) async fn lock(
    store: &PhpStore,
    key: &Key,
    how: &PhpLock,
    request: LockRequest,
) -> Result<Locked> {
    let refuse = |kind| Error::new(kind, BACKEND, Operation::Lock);
    let deadline = instant_after(request.wait);
    let turn = match store.0.queue.enter(key.digest(), deadline).await {
        Ok(turn) => turn,
        Err(QueueError::Full) => return Err(refuse(ErrorKind::TooManyWaiters)),
        Err(_) => return Err(refuse(ErrorKind::LockTimeout)),
    };
    let mut pauses = Jitter::new(FIRST.min(how.pause), how.pause);
    loop {
        let held = match try_lock(store, key, request).await? {
            Ok(locked) => return Ok(locked),
            Err(held) => held,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(refuse(ErrorKind::LockTimeout).with_retry_after(held_for(held)));
        }
        turn.wait(pauses.pause().min(left)).await;
    }
}

/// Asks once; without a grant says how long the present lock still lasts.
async fn try_lock(
    store: &PhpStore,
    key: &Key,
    request: LockRequest,
) -> Result<Result<Locked, Ttl>> {
    let names = store.names(key, Operation::Lock)?;
    let lease = Lease::new(request.op, request.lease);
    let (data, lock) = names.items(store, Operation::Lock);
    let Some(lock) = lock else { return Err(PhpStore::no_locks(Operation::Lock)) };
    let secret = secret(&lease);
    if !matches!(lock.add(secret.as_bytes(), at_least(request.lease)).await?, Added::Done(_)) {
        match lock.look().await? {
            // Of a request that is sent again.
            Some(found) if found.value == secret => {}
            Some(found) => return Ok(Err(found.life)),
            None => return Ok(Err(Duration::ZERO.into())),
        }
    }
    let record = data.look().await?.map(record);
    store.0.holds.note(key.digest(), &lease, record.as_ref().map(|record| record.revision));
    Ok(Ok(Locked::new(Some(lease), record)))
}

/// A lock without duration would not be there at all.
fn at_least(lease: Duration) -> Ttl {
    lease.max(Duration::from_millis(1)).into()
}

/// See [`renew`](session_core::SessionStore::renew). A lock that lapsed is taken again if the record
/// is as the holder knows it.
pub(super) async fn renew(
    store: &PhpStore,
    key: &Key,
    lease: &Lease,
    duration: Duration,
) -> Result<()> {
    let lost = || Error::new(ErrorKind::LockLost, BACKEND, Operation::Renew);
    let names = store.names(key, Operation::Renew)?;
    let (data, lock) = names.items(store, Operation::Renew);
    let Some(lock) = lock else { return Err(PhpStore::no_locks(Operation::Renew)) };
    let (secret, seen) = (secret(lease), store.0.holds.seen(key.digest(), lease));
    while Instant::now() < lock.deadline {
        let renewed = match lock.look().await? {
            Some(found) if found.value == secret => {
                let again = lock.replace(found.version, secret.as_bytes(), at_least(duration));
                matches!(again.await?, Written::Done)
            }
            Some(_) => return Err(lost()),
            None => {
                let now = data.look().await?.map(|found| record(found).revision);
                if seen != Some(now) {
                    store.0.holds.forget(key.digest(), lease);
                    return Err(lost());
                }
                let again = lock.add(secret.as_bytes(), at_least(duration)).await?;
                matches!(again, Added::Done(_))
            }
        };
        if renewed {
            if let Some(seen) = seen {
                store.0.holds.note(key.digest(), &Lease::new(lease.token(), duration), seen);
            }
            return Ok(());
        }
    }
    Err(lock.failed(Fault::timeout(), true))
}

/// Frees the lock if this lease has it.
pub(super) async fn free(lock: Item<'_>, lease: &Lease) -> Result<()> {
    let secret = secret(lease);
    while Instant::now() < lock.deadline {
        match lock.look().await? {
            Some(found) if found.value == secret => {
                if matches!(lock.remove(found.version).await?, Written::Done) {
                    return Ok(());
                }
            }
            _ => return Ok(()),
        }
    }
    Err(lock.failed(Fault::timeout(), true))
}
