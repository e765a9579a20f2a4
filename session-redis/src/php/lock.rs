//! Taking a lock, and waiting for it.
//!
//! Nobody tells of a release: PHP does not. So waiters ask, at random pauses, and of each process only
//! the head of a line; a release in this process wakes the next one at once.

use std::time::Duration;

use session_core::{
    Error, ErrorKind, Jitter, Key, Lease, LockRequest, Locked, Operation, QueueError, Result,
    instant_after,
};
use tokio::time::Instant;

use super::{
    PhpStore,
    layout::PhpLock,
    store::{Names, secret},
};
use crate::{BACKEND, record};

/// The limit of the first pause.
const FIRST: Duration = Duration::from_millis(2);
const LOCK: Operation = Operation::Lock;

/// See [`lock`](session_core::SessionStore::lock).
pub(super) async fn lock(
    store: &PhpStore,
    key: &Key,
    how: &PhpLock,
    request: LockRequest,
) -> Result<Locked> {
    let refuse = |kind| Error::new(kind, BACKEND, LOCK);
    let names = store.names(key, LOCK)?;
    let deadline = instant_after(request.wait);
    let turn = match store.0.queue.enter(key.digest(), deadline).await {
        Ok(turn) => turn,
        Err(QueueError::Full) => return Err(refuse(ErrorKind::TooManyWaiters)),
        Err(_) => return Err(refuse(ErrorKind::LockTimeout)),
    };
    let mut pauses = Jitter::new(FIRST.min(how.pause), how.pause);
    loop {
        let held = match try_lock(store, key, &names, request).await? {
            Ok(locked) => return Ok(locked),
            Err(held) => held,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(refuse(ErrorKind::LockTimeout).with_retry_after(held));
        }
        let lapse = held.map_or(left, |held| held.saturating_add(Duration::from_millis(1)));
        turn.wait(pauses.pause().min(lapse).min(left)).await;
    }
}

/// Asks once; without a grant says how long the present lock still lasts, if it ends at all.
async fn try_lock(
    store: &PhpStore,
    key: &Key,
    names: &Names<'_>,
    request: LockRequest,
) -> Result<Result<Locked, Option<Duration>>> {
    let lease = Lease::new(request.op, request.lease);
    let millis = record::lease(request.lease).to_string();
    let arguments = [secret(&lease), millis];
    let mut reply = store.run(LOCK, &store.0.scripts.lock, names, &arguments).await?;
    if !reply.is_ok() {
        let error = reply.refusal(LOCK);
        return match error.kind() {
            ErrorKind::LockHeld => Ok(Err(error.retry_after())),
            _ => Err(error),
        };
    }
    let record = reply.record();
    store.0.holds.note(key.digest(), &lease, record.as_ref().map(|record| record.revision));
    Ok(Ok(Locked::new(Some(lease), record)))
}
