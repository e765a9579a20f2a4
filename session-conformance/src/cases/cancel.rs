//! Dropped futures: L07, L08.

use std::{pin::pin, task::Poll, time::Duration};

use super::cases;
use crate::{
    client::{Client, LONG},
    context::{Cx, new_key, new_keys},
    outcome::{Outcome, PATIENCE, ensure, within},
};

cases! {
    "L07" cancelled_waiter_leaves_no_trace [Locking];
    "L08" cancelled_acquirer_after_grant_releases [Locking];
}

/// How long the leases of cancelled requests last, should one be granted after all.
const LEASE: Duration = Duration::from_millis(300);

/// Drops a future at its `polls`th await point, or after a while if it does not come to it.
/// Returns whether the future was done before.
async fn dropped_at<F: Future + Send>(polls: usize, future: F) -> bool {
    let mut future = pin!(future);
    let mut left = polls;
    let some_polls = std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    });
    tokio::time::timeout(Duration::from_millis(15), some_polls).await.unwrap_or(false)
}

async fn drop_waiters(client: &Client, key: &session_core::Key, count: usize) -> Outcome {
    for n in 0..count {
        let granted = dropped_at(1 + n % 8, client.request(key, LEASE, LONG)).await;
        ensure!(!granted, "a waiter got a lock that is held");
    }
    Ok(())
}

/// Given a waiter that is dropped at any await point, then no lock and no place in the queue
/// remains.
async fn cancelled_waiter_leaves_no_trace(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    cx.a.put(&key, "x").await?;
    let held = cx.a.hold(&key).await?;
    for client in [&cx.a, &b] {
        drop_waiters(client, &key, 16).await?;
    }
    if cx.has().max_waiters <= 512 {
        // Were one place lost with each of these, the queue would be full.
        for _ in 0..=cx.has().max_waiters {
            dropped_at(1, cx.a.request(&key, LEASE, LONG)).await;
        }
    }
    // Time for what was not dropped with its future to show.
    tokio::time::sleep(Duration::from_millis(50)).await;
    ensure!(cx.a.is_locked(&key).await?, "dropping waiters freed the holder's lock");
    cx.a.release(&key, &held.lease).await?;
    let bound = LEASE + cx.has().takeover_time + cx.has().wake_step + PATIENCE;
    for client in [&cx.a, &b] {
        let next = client.lock_for(&key, LONG, bound);
        let held = within(bound * 2, "the lock after waiters were dropped", next).await??;
        client.release(&key, &held.lease).await?;
    }
    Ok(())
}

/// Given a request for a free lock that is dropped at any await point, then the lock is free again
/// within one lease.
async fn cancelled_acquirer_after_grant_releases(cx: Cx) -> Outcome {
    let (keys, b) = (new_keys(12)?, cx.b().await?);
    for (n, key) in keys.iter().enumerate() {
        cx.a.put(key, "x").await?;
        dropped_at(1 + n, cx.a.request(key, LEASE, LONG)).await;
    }
    let bound = LEASE + cx.has().takeover_time + cx.has().wake_step + PATIENCE;
    for key in &keys {
        let next = b.lock_for(key, LONG, bound);
        let held = within(bound * 2, "the lock after its taker was dropped", next).await??;
        b.release(key, &held.lease).await?;
    }
    Ok(())
}
