//! What can be wrong with `sweep`.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    Cursor, Error, ErrorKind, Expected, Key, OpToken, Operation, ReadOptions, Result, Revision,
    SweepBudget, SweepReport, Ttl, Under, Write,
};

use super::{
    Memory, broken,
    mischief::{Inner, Mischief, on_sweep},
};

broken! {
    SweepsTheLiving: "E18_gc_removes_only_expired";
    SweepsTheEndless: "E17_never_expire_survives_gc";
    SweepsWithoutASecondLook: "E19_gc_spares_session_refreshed_after_scan";
    SweepIgnoresTheBudget: "E20_gc_is_bounded_and_resumable";
    SweepForgetsTheRest: "E20_gc_is_bounded_and_resumable", "E23_gc_oldest_first_no_starvation";
    SweepStartsAnew: "E20_gc_is_bounded_and_resumable";
    SweepsCollide: "E21_two_gc_workers_no_error";
    SweepCountsTwice: "E21_two_gc_workers_no_error", "E24_gc_reports_counts_and_lag",
        "E18_gc_of_an_expired_record_leaves_its_lock";
    SweepNeedsTime: "E20_gc_without_time_gets_on";
    SweepReportsNothing: "E24_gc_reports_counts_and_lag";
    SweepDoesNothing: "E18_gc_removes_only_expired", "E25_gc_removes_side_records";
}

async fn drop_all(inner: &Inner, keys: Vec<Key>) -> Result<()> {
    for key in keys {
        inner.delete(&key, Expected::Any, OpToken::generate()?).await?;
    }
    Ok(())
}

/// Removes whatever it comes across.
#[derive(Debug, Default)]
struct SweepsTheLiving;

on_sweep!(SweepsTheLiving, |_, inner, cursor, budget| {
    drop_all(inner, super::mischief::enumeration(inner)?.keys(None, 10).await?.keys).await?;
    inner.sweep(cursor, budget).await
});

/// Takes no deadline for a deadline at zero.
#[derive(Debug, Default)]
struct SweepsTheEndless;

on_sweep!(SweepsTheEndless, |_, inner, cursor, budget| {
    for key in super::mischief::enumeration(inner)?.keys(None, 1_000).await?.keys {
        let record = inner.load(&key, ReadOptions::latest()).await?;
        if record.is_some_and(|record| record.remaining == Ttl::NEVER) {
            drop_all(inner, vec![key]).await?;
        }
    }
    inner.sweep(cursor, budget).await
});

/// Lists what has expired, and then removes what it has listed.
#[derive(Debug, Default)]
struct SweepsWithoutASecondLook(Memory<()>);

#[async_trait]
impl Mischief for SweepsWithoutASecondLook {
    async fn create(
        &self,
        inner: &Inner,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        self.0.put(key, ());
        inner.create(key, write, op, under).await
    }

    async fn sweep(
        &self,
        inner: &Inner,
        cursor: Option<&Cursor>,
        budget: SweepBudget,
    ) -> Result<SweepReport> {
        let mut expired = Vec::new();
        for key in self.0.keys() {
            if inner.load(&key, ReadOptions::latest()).await?.is_none() {
                expired.push(key);
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop_all(inner, expired).await?;
        inner.sweep(cursor, budget).await
    }
}

/// Does all of it in one step.
#[derive(Debug, Default)]
struct SweepIgnoresTheBudget;

on_sweep!(SweepIgnoresTheBudget, |_, inner, cursor, _| {
    inner.sweep(cursor, SweepBudget::new(usize::MAX, Duration::from_secs(3_600))).await
});

/// Ends after the first step.
#[derive(Debug, Default)]
struct SweepForgetsTheRest;

on_sweep!(SweepForgetsTheRest, |_, inner, _, mut budget| {
    budget.max_scanned = budget.max_scanned.min(10);
    let mut report = inner.sweep(None, budget).await?;
    report.next = None;
    Ok(report)
});

/// Goes on at the beginning, and never ends.
#[derive(Debug, Default)]
struct SweepStartsAnew;

on_sweep!(SweepStartsAnew, |_, inner, _, budget| {
    let mut report = inner.sweep(None, budget).await?;
    report.next = Some(Cursor::new(vec![0; 32]));
    Ok(report)
});

/// Lets one sweeper in and shows the others an error.
#[derive(Debug, Default)]
struct SweepsCollide(AtomicBool);

on_sweep!(SweepsCollide, |this, inner, cursor, budget| {
    if this.0.swap(true, Ordering::SeqCst) {
        return Err(Error::new(ErrorKind::Backend, "broken", Operation::Sweep));
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    let report = inner.sweep(cursor, budget).await;
    this.0.store(false, Ordering::SeqCst);
    report
});

/// Counts what it has tried, not what it has removed.
#[derive(Debug, Default)]
struct SweepCountsTwice;

on_sweep!(SweepCountsTwice, |_, inner, cursor, budget| {
    let mut report = inner.sweep(cursor, budget).await?;
    report.deleted *= 2;
    Ok(report)
});

/// Looks at the clock before it does anything.
#[derive(Debug, Default)]
struct SweepNeedsTime;

on_sweep!(SweepNeedsTime, |_, inner, cursor, budget| {
    if budget.max_time.is_zero() {
        let mut report = SweepReport::default();
        report.next = Some(cursor.cloned().unwrap_or_else(|| Cursor::new(vec![0; 32])));
        return Ok(report);
    }
    inner.sweep(cursor, budget).await
});

/// Keeps what it did to itself.
#[derive(Debug, Default)]
struct SweepReportsNothing;

on_sweep!(SweepReportsNothing, |_, inner, cursor, budget| {
    let mut silent = SweepReport::default();
    silent.next = inner.sweep(cursor, budget).await?.next;
    Ok(silent)
});

/// Leaves it to somebody else.
#[derive(Debug, Default)]
struct SweepDoesNothing;

on_sweep!(SweepDoesNothing, |_, inner, _, _| {
    let left = super::mischief::enumeration(inner)?.keys(None, 1).await?.keys.len();
    let mut report = SweepReport::default();
    report.scanned = left + 1;
    Ok(report)
});
