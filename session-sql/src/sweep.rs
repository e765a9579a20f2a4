//! Removing what has expired, in bounded batches, oldest first.

use std::time::Duration;

use session_core::{Cursor, Operation, Result, SweepBudget, SweepReport, instant_after};
use tokio::time::{Instant, sleep_until};

use crate::{
    SqlStore,
    statement::{Given, Value},
};

/// The most rows that one statement removes: it holds their locks until it ends.
const BATCH: usize = 500;
const SWEEP: Operation = Operation::Sweep;

/// The first and the last deadline of rows that are removed.
type Kind = (i64, i64);
/// Locks without a record.
const LOCKS: Kind = (0, 0);
const RECORDS: Kind = (1, i64::MAX);

/// See [`sweep`](session_core::SessionStore::sweep). The cursor only says that there is more: what is
/// oldest is known to the database.
pub(crate) async fn sweep(store: &SqlStore, budget: SweepBudget) -> Result<SweepReport> {
    let end = instant_after(budget.max_time);
    let mut report = SweepReport::default();
    report.oldest_lag = oldest(store).await?;
    for kind in [LOCKS, RECORDS] {
        loop {
            let left = budget.max_scanned.max(1) - report.scanned;
            if left == 0 || report.scanned > 0 && Instant::now() >= end {
                report.next = Some(Cursor::new(&b"more"[..]));
                return Ok(report);
            }
            let limit = BATCH.min(left);
            let began = Instant::now();
            let removed = remove(store, kind, limit).await?;
            report.scanned += removed;
            report.deleted += if kind == RECORDS { removed } else { 0 };
            if removed < limit {
                break;
            }
            // Others shall not feel it.
            sleep_until(end.min(Instant::now() + began.elapsed())).await;
        }
    }
    Ok(report)
}

async fn remove(store: &SqlStore, (low, high): Kind, limit: usize) -> Result<usize> {
    let limit_of_rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let given = Given { low, high, limit: limit_of_rows, ..Given::default() };
    let answer = store.call(SWEEP).run(&store.0.statements.sweep, given).await?;
    Ok(usize::try_from(answer.affected).unwrap_or(usize::MAX).min(limit))
}

async fn oldest(store: &SqlStore) -> Result<Option<Duration>> {
    let answer = store.call(SWEEP).run(&store.0.statements.oldest, Given::default()).await?;
    match answer.rows.into_iter().next().as_deref() {
        Some([Value::Int(lag)]) => {
            Ok(Some(Duration::from_millis(u64::try_from(*lag).unwrap_or_default())))
        }
        Some(_) => Err(store.nonsense(SWEEP)),
        None => Ok(None),
    }
}
