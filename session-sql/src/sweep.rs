//! Removing what has expired, in bounded batches, oldest first.

mod pace;

use std::time::Duration;

use async_trait::async_trait;
use session_core::{Cursor, Operation, Result, SweepBudget, SweepReport, instant_after};
use tokio::time::{Instant, sleep};

use self::pace::Pace;
use crate::{
    SqlStore,
    statement::{Given, Value},
};

/// Where locks without a record are, which have no deadline.
const LOCKS: i64 = 0;
/// Where records begin.
const RECORDS: i64 = 1;

/// What there is to sweep.
#[async_trait]
trait Expired: Sync {
    /// The record that expired first, of those with this deadline or a later one.
    async fn oldest(&self, low: i64) -> Result<Option<Oldest>>;

    /// Removes so many at most, from this deadline on; locks where it is theirs.
    async fn remove(&self, low: i64, limit: usize) -> Result<Removed>;

    /// Leaves the database to others.
    async fn rest(&self, time: Duration);
}

/// A record that has expired.
struct Oldest {
    deadline: i64,
    lag: Duration,
    /// How long the answer took.
    took: Duration,
}

struct Removed {
    rows: usize,
    /// How long it took.
    took: Duration,
}

/// See [`sweep`](session_core::SessionStore::sweep).
pub(crate) async fn sweep(
    store: &SqlStore,
    cursor: Option<&Cursor>,
    budget: SweepBudget,
) -> Result<SweepReport> {
    let pace = Pace::new(store.0.config.sweep_share, store.engine());
    walk(store, pace, cursor, budget).await
}

/// The cursor is the deadline at which the next batch begins.
async fn walk(
    rows: &impl Expired,
    mut pace: Pace,
    cursor: Option<&Cursor>,
    budget: SweepBudget,
) -> Result<SweepReport> {
    let end = instant_after(budget.max_time);
    let mut report = SweepReport::default();
    let mut from = cursor.map_or(LOCKS, deadline);
    loop {
        let left = budget.max_scanned.max(1) - report.scanned;
        if left == 0 || report.scanned > 0 && Instant::now() >= end {
            report.next = Some(Cursor::new(from.to_be_bytes().to_vec()));
            return Ok(report);
        }
        if from != LOCKS {
            // A database goes through what was removed before, until it has cleared that away. So a
            // batch does not look for its beginning from the first deadline on.
            let Some(oldest) = rows.oldest(from).await? else { return Ok(report) };
            from = oldest.deadline;
            pace.answered(oldest.took);
            report.oldest_lag = report.oldest_lag.or(Some(oldest.lag));
        }
        let limit = pace.rows().min(left);
        let removed = rows.remove(from, limit).await?;
        report.scanned += removed.rows;
        report.deleted += if from == LOCKS { 0 } else { removed.rows };
        if removed.rows == limit {
            let left = end.saturating_duration_since(Instant::now());
            rows.rest(pace.pause(limit, removed.took).min(left)).await;
        } else if from == LOCKS {
            from = RECORDS;
        } else {
            return Ok(report);
        }
    }
}

/// A cursor of somebody else's begins at the beginning.
fn deadline(cursor: &Cursor) -> i64 {
    cursor.as_bytes().try_into().map_or(LOCKS, i64::from_be_bytes).max(LOCKS)
}

const SWEEP: Operation = Operation::Sweep;

#[async_trait]
impl Expired for SqlStore {
    async fn oldest(&self, low: i64) -> Result<Option<Oldest>> {
        let given = Given { low, ..Given::default() };
        let answer = self.call(SWEEP).run(&self.0.statements.oldest, given).await?;
        let took = answer.took;
        match answer.rows.into_iter().next().as_deref() {
            Some([Value::Int(deadline), Value::Int(lag)]) => {
                let lag = Duration::from_millis(u64::try_from(*lag).unwrap_or_default());
                Ok(Some(Oldest { deadline: *deadline, lag, took }))
            }
            Some(_) => Err(self.nonsense(SWEEP)),
            None => Ok(None),
        }
    }

    async fn remove(&self, low: i64, limit: usize) -> Result<Removed> {
        let high = if low == LOCKS { LOCKS } else { i64::MAX };
        let rows = i64::try_from(limit).unwrap_or(i64::MAX);
        let given = Given { low, high, limit: rows, ..Given::default() };
        let answer = self.call(SWEEP).run(&self.0.statements.sweep, given).await?;
        let removed = usize::try_from(answer.affected).unwrap_or(usize::MAX);
        Ok(Removed { rows: removed.min(limit), took: answer.took })
    }

    async fn rest(&self, time: Duration) {
        sleep(time).await;
    }
}

#[cfg(test)]
mod tests;
