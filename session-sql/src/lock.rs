//! Taking a lock, and waiting for it.
//!
//! Of each process only the head of a line asks the database, at random pauses that grow. A lock that
//! was given back in this process wakes the next in line at once.

use std::time::Duration;

use session_core::{
    Error, ErrorKind, Key, Lease, LockRequest, Locked, Operation, QueueError, Result, SessionStore,
    instant_after,
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
/// How often a lock that changed hands while it was asked for is asked for again at once.
const UNCLEAR: u32 = 3;
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
    let mut unclear = 0;
    loop {
        let mut held = match take(store, key, request).await? {
            Taken::Granted(locked) => return Ok(locked),
            Taken::Held(held) => held,
            Taken::Unclear if unclear < UNCLEAR => {
                unclear += 1;
                continue;
            }
            Taken::Unclear => Duration::ZERO,
        };
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let error = store.error(ErrorKind::LockTimeout, LOCK);
                return Err(error.with_retry_after(Some(held)));
            }
            let lapse = held.saturating_add(Duration::from_millis(1));
            let pause = pauses.next().min(lapse).min(left);
            let end = Instant::now() + pause;
            turn.wait(pause).await;
            if Instant::now() < end {
                // It was given back here.
                break;
            }
            // A look is no write, which asking would be on some engines.
            held = look(store, key).await?.unwrap_or_default();
            if held.is_zero() {
                break;
            }
        }
    }
}

/// What has come of asking for a lock.
enum Taken {
    Granted(Locked),
    /// Somebody else has it, for so much longer.
    Held(Duration),
    /// It changed hands in between: nobody may have it.
    Unclear,
}

/// Asks once.
async fn take(store: &SqlStore, key: &Key, request: LockRequest) -> Result<Taken> {
    let given = Given {
        digest: key.digest().as_bytes(),
        lease: request.op.as_bytes(),
        duration: record::lease(request.lease),
        ..Given::default()
    };
    let statements = &store.0.statements;
    let answer = store.run(LOCK, &statements.lock, given).await?;
    let lease = Lease::new(request.op, request.lease);
    let read = match (answer.rows.into_iter().next(), answer.affected) {
        (Some(row), _) => store.row(LOCK, row).map(Some),
        // MySQL does not tell what it found.
        (None, 1..) => store.slot(LOCK, key).await.map_err(Error::with_maybe_applied),
        (None, 0) => {
            let held = look(store, key).await?;
            if held.is_none() && store.engine() == Engine::MySql {
                let placed = store.run(LOCK, &statements.placeholder, given).await?.affected > 0;
                let granted = || Taken::Granted(Locked::new(Some(lease), None));
                return Ok(if placed { granted() } else { Taken::Unclear });
            }
            return Ok(held.filter(|held| !held.is_zero()).map_or(Taken::Unclear, Taken::Held));
        }
    };
    let row = match read {
        Ok(Some(row)) if !row.is_held_by(request.op) => {
            let held = row.held();
            return Ok(if held.is_zero() { Taken::Unclear } else { Taken::Held(held) });
        }
        Ok(None) => return Ok(Taken::Unclear),
        Ok(Some(row)) => store.record(LOCK, &row),
        Err(error) => Err(error),
    };
    match row {
        Ok(record) => Ok(Taken::Granted(Locked::new(Some(lease), record))),
        Err(error) => {
            // Nobody would give it back.
            drop(store.release(key, &lease).await);
            Err(error)
        }
    }
}

/// How long the lock is still held, or `None` where there is nothing.
async fn look(store: &SqlStore, key: &Key) -> Result<Option<Duration>> {
    let given = Given { digest: key.digest().as_bytes(), ..Given::default() };
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
