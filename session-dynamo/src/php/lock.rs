//! Taking a lock, and waiting for it.
//!
//! Of each process only the head of a line asks, at random pauses; a release in this process wakes the
//! next one at once. A lock of PHP's is respected for as long as it is there.

use std::time::Duration;

use session_core::{
    Error, ErrorKind, Jitter, Key, Lease, LockOutcome, LockRequest, Locked, Operation, QueueError,
    Result, Timestamp, instant_after,
};
use tokio::time::Instant;

use super::{
    PhpStore,
    change::Change,
    item::{PHP, short, shown},
    layout::PhpLock,
};
use crate::BACKEND;

/// The limit of the first pause.
const FIRST: Duration = Duration::from_millis(10);
const LOCK: Operation = Operation::Lock;

/// See [`lock`](session_core::SessionStore::lock).
pub(super) async fn lock(
    store: &PhpStore,
    key: &Key,
    how: PhpLock,
    request: LockRequest,
) -> Result<Locked> {
    let refuse = |kind| Error::new(kind, BACKEND, LOCK);
    let deadline = instant_after(request.wait);
    let turn = match store.0.queue.enter(key.digest(), deadline).await {
        Ok(turn) => turn,
        Err(QueueError::Full) => return Err(refuse(ErrorKind::TooManyWaiters)),
        Err(_) => return Err(refuse(ErrorKind::LockTimeout)),
    };
    let mut pauses = Jitter::new(FIRST.min(how.pause), how.pause);
    loop {
        let held = match take(store, key, request).await? {
            Ok(locked) => return Ok(locked),
            Err(held) => held,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(refuse(ErrorKind::LockTimeout).with_retry_after(held));
        }
        let lapse = held.map_or(left, |held| {
            held.saturating_add(store.0.skew()).saturating_add(Duration::from_millis(1))
        });
        turn.wait(pauses.pause().min(lapse).min(left)).await;
    }
}

/// Asks once; without a grant says how long the present lock still lasts, if it ends at all.
async fn take(
    store: &PhpStore,
    key: &Key,
    request: LockRequest,
) -> Result<Result<Locked, Option<Duration>>> {
    let (op, skew) = (short(request.op), store.0.skew());
    let duration = request.lease.saturating_add(skew);
    let mut until = Timestamp::default();
    let taken = Change::new(store, LOCK, key)?
        .make(|slot, now| {
            let is_php = slot.holder.is_some_and(|holder| holder.token == PHP);
            match slot.lock(op, duration, now) {
                LockOutcome::Granted => {
                    until = slot.holder.map_or(now, |holder| holder.until);
                    let lease = Lease::new(request.op, request.lease);
                    Ok(Ok(Locked::new(Some(lease), slot.load(now).map(shown))))
                }
                LockOutcome::Held(held) => Ok(Err((!is_php).then(|| held.saturating_sub(skew)))),
                _ => Err(Error::new(ErrorKind::Backend, BACKEND, LOCK)),
            }
        })
        .await?;
    // The answer may have come when the lease was over: the same token takes it anew.
    let is_over = taken.is_ok() && until <= store.0.link.clock.now();
    Ok(if is_over { Err(Some(Duration::ZERO)) } else { taken })
}
