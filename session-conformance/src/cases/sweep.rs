//! Sweeping: E17 to E21, E23 to E25.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use session_core::{Cursor, Key, SweepBudget, Sweeping, Ttl};

use super::cases;
use crate::{
    client::{Client, HOUR},
    context::{Cx, new_key, new_keys},
    outcome::{Failure, Outcome, ensure, ensure_eq},
    together::{Effort, for_each, race},
};

cases! {
    "E17" never_expire_survives_gc;
    "E18" gc_removes_only_expired;
    "E18" gc_of_an_expired_record_leaves_its_lock [Sweeping, Locking, Clock];
    "E19" gc_spares_session_refreshed_after_scan [Sweeping];
    "E20" gc_is_bounded_and_resumable [Sweeping];
    "E20" gc_without_time_gets_on [Sweeping];
    "E21" two_gc_workers_no_error [Sweeping];
    "E23" gc_oldest_first_no_starvation [Sweeping, Clock];
    "E24" gc_reports_counts_and_lag [Sweeping];
    "E25" gc_removes_side_records [Sweeping];
}

/// Creates `count` records and lets them expire.
async fn expired(cx: &Cx, count: usize) -> Result<Vec<Key>, Failure> {
    let keys = new_keys(count)?;
    let ttl = cx.brief();
    for_each(cx, &keys, move |client, key| async move {
        client.put_for(&key, "short lived", ttl).await?;
        Ok(())
    })
    .await?;
    cx.pass(ttl + cx.has().expiry_precision).await?;
    for key in &keys {
        cx.gone(key, ttl).await?;
    }
    Ok(keys)
}

/// Given a record without an expiry, when swept, then it is kept.
async fn never_expire_survives_gc(cx: Cx) -> Outcome {
    let key = new_key()?;
    cx.a.put_for(&key, "for ever", Ttl::NEVER).await?;
    if cx.backend().clock().is_some() {
        cx.pass(Duration::from_secs(100 * 365 * 86_400)).await?;
    }
    let report = cx.b().await?.sweep_all().await?;
    ensure_eq!(report.deleted, 0, "records without an expiry were swept");
    ensure_eq!(cx.a.found(&key).await?.remaining, Ttl::NEVER, "an expiry nobody asked for");
    Ok(())
}

/// Given live and expired records, when swept, then exactly the expired ones are gone.
async fn gc_removes_only_expired(cx: Cx) -> Outcome {
    const EACH: usize = 100;
    let (live, endless) = (new_keys(EACH)?, new_key()?);
    cx.a.put_for(&endless, "for ever", Ttl::NEVER).await?;
    let dead = expired(&cx, EACH).await?;
    for_each(&cx, &live, |client, key| async move {
        client.put(&key, "alive").await?;
        Ok(())
    })
    .await?;
    let report = cx.a.sweep_all().await?;
    if cx.has().sweeping == Sweeping::Needed {
        ensure_eq!(report.deleted, EACH, "the count of removed records");
    }
    for key in live.iter().chain([&endless]) {
        cx.b().await?.found(key).await?;
    }
    for key in &dead {
        ensure_eq!(cx.b().await?.get(key).await?, None, "a swept record");
    }
    ensure_eq!(cx.a.sweep_all().await?.deleted, 0, "the second sweep found expired records");
    Ok(())
}

/// Given a record that expires under a lock, when swept again and again, then it is counted once
/// at most, and the holder still holds.
async fn gc_of_an_expired_record_leaves_its_lock(cx: Cx) -> Outcome {
    let (key, ttl) = (new_key()?, cx.brief());
    cx.a.put_for(&key, "short lived", ttl).await?;
    cx.a.lock_for(&key, HOUR * 10, Duration::ZERO).await?;
    cx.expire(&key, ttl).await?;
    let deleted = cx.a.sweep_all().await?.deleted + cx.b().await?.sweep_all().await?.deleted;
    ensure!(deleted <= 1, "one record was counted {deleted} times");
    ensure!(cx.b().await?.is_locked(&key).await?, "a sweep freed somebody's lock");
    Ok(())
}

/// Given a sweep that has seen an expired record, when its key gets a new record before the sweep
/// removes the old one, then the new one survives.
async fn gc_spares_session_refreshed_after_scan(cx: Cx) -> Outcome {
    let (effort, mut rounds) = (Effort::times(1, 3), 0);
    while effort.goes_on(rounds) {
        rounds += 1;
        let keys = expired(&cx, 40).await?;
        let done = Arc::new(AtomicBool::new(false));
        race(&cx, 2, (keys.clone(), done), |n, client, (keys, done)| async move {
            if n == 0 {
                let refreshed = refresh(&client, &keys).await;
                done.store(true, Ordering::SeqCst);
                return refreshed;
            }
            while !done.load(Ordering::SeqCst) {
                client.sweep_in_steps(SweepBudget::new(7, Duration::from_secs(1))).await?;
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            Ok(())
        })
        .await?;
        for key in &keys {
            let survived = cx.a.get(key).await?.is_some();
            ensure!(survived, "a sweep removed a session that was new when it got to it");
            cx.a.discard(key).await?;
        }
    }
    Ok(())
}

async fn refresh(client: &Client, keys: &[Key]) -> Outcome {
    for key in keys {
        tokio::time::sleep(Duration::from_millis(1)).await;
        client.put(key, "a new life").await?;
    }
    Ok(())
}

/// Given more expired records than a step may look at, when the sweep is stopped on the way and
/// taken up on another server, then it finishes, and no step exceeds its budget.
async fn gc_is_bounded_and_resumable(cx: Cx) -> Outcome {
    const COUNT: usize = 60;
    const STEP: usize = 7;
    expired(&cx, COUNT).await?;
    let servers = [cx.a.clone(), cx.b().await?];
    let mut cursor: Option<Cursor> = None;
    let mut deleted = 0;
    for client in servers.iter().cycle().take(COUNT * 10) {
        let budget = SweepBudget::new(STEP, Duration::from_secs(1));
        let report = client.sweep(cursor.as_ref(), budget).await?;
        ensure!(report.scanned <= STEP, "{} records in a step of {STEP}", report.scanned);
        deleted += report.deleted;
        // As it would be written down for another process.
        let written = report.next.map(|next| next.as_bytes().to_vec());
        let Some(bytes) = written else {
            ensure_eq!(deleted, COUNT, "the count of removed records");
            return Ok(());
        };
        cursor = Some(Cursor::new(bytes));
    }
    Err(Failure::new(format_args!("a sweep of {COUNT} records does not end")))
}

/// Given no time for a step, when swept, then each step does something all the same, and the sweep
/// ends.
async fn gc_without_time_gets_on(cx: Cx) -> Outcome {
    expired(&cx, 10).await?;
    let report = cx.a.sweep_in_steps(SweepBudget::new(5, Duration::ZERO)).await?;
    ensure_eq!(report.deleted, 10, "the count of removed records");
    Ok(())
}

/// Given two sweepers at the same time, when done, then there was no error, all is gone, and
/// nothing was counted twice.
async fn two_gc_workers_no_error(cx: Cx) -> Outcome {
    const COUNT: usize = 100;
    expired(&cx, COUNT).await?;
    let reports = race(&cx, 2, (), |_, client, ()| async move {
        client.sweep_in_steps(SweepBudget::new(10, Duration::from_secs(1))).await
    });
    let deleted: usize = reports.await?.iter().map(|report| report.deleted).sum();
    // What one worker had in hand while the other passed by may be left for the next time.
    let rest = cx.a.sweep_all().await?.deleted;
    ensure_eq!(deleted + rest, COUNT, "the count of removed records");
    ensure_eq!(cx.a.sweep_all().await?.deleted, 0, "another sweep found expired records");
    Ok(())
}

/// Given records that expire while a sweep is on its way, when it has ended, then the oldest ones
/// are gone.
async fn gc_oldest_first_no_starvation(cx: Cx) -> Outcome {
    expired(&cx, 40).await?;
    cx.pass(HOUR * 10).await?;
    let budget = SweepBudget::new(10, Duration::from_secs(1));
    let mut cursor = None;
    for step in 0.. {
        ensure!(step < 400, "a sweep does not end while records expire");
        let report = cx.a.sweep(cursor.as_ref(), budget).await?;
        cursor = report.next;
        if cursor.is_none() {
            break;
        }
        expired(&cx, 5).await?;
    }
    let lag = cx.a.sweep_all().await?.oldest_lag.unwrap_or_default();
    ensure!(lag < HOUR * 10, "a record expired {lag:?} ago was left behind by a whole sweep");
    Ok(())
}

/// Given expired and live records, when swept, then the report counts them and says how late it
/// is.
async fn gc_reports_counts_and_lag(cx: Cx) -> Outcome {
    expired(&cx, 5).await?;
    cx.a.put_for(&new_key()?, "alive", HOUR * 24).await?;
    let lag = if cx.backend().clock().is_some() { HOUR * 2 } else { Duration::from_millis(50) };
    cx.pass(lag).await?;
    let report = cx.a.sweep_all().await?;
    ensure_eq!(report.deleted, 5, "the count of removed records");
    ensure!(report.scanned >= report.deleted, "scanned {} of them", report.scanned);
    ensure_eq!(report.skipped, 0, "the count of skipped records");
    let oldest = report.oldest_lag.ok_or_else(|| Failure::new("no lag was reported"))?;
    // A store that keeps deadlines to the second sees the end a little later.
    let least = lag.saturating_sub(cx.has().expiry_precision);
    ensure!(oldest >= least, "a lag of {oldest:?} where {lag:?} had passed");
    ensure!(oldest <= lag + HOUR, "a lag of {oldest:?} where {lag:?} had passed");
    Ok(())
}

/// Given expired sessions with locks, index entries and the like, when swept, then nothing of them
/// is left.
async fn gc_removes_side_records(cx: Cx) -> Outcome {
    let raw = cx.backend().raw();
    let before = match raw {
        Some(raw) => raw.dump(cx.namespace()).await?.len(),
        None => 0,
    };
    let (key, ttl) = (new_key()?, cx.brief());
    let principal = cx.has().meta.is_yes().then(crate::context::new_principal).transpose()?;
    let meta = session_core::Meta::new().with_principal(principal, 0);
    cx.a.put_write(&key, session_core::Write::new("x", ttl).with_meta(meta)).await?;
    if cx.has().locking.is_yes() {
        // On a slow machine the record may have expired by now.
        cx.a.request(&key, ttl, Duration::ZERO).await?;
        // A lock of nothing, left by a holder who died.
        cx.a.request(&new_key()?, ttl, Duration::ZERO).await?;
    }
    cx.pass(ttl + cx.has().takeover_time).await?;
    cx.expire(&key, ttl).await?;
    cx.a.sweep_all().await?;
    ensure_eq!(cx.a.sweep_all().await?.scanned, 0, "records left after a whole sweep");
    if let Some(raw) = raw {
        let after = raw.dump(cx.namespace()).await?.len();
        ensure_eq!(after, before, "stored items after everything has expired and was swept");
    } else {
        cx.note("the fixture cannot reach the stored bytes: shown by what a sweep still finds");
    }
    Ok(())
}
