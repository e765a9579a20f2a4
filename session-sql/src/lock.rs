//! Taking a lock, and waiting for it.
//!
//! Of each process only the head of a line asks the database. Where a message comes when the lock is
//! free it waits for that, and asks all the same from time to time; else it asks at random pauses that
//! grow. A lock that was given back in this process wakes the next in line at once.

use std::time::Duration;

use session_core::{
    Error, ErrorKind, Jitter, Key, Lease, LockRequest, Locked, Operation, QueueError, Result,
    SessionStore, Turn, instant_after,
};
use tokio::time::Instant;

use crate::{
    Engine, SqlStore,
    call::Call,
    listen::Ear,
    record,
    statement::{Given, Value},
};

/// The limits of the pauses between two looks at a lock where no messages come.
const POLLS: (Duration, Duration) = (Duration::from_millis(5), WAKE_STEP);
pub(crate) const WAKE_STEP: Duration = Duration::from_millis(100);
/// The pause where they do: one may be lost.
pub(crate) const TOLD_STEP: Duration = Duration::from_millis(500);
/// For how long who asks is to be told: longer than until he asks again.
const MARK: Duration = TOLD_STEP.saturating_mul(3);
/// How long after the end of a lease the next look comes at the latest: to the millisecond after it,
/// and back.
pub(crate) const AFTER_LAPSE: Duration = Duration::from_millis(2);
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
    let pauses = Jitter::new(POLLS.0, POLLS.1);
    // Where somebody waits here already, who comes is told from the start.
    let listener = &store.0.listener;
    let ear = (!request.wait.is_zero() && listener.hears()).then(|| listener.listen());
    let mut waiter = Waiter { store, key, turn, deadline, pauses, ear };
    let mut unclear = 0;
    loop {
        let told = waiter.is_told();
        match take(store, key, request, told).await? {
            Taken::Granted(locked) => return Ok(locked),
            Taken::Held(held) => waiter.wait(held, told).await?,
            Taken::Unclear if unclear < UNCLEAR => unclear += 1,
            Taken::Unclear => waiter.wait(Duration::ZERO, told).await?,
        }
    }
}

/// Who waits at the head of a line.
struct Waiter<'a> {
    store: &'a SqlStore,
    key: &'a Key,
    turn: Turn,
    deadline: Instant,
    pauses: Jitter,
    ear: Option<Ear>,
}

impl Waiter<'_> {
    /// Whether a message comes when a lock is free that was asked for.
    fn is_told(&self) -> bool {
        self.ear.is_some() && self.store.0.listener.hears()
    }

    /// Waits until the lock is worth being asked for, which somebody holds for so much longer. Who has
    /// asked to be `told` is told.
    async fn wait(&mut self, mut held: Duration, told: bool) -> Result<()> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let error = self.store.error(ErrorKind::LockTimeout, LOCK);
                return Err(error.with_retry_after(Some(held)));
            }
            self.ear.get_or_insert_with(|| self.store.0.listener.listen());
            if !told && self.is_told() {
                return Ok(());
            }
            let pause = if told { TOLD_STEP } else { self.pauses.pause() };
            let lapse = held.saturating_add(Duration::from_millis(1));
            let pause = pause.min(lapse).min(left);
            let end = Instant::now() + pause;
            self.turn.wait(pause).await;
            if told || Instant::now() < end {
                return Ok(());
            }
            // A look is no write, which asking would be on some engines.
            held = look(self.store.call(LOCK), self.key).await?.unwrap_or_default();
            if held.is_zero() {
                return Ok(());
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

/// Asks once. Who asks to be `told` when the lock is free, and does not get it, is told.
async fn take(store: &SqlStore, key: &Key, request: LockRequest, told: bool) -> Result<Taken> {
    let given = Given {
        digest: key.digest().as_bytes(),
        lease: request.op.as_bytes(),
        duration: record::lease(request.lease),
        mark: record::lease(MARK),
        ..Given::default()
    };
    let statements = &store.0.statements;
    let lock = statements.lock_or_mark.as_ref().filter(|_| told).unwrap_or(&statements.lock);
    let call = store.call(LOCK);
    let answer = call.run(lock, given).await?;
    let lease = Lease::new(request.op, request.lease);
    let read = match (answer.rows.into_iter().next(), answer.affected) {
        (Some(row), _) => store.row(LOCK, row).map(Some),
        // MySQL does not tell what it found.
        (None, 1..) => call.slot(key).await.map_err(Error::with_maybe_applied),
        (None, 0) => {
            let held = look(call, key).await?;
            if held.is_none() && store.engine() == Engine::MySql {
                let placed = call.run(&statements.placeholder, given).await?.affected > 0;
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
async fn look(call: Call<'_>, key: &Key) -> Result<Option<Duration>> {
    let store = call.store();
    let given = Given { digest: key.digest().as_bytes(), ..Given::default() };
    let answer = call.run(&store.0.statements.held, given).await?;
    match answer.rows.into_iter().next().as_deref() {
        Some([Value::Int(millis)]) => {
            Ok(Some(Duration::from_millis(u64::try_from(*millis).unwrap_or_default())))
        }
        Some(_) => Err(store.nonsense(LOCK)),
        None => Ok(None),
    }
}
