//! The life of a lease: L09 to L12, L20, L21, L39.

use std::time::{Duration, Instant};

use session_core::{ErrorKind, Expected, Key, LockRequest, OpToken, Then};
use tokio::task::JoinSet;

use super::cases;
use crate::{
    Skew,
    client::{Client, Held, LONG},
    context::{Cx, new_key},
    outcome::{Failure, Outcome, PATIENCE, ensure, ensure_eq, refused, within},
    together::{begun, finish},
};

cases! {
    "L09" holder_crash_frees_after_lease [Locking];
    "L09" lease_cut_short_frees_sooner [Locking];
    "L10" release_by_non_owner_refused [Locking];
    "L11" release_is_idempotent_on_retry [Locking];
    "L12" acquire_retry_after_lost_reply [Locking];
    "L20" lease_is_renewed_while_working [Locking];
    "L20" renewal_after_lapse_holds_if_nobody_came [Locking];
    "L21" renewal_stops_after_release [Locking];
    "L39" skewed_client_clock_cannot_steal [Locking, SkewedClocks];
}

/// Given a holder that dies, when another waits, then it gets the lock after the lease, and soon
/// after it.
async fn holder_crash_frees_after_lease(cx: Cx) -> Outcome {
    let (key, lease) = (new_key()?, Duration::from_secs(1));
    cx.a.put(&key, "x").await?;
    let started = Instant::now();
    cx.open().await?.lock_for(&key, lease, Duration::ZERO).await?;
    let b = cx.b().await?;
    let bound = lease + cx.has().takeover_time + cx.has().wake_step + PATIENCE;
    let waiter = b.lock_for(&key, LONG, LONG);
    let held = within(bound, "a waiter behind a dead holder", waiter).await??;
    let waited = started.elapsed();
    ensure!(waited + Duration::from_millis(2) >= lease, "a lease of {lease:?} broke at {waited:?}");
    let expected =
        Expected::Lease { lease: &held.lease, revision: held.revision()?, then: Then::Release };
    b.save_as(&key, "after the crash", expected).await?;
    Ok(())
}

/// Given a waiter behind a long lease, when the holder renews it for a short time only, then the
/// waiter gets the lock after that.
async fn lease_cut_short_frees_sooner(cx: Cx) -> Outcome {
    let (key, short) = (new_key()?, Duration::from_millis(300));
    cx.a.put(&key, "x").await?;
    let b = cx.b().await?;
    let held = cx.a.hold(&key).await?;
    let mut waiting = JoinSet::new();
    let wanted = key.clone();
    waiting.spawn(begun(async move { b.lock_for(&wanted, LONG, LONG).await }).await?);
    tokio::time::sleep(Duration::from_millis(30)).await;
    cx.a.renew(&key, &held.lease, short).await?;
    let bound = short + cx.has().takeover_time + cx.has().wake_step + PATIENCE;
    within(bound, "a waiter behind a lease that was cut short", finish(waiting)).await??;
    Ok(())
}

/// A holder whose lease lapsed, and the one who took the lock after it.
pub(super) async fn stale_and_successor(cx: &Cx, key: &Key) -> Result<(Held, Held), Failure> {
    let lease = cx.brief();
    let stale = cx.a.lock_for(key, lease, Duration::ZERO).await?;
    cx.lapse(lease).await?;
    let successor = cx.b().await?.lock_for(key, LONG, PATIENCE).await?;
    Ok((stale, successor))
}

/// Given a lease that lapsed and was taken by another, when the first holder releases, then the
/// other still holds.
async fn release_by_non_owner_refused(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    cx.a.put(&key, "x").await?;
    let (stale, successor) = stale_and_successor(&cx, &key).await?;
    for client in [&cx.a, &b] {
        client.release(&key, &stale.lease).await?;
        ensure!(cx.a.is_locked(&key).await?, "a release freed somebody else's lock");
    }
    let revision = successor.revision()?;
    let expected = Expected::Lease { lease: &successor.lease, revision, then: Then::Release };
    b.save_as(&key, "the successor's", expected).await?;
    Ok(())
}

/// Given a release whose reply was lost, when it is sent again, then that is success, and the lock
/// of a successor is untouched.
async fn release_is_idempotent_on_retry(cx: Cx) -> Outcome {
    let key = new_key()?;
    cx.a.put(&key, "x").await?;
    let first = cx.a.hold(&key).await?;
    cx.a.release(&key, &first.lease).await?;
    cx.a.release(&key, &first.lease).await?;
    ensure!(!cx.a.is_locked(&key).await?, "the lock is held after its release");
    let successor = cx.b().await?.hold(&key).await?;
    cx.a.release(&key, &first.lease).await?;
    ensure!(cx.a.is_locked(&key).await?, "a repeated release freed the successor's lock");
    cx.b().await?.release(&key, &successor.lease).await?;
    ensure!(!cx.a.is_locked(&key).await?, "the lock is held after its release");
    Ok(())
}

/// Given a lock request whose reply was lost, when it is sent again with its token, then it is
/// granted once and does not wait for itself.
async fn acquire_retry_after_lost_reply(cx: Cx) -> Outcome {
    let key = new_key()?;
    cx.a.put(&key, "x").await?;
    let request = LockRequest::new(OpToken::generate()?, LONG, Duration::ZERO);
    let first = cx.a.lock(&key, request).await?;
    let second = cx.a.lock(&key, request).await?;
    ensure_eq!(second.lease, first.lease, "a repeated request got another lease");
    let payloads = [first.record, second.record].map(|record| record.map(|record| record.payload));
    ensure!(payloads[0] == payloads[1], "a repeated request got another record");
    let b = cx.b().await?;
    ensure!(b.is_locked(&key).await?, "a repeated request does not hold the lock");
    let lease = second.lease.ok_or_else(|| Failure::new("the lock came without a lease"))?;
    cx.a.release(&key, &lease).await?;
    ensure!(!b.is_locked(&key).await?, "a repeated request holds the lock twice");
    Ok(())
}

/// Given a lease that is renewed, when it would have lapsed long ago, then nobody else has got the
/// lock, and the holder commits.
async fn lease_is_renewed_while_working(cx: Cx) -> Outcome {
    let key = new_key()?;
    cx.a.put(&key, "x").await?;
    let held = match cx.backend().clock() {
        Some(_) => renew_by_the_clock(&cx, &key).await?,
        None => renew_in_real_time(&cx, &key).await?,
    };
    let expected =
        Expected::Lease { lease: &held.lease, revision: held.revision()?, then: Then::Release };
    cx.a.save_as(&key, "the work", expected).await?;
    Ok(())
}

async fn renew_by_the_clock(cx: &Cx, key: &Key) -> Result<Held, Failure> {
    let (lease, b) = (LONG, cx.b().await?);
    let held = cx.a.lock_for(key, lease, Duration::ZERO).await?;
    for _ in 0..4 {
        cx.pass(lease / 2).await?;
        cx.a.renew(key, &held.lease, lease).await?;
        ensure!(b.is_locked(key).await?, "a lease that is renewed was taken");
    }
    Ok(held)
}

async fn renew_in_real_time(cx: &Cx, key: &Key) -> Result<Held, Failure> {
    let (lease, b) = (Duration::from_secs(2), cx.b().await?);
    for _ in 0..3 {
        let mut renewed = Instant::now();
        let mut slowest = Duration::ZERO;
        let held = cx.a.lock_for(key, lease, PATIENCE).await?;
        let mut taken = false;
        for _ in 0..12 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let renewal = cx.a.renew(key, &held.lease, lease).await;
            slowest = slowest.max(renewed.elapsed());
            renewed = Instant::now();
            taken = taken || renewal.is_err() || !b.is_locked(key).await?;
            slowest = slowest.max(renewed.elapsed());
        }
        if !taken {
            return Ok(held);
        }
        // On a machine that stood still, the lease lapsed by right: once more.
        ensure!(slowest >= lease, "a lease was taken that was renewed after {slowest:?} at most");
    }
    Err(Failure::new("this machine is too slow to renew a lease of two seconds"))
}

/// Given a lease that lapsed, when it is renewed before anybody came, then it holds again.
async fn renewal_after_lapse_holds_if_nobody_came(cx: Cx) -> Outcome {
    let (key, lease) = (new_key()?, cx.brief());
    cx.a.put(&key, "x").await?;
    let held = cx.a.lock_for(&key, lease, Duration::ZERO).await?;
    cx.lapse(lease).await?;
    cx.a.renew(&key, &held.lease, LONG).await?;
    ensure!(cx.b().await?.is_locked(&key).await?, "a renewed lease does not exclude");
    cx.a.release(&key, &held.lease).await?;
    ensure!(!cx.b().await?.is_locked(&key).await?, "the lock is held after its release");
    Ok(())
}

/// Given a lock that was released or taken over, when renewed, then that is `LockLost`, and the
/// renewal takes nothing.
async fn renewal_stops_after_release(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    cx.a.put(&key, "x").await?;
    let held = cx.a.hold(&key).await?;
    cx.a.release(&key, &held.lease).await?;
    let renewal = cx.a.renew(&key, &held.lease, LONG).await;
    refused(renewal, ErrorKind::LockLost, "a renewal after the release")?;
    ensure!(!b.is_locked(&key).await?, "a renewal after the release took the lock");
    let (stale, successor) = stale_and_successor(&cx, &key).await?;
    let renewal = cx.a.renew(&key, &stale.lease, LONG).await;
    refused(renewal, ErrorKind::LockLost, "a renewal after the takeover")?;
    b.renew(&key, &successor.lease, LONG).await?;
    b.release(&key, &successor.lease).await?;
    Ok(())
}

/// Given a server whose clock is ahead (by what the store allows, or by ten minutes if it says
/// that clocks do not matter), when it wants a live lock, then it does not get it.
async fn skewed_client_clock_cannot_steal(cx: Cx) -> Outcome {
    let (Some(skewed), key) = (cx.backend().skewed(), new_key()?) else { return Ok(()) };
    let declared = cx.has().clock_skew;
    let off = if declared.is_zero() { Duration::from_secs(600) } else { declared };
    cx.a.put(&key, "x").await?;
    let lease = declared * 2 + LONG;
    let held = cx.a.lock_for(&key, lease, Duration::ZERO).await?;
    for skew in [Skew::Ahead(off), Skew::Behind(off)] {
        let b = Client::new(skewed.open_skewed(cx.namespace(), skew).await?);
        ensure!(b.is_locked(&key).await?, "a server {skew:?} does not see a live lease");
    }
    let expected =
        Expected::Lease { lease: &held.lease, revision: held.revision()?, then: Then::Release };
    cx.a.save_as(&key, "the holder's", expected).await?;
    Ok(())
}
