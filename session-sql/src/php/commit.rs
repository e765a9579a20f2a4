//! Saving and removing, under a lease and without one.

use std::{sync::Arc, time::Duration};

use session_core::{
    ErrorKind, Expected, Incarnation, Jitter, Key, Operation, Result, Revision, SessionId, Then,
    Write, instant_after,
};
use tokio::time::{Instant, sleep};

use super::{
    PhpLock,
    hold::Hold,
    layout::POLLS,
    own::{Done, Trouble},
    row::{Row, end, seconds},
    store::{Inner, PhpStore},
};
use crate::{link::Wire, statement::Arg};

/// Who holds a lock for longer than this is at work, not just writing.
const BRIEFLY: Duration = Duration::from_secs(2);

/// What is asked of a record.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) operation: Operation,
    /// None for whatever is there.
    pub(super) expected: Option<Revision>,
    /// None to remove it.
    pub(super) write: Option<&'a Write>,
}

impl Change<'_> {
    /// The row that is to be changed; none if there is nothing to do.
    fn judge(&self, row: Option<Row>, inner: &Inner) -> Result<Option<Row>> {
        let Some((row, current)) = row.and_then(|row| Some((row.clone(), row.live(inner.now())?)))
        else {
            return if self.write.is_some() {
                Err(inner.error(ErrorKind::NotFound, self.operation))
            } else {
                Ok(None)
            };
        };
        if self.expected.is_some_and(|expected| expected != current.revision) {
            return Err(inner
                .error(ErrorKind::Conflict, self.operation)
                .with_current(Some(current)));
        }
        Ok(Some(row))
    }

    fn revision(&self) -> Option<Revision> {
        self.write.map(|write| Revision::of_bytes(&write.payload))
    }
}

impl Inner {
    /// The statement that changes a row if it is as it was read, and its values.
    fn over<'a>(
        &'a self,
        id: &'a SessionId,
        row: &'a Row,
        write: Option<&'a Write>,
    ) -> (&'a Arc<str>, Vec<Arg<'a>>) {
        let (now, name) = (self.now(), Arg::Bytes(id.expose().as_bytes()));
        let old = Arg::Bytes(&row.data);
        match write.filter(|write| Row::keeps(write)) {
            Some(write) => {
                let times = [end(now, write.ttl), seconds(now)].map(Arg::Int);
                let values = vec![Arg::Bytes(&write.payload), times[0], times[1], name, old];
                (&self.statements.update, values)
            }
            None => (&self.statements.delete, vec![name, old]),
        }
    }

    /// Makes a change without a lease.
    async fn commit(&self, key: &Key, change: Change<'_>) -> Result<Option<Revision>> {
        let id = self.id(key, change.operation)?;
        // A named lock keeps nobody out who does not ask for it.
        let locks = match self.layout.lock {
            PhpLock::None => false,
            PhpLock::Advisory => change.expected.is_some(),
            PhpLock::Transactional => true,
        };
        let waits =
            if locks && change.expected.is_some() { BRIEFLY } else { self.layout.sql.timeout };
        let by = instant_after(waits);
        let mut pause = Jitter::new(POLLS.0, POLLS.1);
        let mut resent = false;
        loop {
            let done = if locks {
                self.commit_locked(id, change).await
            } else {
                self.commit_unlocked(id, change, &mut resent).await
            };
            match done {
                Ok(done) => return Ok(done),
                Err(Trouble::Failed(error)) if resent => return Err(error.with_maybe_applied()),
                Err(Trouble::Failed(error)) => return Err(error),
                // Whoever has the lock may have written: then there is nothing to wait for.
                Err(Trouble::Busy) if change.expected.is_some() => {
                    let row = self.read(change.operation, id).await?;
                    if change.judge(row, self)?.is_none() {
                        return Ok(None);
                    }
                }
                Err(Trouble::Busy) => {}
            }
            let held = self.holds.of(key).and_then(|hold| hold.left()).filter(|_| locks);
            if Instant::now() >= by || held.is_some() {
                let kind = if locks { ErrorKind::LockHeld } else { ErrorKind::Timeout };
                return Err(self.error(kind, change.operation).with_retry_after(held));
            }
            sleep(pause.pause()).await;
        }
    }

    async fn commit_unlocked(
        &self,
        id: &SessionId,
        change: Change<'_>,
        resent: &mut bool,
    ) -> Done<Option<Revision>> {
        let row = self.read(change.operation, id).await?;
        let Some(row) = change.judge(row, self)? else { return Ok(None) };
        let (text, values) = self.over(id, &row, change.write);
        let answer = self.run(change.operation, text, &values).await?;
        *resent |= answer.resent;
        if answer.affected == 0 { Err(Trouble::Busy) } else { Ok(change.revision()) }
    }

    async fn commit_locked(&self, id: &SessionId, change: Change<'_>) -> Done<Option<Revision>> {
        let (wire, row) = self.try_lock(change.operation, id).await?;
        let (wire, outcome) = self.apply(wire, id, row, change).await?;
        self.unlock(change.operation, id, wire).await?;
        Ok(outcome?)
    }

    /// Makes a change on a connection that has the lock; what the contract refuses leaves it as it is.
    async fn apply(
        &self,
        mut wire: Box<dyn Wire>,
        id: &SessionId,
        row: Option<Row>,
        change: Change<'_>,
    ) -> Done<(Box<dyn Wire>, Result<Option<Revision>>)> {
        let row = match change.judge(row, self) {
            Ok(Some(row)) => row,
            Ok(None) => return Ok((wire, Ok(None))),
            Err(error) => return Ok((wire, Err(error))),
        };
        let (text, values) = self.over(id, &row, change.write);
        let changed = self.own(&mut wire, change.operation).run(text, &values).await?.affected;
        if changed == 0 { Err(Trouble::Busy) } else { Ok((wire, Ok(change.revision()))) }
    }

    /// Makes a change under a lease.
    async fn commit_held(
        &self,
        hold: &Hold,
        change: Change<'_>,
        then: Then,
    ) -> Result<Option<Revision>> {
        let operation = change.operation;
        let id = self.id(&hold.key, operation)?;
        let mut state = hold.state.lock().await;
        let (wire, row) = self.keep(operation, hold, &mut state).await?;
        let (wire, outcome) = match self.apply(wire, id, row, change).await {
            Ok(applied) => applied,
            Err(Trouble::Busy) => return Err(self.error(ErrorKind::LockLost, operation)),
            Err(Trouble::Failed(error)) => return Err(error),
        };
        match (&outcome, then) {
            (Err(_), _) => state.wire = Some(wire),
            (Ok(_), Then::Release) => self.unlock(operation, id, wire).await?,
            (Ok(done), _) => {
                state.known = done.unwrap_or(state.known);
                state.wire = self.settle(operation, id, wire).await?;
            }
        }
        outcome
    }

    /// Lets others see what was written, and goes on holding the lock if nobody was faster.
    async fn settle(
        &self,
        operation: Operation,
        id: &SessionId,
        mut wire: Box<dyn Wire>,
    ) -> Result<Option<Box<dyn Wire>>> {
        if self.layout.lock == PhpLock::Advisory {
            return Ok(Some(wire));
        }
        let mut own = self.own(&mut wire, operation);
        match own.unlock(id).await {
            Ok(()) => Ok(own.lock(id).await.is_ok().then_some(wire)),
            Err(Trouble::Failed(error)) => Err(error),
            Err(Trouble::Busy) => Err(self.error(ErrorKind::Unavailable, operation)),
        }
    }

    /// Prolongs a session on the connection of its holder, since no other one gets at the row. False
    /// where there is none.
    pub(super) async fn touch_held(&self, key: &Key, values: &[Arg<'_>]) -> Result<bool> {
        let operation = Operation::Touch;
        let Some(hold) = self.held(key) else { return Ok(false) };
        let mut state = hold.state.lock().await;
        let Some(mut wire) = state.wire.take() else { return Ok(false) };
        match self.own(&mut wire, operation).run(&self.statements.touch, values).await {
            Ok(_) => {
                let id = self.id(key, operation)?;
                state.wire = self.settle(operation, id, wire).await?;
                Ok(true)
            }
            Err(Trouble::Busy) => Err(self.error(ErrorKind::Unavailable, operation)),
            Err(Trouble::Failed(error)) => Err(error),
        }
    }

    /// Our own lock, where it would keep us out.
    fn held(&self, key: &Key) -> Option<Arc<Hold>> {
        self.holds.of(key).filter(|_| self.layout.lock == PhpLock::Transactional)
    }
}

impl PhpStore {
    /// Saves, or deletes where there is nothing to write.
    pub(super) async fn write(
        &self,
        operation: Operation,
        key: &Key,
        write: Option<&Write>,
        expected: Expected<'_>,
    ) -> Result<Option<Revision>> {
        let inner = &self.0;
        let change = |expected| Change { operation, expected, write };
        let done = match expected {
            Expected::Lease { lease, revision, then } => {
                inner.check_locking(operation)?;
                let lost = || inner.error(ErrorKind::LockLost, operation);
                let hold = inner.holds.get(lease.token()).ok_or_else(lost)?;
                let done = inner.commit_held(&hold, change(Some(revision)), then).await;
                if done.is_ok() && then == Then::Release {
                    inner.holds.remove(lease.token());
                }
                done
            }
            Expected::Revision(revision) => inner.commit(key, change(Some(revision))).await,
            Expected::Incarnation(incarnation) if incarnation != Incarnation::NONE => {
                Err(inner.error(ErrorKind::Conflict, operation))
            }
            _ => match inner.held(key) {
                Some(hold) => inner.commit_held(&hold, change(None), Then::Release).await,
                None => inner.commit(key, change(None)).await,
            },
        };
        inner.queue.wake(key.digest());
        done
    }
}
