//! What can be wrong with `lock`, `renew` and `release`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    Error, ErrorKind, Key, KeyDigest, Lease, LockRequest, Locked, OpToken, Operation, ReadOptions,
    Result, Write,
};
use tokio::time::Instant;

use super::{
    Memory, broken,
    mischief::{Inner, Mischief, on_lock, on_renew},
};

broken! {
    GrantsToEverybody: "L01_exclusive_lock_excludes", "L06_try_lock_never_waits",
        "L05_wait_deadline_is_honoured", "L37_two_takers_of_stale_lock_one_wins",
        "L20_lease_is_renewed_while_working", "C16_longest_legal_id_works_everywhere",
        "H14_dropped_commit_is_whole_and_leaves_no_lock",
        "L08_dropped_lock_of_a_session_is_free_again", "X08_rotate_under_lock_keeps_lock";
    ReadsBeforeTheGrant: "L02_counter_is_exact_under_lock";
    OneLockForAll: "L03_different_sessions_do_not_block", "L03_new_sessions_do_not_block";
    ReleasesAnybody: "L10_release_by_non_owner_refused", "L11_release_is_idempotent_on_retry";
    ReleaseDoesNothing: "L11_release_is_idempotent_on_retry", "L26_no_waiter_starves",
        "L33_lock_released_when_a_value_cannot_be_written", "L35_panic_in_handler_releases",
        "L40_lock_of_an_unknown_id_leaves_nothing";
    ReleaseFailsOnRetry: "L11_release_is_idempotent_on_retry";
    WaitsForEver: "L05_wait_deadline_is_honoured";
    GivesUpAtOnce: "L05_wait_deadline_is_honoured", "L04_wait_returns_within_one_step_of_release",
        "L07_dropped_waiter_of_a_session_leaves_no_trace";
    TryWaits: "L06_try_lock_never_waits";
    PollsOnceAMinute: "L04_wait_returns_within_one_step_of_release";
    SleepsThroughTheLease: "L04_wait_returns_within_one_step_of_release",
        "L09_lease_cut_short_frees_sooner", "D13_waiters_learn_of_a_broken_lease";
    OverflowsOnLongWaits: "D19_any_duration_may_be_asked_for";
    TakesAnyNumberOfWaiters: "L25_waiters_are_bounded";
    LastComesFirst: "L26_fifo_within_tolerance";
    LapsedIsNeverTaken: "L09_holder_crash_frees_after_lease",
        "L08_cancelled_acquirer_after_grant_releases";
    LeasesAreOver: "L06_try_lock_never_waits", "L09_holder_crash_frees_after_lease";
    JudgesByTheFormerLease: "L38_takeover_judged_on_current_holder";
    DroppedWaitersStay: "L07_cancelled_waiter_leaves_no_trace";
    RetryIsAnotherRequest: "L12_acquire_retry_after_lost_reply",
        "Z05_handle_locks_once_when_the_reply_is_lost";
    LockCreates: "L40_lock_on_missing_session_is_held";
    LockLeavesASideRecord: "E25_gc_removes_side_records", "Z23_soak_leaves_nothing";
    RenewDoesNothing: "L20_lease_is_renewed_while_working",
        "L20_renewal_after_lapse_holds_if_nobody_came",
        "L20_lease_is_renewed_while_a_handler_works", "L21_renewal_moves_with_the_id",
        "L23_renewal_survives_failover_blip";
    RenewTakes: "L21_renewal_stops_after_release",
        "D12_lapsed_lease_is_broken_by_an_unlocked_commit", "L22_broken_lease_notifies_holder";
}

const HOUR: Duration = Duration::from_secs(3_600);

fn lease_of(request: LockRequest) -> Option<Lease> {
    Some(Lease::new(request.op, request.lease))
}

/// Refuses nobody.
#[derive(Debug, Default)]
struct GrantsToEverybody;

on_lock!(GrantsToEverybody, |_, inner, key, request| {
    let attempt = LockRequest::new(request.op, request.lease, Duration::ZERO);
    match inner.lock(key, attempt).await {
        Err(error) if error.kind() == ErrorKind::LockTimeout => {
            let record = inner.load(key, ReadOptions::latest()).await?;
            Ok(Locked::new(lease_of(request), record))
        }
        outcome => outcome,
    }
});

/// Reads first, then waits for the lock.
#[derive(Debug, Default)]
struct ReadsBeforeTheGrant;

on_lock!(ReadsBeforeTheGrant, |_, inner, key, request| {
    let record = inner.load(key, ReadOptions::latest()).await?;
    let locked = inner.lock(key, request).await?;
    Ok(Locked::new(locked.lease, record))
});

/// Locks the whole store.
#[derive(Debug, Default)]
struct OneLockForAll;

#[async_trait]
impl Mischief for OneLockForAll {
    async fn lock(&self, inner: &Inner, key: &Key, request: LockRequest) -> Result<Locked> {
        let store = Key::from_digest(KeyDigest::from_bytes([1; 32]));
        inner.lock(&store, request).await?;
        inner.lock(key, request).await
    }
}

/// Gives back whatever lock is there.
#[derive(Debug, Default)]
struct ReleasesAnybody(Memory<Lease>);

#[async_trait]
impl Mischief for ReleasesAnybody {
    async fn lock(&self, inner: &Inner, key: &Key, request: LockRequest) -> Result<Locked> {
        let locked = inner.lock(key, request).await?;
        if let Some(lease) = &locked.lease {
            self.0.put(key, lease.clone());
        }
        Ok(locked)
    }

    async fn release(&self, inner: &Inner, key: &Key, lease: &Lease) -> Result<()> {
        let latest = self.0.get(key);
        inner.release(key, latest.as_ref().unwrap_or(lease)).await
    }
}

/// Leaves it to the lease.
#[derive(Debug, Default)]
struct ReleaseDoesNothing;

#[async_trait]
impl Mischief for ReleaseDoesNothing {
    async fn release(&self, _: &Inner, _: &Key, _: &Lease) -> Result<()> {
        Ok(())
    }
}

/// Reports a lock that is gone already as an error.
#[derive(Debug, Default)]
struct ReleaseFailsOnRetry;

#[async_trait]
impl Mischief for ReleaseFailsOnRetry {
    async fn release(&self, inner: &Inner, key: &Key, lease: &Lease) -> Result<()> {
        inner.renew(key, lease, lease.duration()).await?;
        inner.release(key, lease).await
    }
}

/// Asks for the lock in another way than the caller.
macro_rules! rewrites_requests {
    ($mischief:ident, $rewrite:expr) => {
        on_lock!($mischief, |_, inner, key, mut request| {
            const REWRITE: fn(&mut LockRequest) = $rewrite;
            let asked = request;
            REWRITE(&mut request);
            let locked = inner.lock(key, request).await?;
            Ok(Locked::new(lease_of(asked), locked.record))
        });
    };
}

/// Has no limit for the wait.
#[derive(Debug, Default)]
struct WaitsForEver;

rewrites_requests!(WaitsForEver, |request| request.wait = HOUR);

/// Does not wait.
#[derive(Debug, Default)]
struct GivesUpAtOnce;

rewrites_requests!(GivesUpAtOnce, |request| request.wait = Duration::ZERO);

/// Waits also when asked not to.
#[derive(Debug, Default)]
struct TryWaits;

rewrites_requests!(TryWaits, |request| {
    if request.wait.is_zero() {
        request.wait = HOUR;
    }
});

/// Holds for ever.
#[derive(Debug, Default)]
struct LapsedIsNeverTaken;

rewrites_requests!(LapsedIsNeverTaken, |request| request.lease = HOUR * 1_000);

/// Cuts leases to less than a moment.
#[derive(Debug, Default)]
struct LeasesAreOver;

rewrites_requests!(LeasesAreOver, |request| request.lease = Duration::ZERO);

/// Asks again and again, with a pause that depends on how many have come before.
async fn poll(inner: &Inner, key: &Key, request: LockRequest, pause: Duration) -> Result<Locked> {
    let deadline = session_core::instant_after(request.wait);
    loop {
        let attempt = LockRequest::new(request.op, request.lease, Duration::ZERO);
        match inner.lock(key, attempt).await {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                tokio::time::sleep(pause).await;
            }
            outcome => return outcome,
        }
    }
}

fn is_busy(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::LockTimeout | ErrorKind::TooManyWaiters)
}

/// Looks for the release far too seldom.
#[derive(Debug, Default)]
struct PollsOnceAMinute;

on_lock!(PollsOnceAMinute, |_, inner, key, request| {
    poll(inner, key, request, Duration::from_secs(60)).await
});

/// Tries again when the lease is over that it saw.
#[derive(Debug, Default)]
struct SleepsThroughTheLease;

on_lock!(SleepsThroughTheLease, |_, inner, key, request| {
    let attempt = LockRequest::new(request.op, request.lease, Duration::ZERO);
    let held = match inner.lock(key, attempt).await {
        Err(error) if is_busy(&error) => error.retry_after().unwrap_or_default(),
        outcome => return outcome,
    };
    poll(inner, key, request, held.min(request.wait)).await
});

/// Computes a deadline that no clock can tell.
#[derive(Debug, Default)]
struct OverflowsOnLongWaits;

on_lock!(OverflowsOnLongWaits, |_, inner, key, request| {
    let deadline = Instant::now().checked_add(request.wait);
    deadline.ok_or_else(|| failed(Operation::Lock))?;
    inner.lock(key, request).await
});

/// Has no queue.
#[derive(Debug, Default)]
struct TakesAnyNumberOfWaiters;

on_lock!(TakesAnyNumberOfWaiters, |_, inner, key, request| {
    poll(inner, key, request, Duration::from_millis(20)).await
});

/// Lets those who came last ask most often.
#[derive(Debug, Default)]
struct LastComesFirst(AtomicU64);

on_lock!(LastComesFirst, |this, inner, key, request| {
    let before = this.0.fetch_add(1, Ordering::SeqCst);
    let pause = Duration::from_millis(200_u64.saturating_sub(before * 15).max(5));
    poll(inner, key, request, pause).await
});

/// Remembers the end of the lease that it saw first, and takes the lock then.
#[derive(Debug, Default)]
struct JudgesByTheFormerLease;

on_lock!(JudgesByTheFormerLease, |_, inner, key, request| {
    let attempt = LockRequest::new(request.op, request.lease, Duration::ZERO);
    let Err(error) = inner.lock(key, attempt).await else {
        return inner.lock(key, attempt).await;
    };
    let lapse = error.retry_after().unwrap_or_default().min(request.wait);
    let until_then = LockRequest::new(request.op, request.lease, lapse);
    match inner.lock(key, until_then).await {
        Err(error) if error.kind() == ErrorKind::LockTimeout && lapse < request.wait => {
            let record = inner.load(key, ReadOptions::latest()).await?;
            Ok(Locked::new(lease_of(request), record))
        }
        outcome => outcome,
    }
});

/// Waits in a task of its own, which does not end with the caller.
#[derive(Debug, Default)]
struct DroppedWaitersStay;

on_lock!(DroppedWaitersStay, |_, inner, key, request| {
    let (inner, key) = (Arc::clone(inner), key.clone());
    let task = tokio::spawn(async move { inner.lock(&key, request).await });
    task.await.unwrap_or_else(|_| Err(failed(Operation::Lock)))
});

fn failed(operation: Operation) -> Error {
    Error::new(ErrorKind::Backend, "broken", operation)
}

/// Does not know a request that is sent again.
#[derive(Debug, Default)]
struct RetryIsAnotherRequest;

on_lock!(RetryIsAnotherRequest, |_, inner, key, mut request| {
    request.op = OpToken::generate()?;
    inner.lock(key, request).await
});

/// Makes a record to hang the lock on.
#[derive(Debug, Default)]
struct LockCreates;

on_lock!(LockCreates, |_, inner, key, request| {
    let create = inner.create(key, Write::new("", HOUR), OpToken::generate()?, None).await;
    create.map(drop).or_else(|error| match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::LockHeld => Ok(()),
        _ => Err(error),
    })?;
    inner.lock(key, request).await
});

/// Writes down who has locked what, for ever.
#[derive(Debug, Default)]
struct LockLeavesASideRecord;

on_lock!(LockLeavesASideRecord, |_, inner, key, request| {
    let beside = Key::from_digest(KeyDigest::from_bytes({
        let mut bytes = *key.digest().as_bytes();
        bytes.reverse();
        bytes
    }));
    let note = Write::new("locked", session_core::Ttl::NEVER);
    inner.create(&beside, note, request.op, None).await.ok();
    inner.lock(key, request).await
});

/// Says that it renews.
#[derive(Debug, Default)]
struct RenewDoesNothing;

on_renew!(RenewDoesNothing, |_, _, _, _, _| Ok(()));

/// Renews by taking the lock, if it is free.
#[derive(Debug, Default)]
struct RenewTakes;

on_renew!(RenewTakes, |_, inner, key, lease, duration| {
    let request = LockRequest::new(lease.token(), duration, Duration::ZERO);
    match inner.lock(key, request).await {
        Err(_) => inner.renew(key, lease, duration).await,
        Ok(_) => Ok(()),
    }
});
