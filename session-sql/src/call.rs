//! An operation of the store: its statements, which have one deadline together, and what becomes of a
//! write that the database refuses.

use std::time::Duration;

use session_core::{
    Error, ErrorKind, Jitter, Key, OpToken, Operation, Result, Revision, Slot, Timestamp,
    instant_after,
};
use tokio::time::{Instant, sleep};

use crate::{
    SqlStore,
    link::Answer,
    record::{Damage, NEVER, Row},
    statement::{Given, Statement},
};

/// The limits of the random pauses between two tries of a write.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// An operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    store: &'a SqlStore,
    operation: Operation,
    /// When all of it is over.
    deadline: Instant,
}

impl SqlStore {
    /// Begins an operation.
    pub(crate) fn call(&self, operation: Operation) -> Call<'_> {
        Call { store: self, operation, deadline: instant_after(self.0.config.timeout) }
    }
}

impl<'a> Call<'a> {
    pub(crate) const fn store(&self) -> &'a SqlStore {
        self.store
    }

    /// Runs a statement.
    pub(crate) async fn run(&self, statement: &Statement, given: Given<'_>) -> Result<Answer> {
        let given = Given { never: NEVER, ..given };
        let link = &self.store.0.link;
        let answer = link.run_until(self.deadline, statement, &statement.values(&given)).await;
        let backend = self.store.engine().name();
        answer.map_err(|fault| fault.into_error(backend, self.operation, !statement.reads))
    }

    /// Reads everything under a key.
    pub(crate) async fn slot(&self, key: &Key) -> Result<Option<Row>> {
        let given = Given { digest: key.digest().as_bytes(), ..Given::default() };
        let answer = self.run(&self.store.0.statements.slot, given).await?;
        answer.rows.into_iter().next().map(|row| self.store.row(self.operation, row)).transpose()
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Begins to try a write: what others do in between can make it start anew, but not for ever.
    pub(crate) fn tries(self) -> Tries<'a> {
        let pauses = Jitter::new(PAUSES.0, PAUSES.1);
        Tries { call: self, resent: false, pauses }
    }
}

/// What the contract says of a write that the database refused, by what is stored now.
pub(crate) enum Verdict {
    /// It happened before.
    Done(Revision),
    /// There is no live record.
    Absent,
    /// It may be tried again, on this revision.
    Free(Revision),
}

/// Why a write is refused.
pub(crate) struct Refusal {
    pub(crate) error: Error,
    /// Whether no earlier try of it was made, nor ever will be, although its reply was lost.
    certain: bool,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, certain: false }
    }
}

/// The tries of a write.
pub(crate) struct Tries<'a> {
    call: Call<'a>,
    resent: bool,
    pauses: Jitter,
}

impl Tries<'_> {
    /// Runs a statement, and says whether it found what it needs.
    pub(crate) async fn run(&mut self, statement: &Statement, given: Given<'_>) -> Result<bool> {
        let answer = self.call.run(statement, given).await;
        let answer = answer.map_err(|error| self.refused(error))?;
        self.resent |= answer.resent;
        Ok(answer.affected > 0)
    }

    /// Finds out what the contract says of a write that was refused, or that cannot be made without
    /// knowing the revision. It expects the record to be at `from`, if that is known.
    pub(crate) async fn judge(
        &self,
        key: &Key,
        op: OpToken,
        from: Option<Revision>,
        rule: impl FnOnce(&mut Slot, Timestamp) -> Result<()>,
    ) -> Result<Verdict, Refusal> {
        let Call { store, operation, .. } = self.call;
        let row = self.call.slot(key).await?;
        let (mut slot, now) = match &row {
            Some(row) => (row.slot().map_err(|Damage| store.corrupt(operation))?, row.now),
            None => (Slot::default(), Timestamp::default()),
        };
        if let Some(revision) = row.as_ref().and_then(|row| row.commit(op)) {
            return Ok(Verdict::Done(revision));
        }
        if let Err(error) = rule(&mut slot, now) {
            let known = row.as_ref().zip(from);
            return Err(Refusal {
                error,
                certain: known.is_some_and(|(row, from)| row.is_known_since(from)),
            });
        }
        Ok(row.as_ref().and_then(Row::revision).map_or(Verdict::Absent, Verdict::Free))
    }

    /// An error for the caller.
    pub(crate) fn refused(&self, refusal: impl Into<Refusal>) -> Error {
        let Refusal { error, certain } = refusal.into();
        if self.resent && !certain { error.with_maybe_applied() } else { error }
    }

    /// Lets others go first, for longer each time.
    pub(crate) async fn again(&mut self) -> Result<()> {
        if self.call.is_over() {
            let error = self.call.store.error(ErrorKind::Timeout, self.call.operation);
            return Err(self.refused(error));
        }
        sleep(self.pauses.pause()).await;
        Ok(())
    }
}
