//! Taking a lock, and waiting for it.
//!
//! Of each process only the head of a line asks the database, at random pauses that grow. A lock that
//! was given back in this process wakes the next in line at once.

use std::time::Duration;

use session_core::{
    ErrorKind, Key, Lease, LockRequest, Locked, Operation, QueueError, Result, instant_after,
};
use tokio::time::Instant;

use crate::{
    Engine, SqlStore, record,
    statement::{Given, Value},
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
pub(crate) async fn lock(store: &SqlStore, key: &Key, request: LockRequest) -> Result<Locked> {
    let deadline = instant_after(request.wait);
    let turn = match store.0.queue.enter(key.digest(), deadline).await {
        Ok(turn) => turn,
        Err(QueueError::Full) => return Err(store.error(ErrorKind::TooManyWaiters, LOCK)),
        Err(_) => return Err(store.error(ErrorKind::LockTimeout, LOCK)),
    };
    let mut pauses = Pauses { limit: FIRST };
    loop {
        let held = match try_lock(store, key, request).await? {
            Ok(locked) => return Ok(locked),
            Err(held) => held,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let error = store.error(ErrorKind::LockTimeout, LOCK);
            return Err(error.with_retry_after(Some(held)));
        }
        let lapse = held.saturating_add(Duration::from_millis(1));
        turn.wait(pauses.next().min(lapse).min(left)).await;
    }
}

/// Asks once; without a grant says how long the lock is still held.
async fn try_lock(
    store: &SqlStore,
    key: &Key,
    request: LockRequest,
) -> Result<Result<Locked, Duration>> {
    let given = Given {
        digest: key.digest().as_bytes(),
        lease: request.op.as_bytes(),
        duration: record::lease(request.lease),
        ..Given::default()
    };
    let statements = &store.0.statements;
    let answer = store.run(LOCK, &statements.lock, given).await?;
    let row = match (answer.rows.into_iter().next(), answer.affected) {
        (Some(row), _) => Some(store.row(LOCK, row)?),
        // It says nothing of what it found.
        (None, 1..) => store.slot(LOCK, key).await?,
        (None, 0) if store.engine() != Engine::MySql => {
            return held(store, given).await.map(|held| Err(held.unwrap_or_default()));
        }
        (None, 0) => match held(store, given).await? {
            Some(held) => return Ok(Err(held)),
            None => {
                let placed = store.run(LOCK, &statements.placeholder, given).await?;
                let lease = Lease::new(request.op, request.lease);
                return Ok(match placed.affected {
                    0 => Err(Duration::ZERO),
                    _ => Ok(Locked::new(Some(lease), None)),
                });
            }
        },
    };
    match row {
        Some(row) if row.is_held_by(request.op) => {
            let lease = Lease::new(request.op, request.lease);
            Ok(Ok(Locked::new(Some(lease), store.record(LOCK, &row)?)))
        }
        // Somebody else has it, or broke it in between.
        row => Ok(Err(row.map_or(Duration::ZERO, |row| row.held()))),
    }
}

/// How long the lock is still held, or `None` where there is nothing.
async fn held(store: &SqlStore, given: Given<'_>) -> Result<Option<Duration>> {
    let answer = store.run(LOCK, &store.0.statements.held, given).await?;
    match answer.rows.into_iter().next().as_deref() {
        Some([Value::Int(millis)]) => {
            Ok(Some(Duration::from_millis(u64::try_from(*millis).unwrap_or_default())))
        }
        Some(_) => Err(store.nonsense(LOCK)),
        None => Ok(None),
    }
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
