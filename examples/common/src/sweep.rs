//! Removes expired sessions now and then. It is housekeeping: an expired session is absent anyway.

use std::{sync::Arc, time::Duration};

use session::{SessionStore, SweepBudget};
use tokio::time::{Instant, interval_at};

const PERIOD: Duration = Duration::from_secs(60);

/// Starts to sweep, until the program ends.
pub fn start(store: &Arc<dyn SessionStore>) {
    let store = Arc::clone(store);
    tokio::spawn(async move {
        let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
        let mut cursor = None;
        loop {
            ticks.tick().await;
            match store.sweep(cursor.as_ref(), SweepBudget::default()).await {
                Ok(report) => {
                    tracing::debug!(scanned = report.scanned, deleted = report.deleted, "swept");
                    cursor = report.next;
                }
                Err(error) => tracing::warn!(%error, "sweep failed"),
            }
        }
    });
}
