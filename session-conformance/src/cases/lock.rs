//! Exclusion and waiting: L01 to L06, L25, L26, L37, L38, L40.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use session_core::{ErrorKind, Expected, OpToken, Then, Under, Write};
use tokio::{sync::mpsc, task::JoinSet};

use super::cases;
use crate::{
    client::{Client, HOUR, LONG},
    context::{Cx, new_key, new_keys},
    outcome::{Failure, Outcome, PATIENCE, ensure, ensure_eq, refused, soon, within},
    together::{Effort, Interval, begun, ensure_disjoint, finish, race},
};

cases! {
    "L01" exclusive_lock_excludes [Locking];
    "L02" counter_is_exact_under_lock [Locking];
    "L03" different_sessions_do_not_block [Locking, LocksApart];
    "L03" new_sessions_do_not_block [Locking, HeldAbsent];
    "L04" wait_returns_within_one_step_of_release [Locking];
    "L05" wait_deadline_is_honoured [Locking];
    "L06" try_lock_never_waits [Locking];
    "L25" waiters_are_bounded [Locking, FewWaiters];
    "L26" fifo_within_tolerance [Locking, Fifo];
    "L26" no_waiter_starves [Locking];
    "L37" two_takers_of_stale_lock_one_wins [Locking];
    "L38" takeover_judged_on_current_holder [Locking];
    "L40" lock_on_missing_session_is_held [Locking, HeldAbsent];
    "L40" lock_on_missing_session_is_not_held [Locking, NotHeldAbsent];
}

/// Given 8 clients on two servers that take the lock again and again, then the recorded intervals
/// of holding it never overlap.
async fn exclusive_lock_excludes(cx: Cx) -> Outcome {
    let (key, effort) = (new_key()?, Effort::times(5, 100));
    cx.a.put(&key, "x").await?;
    let inside = Arc::new(AtomicUsize::new(0));
    let held = race(&cx, 8, (key, inside), move |holder, client, (key, inside)| async move {
        let mut intervals = Vec::new();
        while effort.goes_on(intervals.len()) {
            let held = client.lock_for(&key, LONG, LONG).await?;
            let from = Instant::now();
            let others = inside.fetch_add(1, Ordering::SeqCst);
            ensure_eq!(others, 0, "others hold the lock at the same time");
            tokio::time::sleep(Duration::from_micros(200)).await;
            inside.fetch_sub(1, Ordering::SeqCst);
            intervals.push(Interval { holder, from, to: Instant::now() });
            client.release(&key, &held.lease).await?;
        }
        Ok(intervals)
    });
    let intervals: Vec<_> = held.await?.into_iter().flatten().collect();
    cx.note(format!("{} holds by 8 clients", intervals.len()));
    ensure_disjoint(intervals)
}

/// Given 8 clients on two servers that count up under the lock, then no count is lost.
async fn counter_is_exact_under_lock(cx: Cx) -> Outcome {
    let (key, effort) = (new_key()?, Effort::times(5, 100));
    cx.a.put(&key, "0").await?;
    let counts = race(&cx, 8, key.clone(), move |_, client, key| async move {
        let mut done = 0;
        while effort.goes_on(done) {
            let held = client.lock_for(&key, LONG, LONG).await?;
            let revision = held.revision()?;
            let count = held.record.as_ref().map_or(Ok(0), count)?;
            // The handler's work, so that others have to wait on the fastest store.
            tokio::time::sleep(Duration::from_micros(200)).await;
            let expected = Expected::Lease { lease: &held.lease, revision, then: Then::Release };
            client.save_as(&key, (count + 1).to_string(), expected).await?;
            done += 1;
        }
        Ok(done)
    });
    let sum: usize = counts.await?.into_iter().sum();
    ensure_eq!(
        count(&cx.b().await?.found(&key).await?)?,
        sum,
        "the counter after {sum} increments"
    );
    cx.note(format!("{sum} increments by 8 clients"));
    Ok(())
}

/// The number that a record holds.
pub(super) fn count(record: &session_core::Record) -> Result<usize, Failure> {
    let text = std::str::from_utf8(&record.payload).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| Failure::new("the counter is no number"))
}

/// Given a lock that is held, when other sessions are used and locked, then nothing waits for it.
async fn different_sessions_do_not_block(cx: Cx) -> Outcome {
    let keys = new_keys(16)?;
    for key in &keys {
        cx.a.put(key, "x").await?;
    }
    let mut held = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        let client = if n % 2 == 0 { cx.a.clone() } else { cx.b().await? };
        held.push(soon("a lock beside others", client.lock_for(key, LONG, PATIENCE)).await??);
    }
    soon("work beside locks", work_on_another(&cx.b().await?)).await??;
    for (key, held) in keys.iter().zip(&held) {
        cx.a.release(key, &held.lease).await?;
    }
    Ok(())
}

async fn work_on_another(client: &Client) -> Outcome {
    let key = new_key()?;
    let revision = client.put(&key, "1").await?;
    client.found(&key).await?;
    client.update(&key, "2", revision).await?;
    client.discard(&key).await?;
    Ok(())
}

/// Given locks on keys without a record, when sessions are created under them and beside them,
/// then none waits for another.
async fn new_sessions_do_not_block(cx: Cx) -> Outcome {
    let servers = [cx.a.clone(), cx.b().await?];
    let mut held = Vec::new();
    for (key, client) in new_keys(16)?.into_iter().zip(servers.iter().cycle()) {
        let lock = client.lock_for(&key, LONG, PATIENCE);
        held.push((soon("a lock on a new key", lock).await??, client, key));
    }
    for (held, client, key) in &held {
        let under = Some(Under::new(&held.lease, Then::Release));
        let create = client.create(key, Write::new("new", HOUR), OpToken::generate()?, under);
        soon("a session created under its lock", create).await??;
        soon("work beside locks on new keys", work_on_another(client)).await??;
    }
    Ok(())
}

/// Given a waiter, when the lock is released, then he has it within the step that the store
/// declares.
async fn wait_returns_within_one_step_of_release(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    cx.a.put(&key, "x").await?;
    for _ in 0..3 {
        let held = cx.a.hold(&key).await?;
        let (waiter, wanted) = (b.clone(), key.clone());
        let mut waiting = JoinSet::new();
        let wait = async move { waiter.lock_for(&wanted, LONG, LONG).await };
        waiting.spawn(begun(wait).await?);
        // Time to settle down to the wait, wherever the store waits.
        tokio::time::sleep(Duration::from_millis(50)).await;
        cx.a.release(&key, &held.lease).await?;
        let bound = cx.has().wake_step + PATIENCE;
        let won = within(bound, "a waiter after the release", finish(waiting)).await??;
        for held in won {
            b.release(&key, &held.lease).await?;
        }
    }
    Ok(())
}

/// Given a lock that is held, when waited for with a limit, then the wait ends with `LockTimeout`
/// at the limit, and leaves nothing behind.
async fn wait_deadline_is_honoured(cx: Cx) -> Outcome {
    let (key, limit) = (new_key()?, Duration::from_millis(250));
    cx.a.put(&key, "x").await?;
    let held = cx.a.hold(&key).await?;
    for client in [cx.a.clone(), cx.b().await?] {
        let started = Instant::now();
        let bound = limit + cx.has().wake_step + PATIENCE;
        let request = within(bound, "a wait of 250 ms", client.request(&key, LONG, limit)).await?;
        let waited = started.elapsed();
        refused(request, ErrorKind::LockTimeout, "a wait for a lock that stays held")?;
        ensure!(waited + Duration::from_millis(2) >= limit, "gave up after {waited:?}");
    }
    cx.a.release(&key, &held.lease).await?;
    cx.b().await?.hold(&key).await?;
    Ok(())
}

/// Given a lock that is held, when tried without waiting, then that is `LockTimeout` at once.
async fn try_lock_never_waits(cx: Cx) -> Outcome {
    let key = new_key()?;
    cx.a.put(&key, "x").await?;
    let held = cx.a.hold(&key).await?;
    for client in [cx.a.clone(), cx.b().await?] {
        let attempt = soon("a lock without waiting", client.request(&key, LONG, Duration::ZERO));
        let error = refused(attempt.await?, ErrorKind::LockTimeout, "a try of a held lock")?;
        let after = error.retry_after().unwrap_or_default();
        ensure!(after <= LONG, "a retry is advised after {after:?}, past the end of the lease");
    }
    cx.a.release(&key, &held.lease).await?;
    cx.b().await?.hold(&key).await?;
    Ok(())
}

/// Given as many waiters as the store takes, when one more comes, then it is refused with
/// `TooManyWaiters` at once, and the others get the lock.
async fn waiters_are_bounded(cx: Cx) -> Outcome {
    const MORE: usize = 5;
    let (key, limit) = (new_key()?, cx.has().max_waiters);
    cx.a.put(&key, "x").await?;
    let held = cx.a.hold(&key).await?;
    let (refuse, mut refusals) = mpsc::unbounded_channel();
    let mut waiting = JoinSet::new();
    for _ in 0..limit + MORE {
        let (client, key, refuse) = (cx.a.clone(), key.clone(), refuse.clone());
        waiting.spawn(async move {
            match client.request(&key, LONG, LONG).await {
                Ok(locked) => {
                    if let Some(lease) = locked.lease {
                        client.release(&key, &lease).await?;
                    }
                    Ok(1)
                }
                lost => {
                    refused(lost, ErrorKind::TooManyWaiters, "one waiter too many")?;
                    refuse.send(()).ok();
                    Ok(0)
                }
            }
        });
    }
    for n in 0..MORE {
        let what = format!("refusal {} of {MORE} beyond {limit} waiters", n + 1);
        soon(&what, refusals.recv()).await?;
    }
    cx.a.release(&key, &held.lease).await?;
    let won: usize = finish(waiting).await?.into_iter().sum();
    ensure_eq!(won, limit, "the number of waiters that got the lock in the end");
    Ok(())
}

/// Given waiters of one process, when the lock is released, then they get it in the order they
/// came.
async fn fifo_within_tolerance(cx: Cx) -> Outcome {
    let key = new_key()?;
    cx.a.put(&key, "x").await?;
    let held = cx.a.hold(&key).await?;
    let (won, mut winners) = mpsc::unbounded_channel();
    let mut waiting = JoinSet::new();
    for n in 0..10 {
        let (client, key, won) = (cx.a.clone(), key.clone(), won.clone());
        let wait = begun(async move {
            let held = client.lock_for(&key, LONG, LONG).await?;
            won.send(n).ok();
            client.release(&key, &held.lease).await?;
            Ok(())
        });
        waiting.spawn(wait.await?);
    }
    cx.a.release(&key, &held.lease).await?;
    finish(waiting).await?;
    drop(won);
    let mut order = Vec::new();
    while let Some(n) = winners.recv().await {
        order.push(n);
    }
    ensure_eq!(order, (0..10).collect::<Vec<_>>(), "the order of the waiters");
    Ok(())
}

/// Given waiters on two servers, when each gives the lock back at once, then every one of them
/// gets it.
async fn no_waiter_starves(cx: Cx) -> Outcome {
    let key = new_key()?;
    cx.a.put(&key, "x").await?;
    let held = cx.a.hold(&key).await?;
    let (first, lease) = (cx.a.clone(), held.lease);
    race(&cx, 10, (key, first, lease), |n, client, (key, first, lease)| async move {
        if n == 0 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            return Ok(first.release(&key, &lease).await?);
        }
        let held = client.lock_for(&key, LONG, PATIENCE).await?;
        Ok(client.release(&key, &held.lease).await?)
    })
    .await?;
    Ok(())
}

/// Given a dead holder and 8 waiters on two servers, when the lease lapses, then exactly one of
/// them gets the lock.
async fn two_takers_of_stale_lock_one_wins(cx: Cx) -> Outcome {
    for round in 0..3 {
        let (key, lease) = (new_key()?, cx.brief());
        cx.a.put(&key, "x").await?;
        cx.a.lock_for(&key, lease, Duration::ZERO).await?;
        cx.lapse(lease).await?;
        let (won, mut winners) = mpsc::unbounded_channel();
        let servers = [cx.a.clone(), cx.b().await?];
        let mut takers = JoinSet::new();
        for client in servers.into_iter().cycle().take(8) {
            let (key, won) = (key.clone(), won.clone());
            takers.spawn(async move {
                let held = client.lock_for(&key, LONG, LONG).await;
                won.send(held.map(|held| (client, held))).ok();
            });
        }
        let bound = cx.has().wake_step + PATIENCE;
        let first = within(bound, "a taker of a lapsed lease", winners.recv()).await?;
        let Some((client, held)) = first.transpose()? else {
            return Err(Failure::new("no taker of a lapsed lease is left"));
        };
        // Time for a second one to show; there must be none, however long it is.
        let second = tokio::time::timeout(Duration::from_millis(100), winners.recv()).await;
        match second {
            Ok(Some(Err(error))) => return Err(error),
            second => ensure!(second.is_err(), "two takers of one lapsed lease in round {round}"),
        }
        takers.shutdown().await;
        client.release(&key, &held.lease).await?;
    }
    Ok(())
}

/// Given two waiters, when the holder of a short lease gives way to one of them, then the other
/// respects the lease of the new holder in full.
async fn takeover_judged_on_current_holder(cx: Cx) -> Outcome {
    // Short, but not so short that a slow machine lets it lapse before the waiters have begun.
    let (key, short) = (new_key()?, Duration::from_secs(2));
    cx.a.put(&key, "x").await?;
    let servers = [cx.a.clone(), cx.b().await?];
    let held = cx.a.lock_for(&key, short, Duration::ZERO).await?;
    let granted = Instant::now();
    let (won, mut winners) = mpsc::unbounded_channel();
    let mut waiting = JoinSet::new();
    for client in servers {
        let (key, won) = (key.clone(), won.clone());
        let wait = async move {
            let held = client.lock_for(&key, LONG, LONG).await;
            won.send(held.map(|held| (client, held))).ok();
        };
        waiting.spawn(begun(wait).await?);
    }
    // Time to settle down to the wait, wherever the store waits.
    tokio::time::sleep(Duration::from_millis(30)).await;
    cx.a.release(&key, &held.lease).await?;
    let bound = cx.has().wake_step + cx.has().takeover_time + PATIENCE;
    let first = within(bound, "a waiter after the release", winners.recv()).await?;
    // Past the end of the lease that the other one saw when it began to wait.
    let past = (short + cx.has().takeover_time).saturating_sub(granted.elapsed());
    let second = tokio::time::timeout(past + Duration::from_millis(300), winners.recv()).await;
    ensure!(second.is_err(), "a waiter judged the lock by the lease of a former holder");
    let Some(first) = first else { return Err(Failure::new("no waiter got the lock")) };
    let (client, held) = first?;
    client.release(&key, &held.lease).await?;
    let second = within(bound, "the other waiter", winners.recv()).await?;
    second.ok_or_else(|| Failure::new("the other waiter ended without the lock"))??;
    Ok(())
}

/// Given no record, when locked on a store that holds absent keys, then the key is held by what
/// is no record, becomes one by `create` under the lease, and leaves nothing otherwise.
async fn lock_on_missing_session_is_held(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    let held = cx.a.hold(&key).await?;
    ensure_eq!(held.record, None, "a lock on nothing brought a record");
    ensure_eq!(b.get(&key).await?, None, "a lock on nothing left a record");
    if let Some(enumeration) = b.enumeration() {
        ensure_eq!(enumeration.keys(None, 10).await?.keys, [], "a lock is enumerated");
    }
    ensure!(b.is_locked(&key).await?, "the lock on an absent key does not exclude");
    refused(b.put(&key, "theirs").await, ErrorKind::LockHeld, "create beside a holder")?;
    let under = |then| Some(Under::new(&held.lease, then));
    let write = Write::new("ours", HOUR);
    cx.a.create(&key, write.clone(), OpToken::generate()?, under(Then::Keep)).await?;
    ensure!(b.is_locked(&key).await?, "the lock ended although it was to be kept");
    cx.a.discard(&key).await?;
    let again = cx.a.create(&key, write.clone(), OpToken::generate()?, under(Then::Keep)).await;
    refused(again, ErrorKind::LockLost, "create under a lease that was broken")?;

    let (released, lapsed) = (new_key()?, new_key()?);
    let held = cx.a.hold(&released).await?;
    let under = Some(Under::new(&held.lease, Then::Release));
    cx.a.create(&released, write, OpToken::generate()?, under).await?;
    ensure!(!b.is_locked(&released).await?, "the lock outlives the create that released it");

    let lease = cx.brief();
    cx.a.lock_for(&lapsed, lease, Duration::ZERO).await?;
    cx.lapse(lease).await?;
    b.put(&lapsed, "after the lease").await?;
    Ok(())
}

/// Given no record, when locked on a store that does not hold absent keys, then there is no lease,
/// no record, and nothing left.
async fn lock_on_missing_session_is_not_held(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    for client in [&cx.a, &b] {
        let locked = client.request(&key, LONG, Duration::ZERO).await?;
        ensure_eq!(locked.lease, None, "a lease on nothing");
        ensure_eq!(locked.record, None, "a lock on nothing brought a record");
    }
    ensure_eq!(b.get(&key).await?, None, "a lock on nothing left a record");
    b.put(&key, "the first").await?;
    Ok(())
}
