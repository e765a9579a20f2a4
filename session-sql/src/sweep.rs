//! Removing what has expired, in bounded batches, oldest first.

use std::time::Duration;

use session_core::{Cursor, Operation, Result, SweepBudget, SweepReport};
use tokio::time::Instant;

use crate::{
    SqlStore,
    statement::{Given, Value},
};

/// The most rows that one statement removes: it holds their locks until it ends.
const BATCH: usize = 500;
const SWEEP: Operation = Operation::Sweep;

/// See [`sweep`](session_core::SessionStore::sweep). The cursor only says that there is more: what is
/// oldest is known to the database.
pub(crate) async fn sweep(store: &SqlStore, budget: SweepBudget) -> Result<SweepReport> {
    let end = Instant::now() + budget.max_time.min(Duration::from_secs(3_600));
    let mut report = SweepReport::default();
    report.oldest_lag = oldest(store).await?;
    // Locks without a record, whose leases are over.
    remove(store, Given::default(), BATCH).await?;
    loop {
        let limit = BATCH.min(budget.max_scanned.max(1) - report.scanned);
        let given = Given { low: 1, high: i64::MAX, ..Given::default() };
        let removed = remove(store, given, limit).await?;
        report.scanned += removed;
        report.deleted += removed;
        if removed < limit {
            return Ok(report);
        }
        if report.scanned >= budget.max_scanned || Instant::now() >= end {
            report.next = Some(Cursor::new(&b"more"[..]));
            return Ok(report);
        }
    }
}

async fn remove(store: &SqlStore, given: Given<'_>, limit: usize) -> Result<usize> {
    let given = Given { limit: i64::try_from(limit).unwrap_or(i64::MAX), ..given };
    let answer = store.run(SWEEP, &store.0.statements.sweep, given).await?;
    Ok(usize::try_from(answer.affected).unwrap_or(usize::MAX).min(limit))
}

async fn oldest(store: &SqlStore) -> Result<Option<Duration>> {
    let answer = store.run(SWEEP, &store.0.statements.oldest, Given::default()).await?;
    match answer.rows.into_iter().next().as_deref() {
        Some([Value::Int(lag)]) => {
            Ok(Some(Duration::from_millis(u64::try_from(*lag).unwrap_or_default())))
        }
        Some(_) => Err(store.nonsense(SWEEP)),
        None => Ok(None),
    }
}
