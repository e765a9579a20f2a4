//! Rules of the contract that have no number in the catalogue: D11 to D18, D22, D23.

use std::time::Duration;

use bytes::Bytes;
use session_core::{ErrorKind, Expected, Lease, Lineage, OpToken, RevisionKind, Then, Write};
use tokio::task::JoinSet;

use super::cases;
use crate::{
    client::{HOUR, LONG},
    context::{Cx, new_key},
    outcome::{Outcome, PATIENCE, ensure, ensure_eq, refused, within},
    together::{begun, finish},
};

cases! {
    "D11" live_lease_refuses_unlocked_writers [Locking];
    "D12" lapsed_lease_is_broken_by_an_unlocked_commit [Locking];
    "D13" save_and_delete_of_anything_win_over_a_lease [Locking, BreakableLocks];
    "D13" waiters_learn_of_a_broken_lease [Locking, BreakableLocks];
    "D14" restarted_lineage_refuses_what_is_in_flight [Incarnations];
    "D15" commit_keeps_or_releases_as_asked [Locking];
    "D16" lapsed_lease_commits_if_nobody_came [Locking];
    "D17" delete_checks_the_revision;
    "D18" incarnation_is_compared_alone;
    "D18" incarnation_wins_over_a_lease [Locking, BreakableLocks];
    "D22" writers_of_anything_wait_for_the_holder [LocksForAllWriters];
    "D22" writers_of_other_records_wait_for_the_holder [LocksOfTheStore];
    "D23" payload_of_no_bytes_leaves_no_record [NoEmptyPayloads];
}

/// Given a live lease, when somebody else saves or deletes at the right revision, then that is
/// `LockHeld`, and the holder's commit does not conflict.
async fn live_lease_refuses_unlocked_writers(cx: Cx) -> Outcome {
    let key = new_key()?;
    let revision = cx.a.put(&key, "x").await?;
    let held = cx.a.hold(&key).await?;
    for client in [cx.a.clone(), cx.b().await?] {
        let save = client.update(&key, "theirs", revision).await;
        let error = refused(save, ErrorKind::LockHeld, "a save beside a holder")?;
        let after = error.retry_after().unwrap_or_default();
        ensure!(after <= LONG, "a retry is advised after {after:?}, past the end of the lease");
        let expected = Expected::Revision(revision);
        let delete = client.delete(&key, expected, OpToken::generate()?).await;
        refused(delete, ErrorKind::LockHeld, "a delete beside a holder")?;
    }
    let lease = Lease::new(OpToken::generate()?, LONG);
    let forged = Expected::Lease { lease: &lease, revision, then: Then::Release };
    let save = cx.a.save_as(&key, "forged", forged).await;
    refused(save, ErrorKind::LockLost, "a save under a lease that was never granted")?;
    let expected = Expected::Lease { lease: &held.lease, revision, then: Then::Release };
    cx.a.save_as(&key, "the holder's", expected).await?;
    Ok(())
}

/// Given a lease that lapsed, when somebody saves at the right revision, then that succeeds, and
/// the lease is broken.
async fn lapsed_lease_is_broken_by_an_unlocked_commit(cx: Cx) -> Outcome {
    let (key, lease) = (new_key()?, cx.brief());
    let revision = cx.a.put(&key, "x").await?;
    let held = cx.a.lock_for(&key, lease, Duration::ZERO).await?;
    cx.lapse(lease).await?;
    cx.b().await?.update(&key, "theirs", revision).await?;
    let renewal = cx.a.renew(&key, &held.lease, LONG).await;
    refused(renewal, ErrorKind::LockLost, "a renewal of a broken lease")?;
    Ok(())
}

/// Given a live lease, when a tool saves or a log-out deletes whatever is there, then that
/// succeeds and breaks the lease.
async fn save_and_delete_of_anything_win_over_a_lease(cx: Cx) -> Outcome {
    for deletes in [false, true] {
        let (key, b) = (new_key()?, cx.b().await?);
        cx.a.put(&key, "x").await?;
        let held = cx.a.hold(&key).await?;
        if deletes {
            b.discard(&key).await?;
        } else {
            b.save_as(&key, "the tool's", Expected::Any).await?;
        }
        let renewal = cx.a.renew(&key, &held.lease, LONG).await;
        refused(renewal, ErrorKind::LockLost, format_args!("a renewal, deleted: {deletes}"))?;
        ensure!(!b.is_locked(&key).await?, "a broken lease excludes, deleted: {deletes}");
    }
    Ok(())
}

/// Given a waiter behind a long lease, when a log-out breaks it, then the waiter is served.
async fn waiters_learn_of_a_broken_lease(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    cx.a.put(&key, "x").await?;
    cx.a.hold(&key).await?;
    let mut waiting = JoinSet::new();
    let (waiter, wanted) = (b.clone(), key.clone());
    let wait = async move { Ok(waiter.request(&wanted, LONG, LONG).await?) };
    waiting.spawn(begun(wait).await?);
    tokio::time::sleep(Duration::from_millis(30)).await;
    b.discard(&key).await?;
    let bound = cx.has().wake_step + PATIENCE;
    within(bound, "a waiter behind a lease that was broken", finish(waiting)).await??;
    Ok(())
}

/// Given a session id that is retired, when its record starts a new lineage, then saves and touches
/// of the former one are conflicts.
async fn restarted_lineage_refuses_what_is_in_flight(cx: Cx) -> Outcome {
    let key = new_key()?;
    let old = cx.a.put(&key, "the session").await?;
    let alias = Write::new("the alias", HOUR).with_lineage(Lineage::Restart);
    let new = cx.a.save_write(&key, alias, Expected::Revision(old)).await?;
    ensure!(new.incarnation() != old.incarnation(), "a new lineage has the old incarnation");
    let b = cx.b().await?;
    refused(b.update(&key, "late", old).await, ErrorKind::Conflict, "a save in flight")?;
    if cx.has().touch.is_yes() {
        let touch = b.prolong(&key, HOUR * 5, old).await;
        refused(touch, ErrorKind::Conflict, "a touch in flight")?;
        b.prolong(&key, HOUR * 2, new).await?;
    }
    let record = b.found(&key).await?;
    ensure_eq!(record.payload, Bytes::from("the alias"), "the data of the new lineage");
    ensure_eq!(record.revision, new, "the revision of the new lineage");
    Ok(())
}

/// Given a commit under a lease, when it says keep, then the lease goes on with the new revision;
/// when it says release, then the lock is free.
async fn commit_keeps_or_releases_as_asked(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    cx.a.put(&key, "0").await?;
    let held = cx.a.hold(&key).await?;
    let lease = &held.lease;
    let keep = Expected::Lease { lease, revision: held.revision()?, then: Then::Keep };
    let revision = cx.a.save_as(&key, "1", keep).await?;
    ensure!(b.is_locked(&key).await?, "a commit released a lock that it was to keep");
    let again = cx.a.save_as(&key, "2", keep).await;
    refused(again, ErrorKind::Conflict, "a commit under the lease at an old revision")?;
    let release = Expected::Lease { lease, revision, then: Then::Release };
    cx.a.save_as(&key, "2", release).await?;
    ensure!(!b.is_locked(&key).await?, "a commit kept a lock that it was to release");
    ensure_eq!(b.found(&key).await?.payload, Bytes::from("2"), "the data");
    Ok(())
}

/// Given a lease that lapsed, when its holder commits before anybody came, then that succeeds.
async fn lapsed_lease_commits_if_nobody_came(cx: Cx) -> Outcome {
    let (key, lease) = (new_key()?, cx.brief());
    cx.a.put(&key, "x").await?;
    let held = cx.a.lock_for(&key, lease, Duration::ZERO).await?;
    cx.lapse(lease).await?;
    let expected =
        Expected::Lease { lease: &held.lease, revision: held.revision()?, then: Then::Release };
    cx.a.save_as(&key, "slow, but alone", expected).await?;
    ensure!(!cx.b().await?.is_locked(&key).await?, "the lock is held after its release");
    Ok(())
}

/// Given a record that moved on, when deleted at its former revision, then that is a conflict and
/// the record stays.
async fn delete_checks_the_revision(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    let old = cx.a.put(&key, "old").await?;
    let new = b.update(&key, "new", old).await?;
    let delete = cx.a.delete(&key, Expected::Revision(old), OpToken::generate()?).await;
    refused(delete, ErrorKind::Conflict, "a stale delete")?;
    ensure_eq!(b.found(&key).await?.payload, Bytes::from("new"), "the data");
    cx.a.delete(&key, Expected::Revision(new), OpToken::generate()?).await?;
    ensure_eq!(b.get(&key).await?, None, "a deleted session");
    Ok(())
}

/// Given a record of another incarnation, when saved or deleted by the former one, then that is a
/// conflict; in any state of its own incarnation it succeeds.
async fn incarnation_is_compared_alone(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    let first = cx.a.put(&key, "the first life").await?;
    b.discard(&key).await?;
    let second = b.put(&key, "the second life").await?;
    if cx.has().revision == RevisionKind::Incarnation {
        let former = Expected::Incarnation(first.incarnation());
        let save = cx.a.save_as(&key, "late", former).await;
        refused(save, ErrorKind::Conflict, "a save to a former life")?;
        let delete = cx.a.delete(&key, former, OpToken::generate()?).await;
        refused(delete, ErrorKind::Conflict, "a log-out of a former life")?;
        ensure_eq!(b.found(&key).await?.payload, Bytes::from("the second life"), "the data");
    }
    b.update(&key, "and its next state", second).await?;
    let present = Expected::Incarnation(second.incarnation());
    cx.a.save_as(&key, "and one more", present).await?;
    cx.a.delete(&key, present, OpToken::generate()?).await?;
    ensure_eq!(b.get(&key).await?, None, "a session that was logged out");
    cx.a.delete(&key, present, OpToken::generate()?).await?;
    let late = cx.a.save_as(&key, "late", present).await;
    refused(late, ErrorKind::NotFound, "a save after the log-out")?;
    Ok(())
}

/// Given a live lease, when a log-out deletes the incarnation, then that succeeds and breaks the
/// lease.
async fn incarnation_wins_over_a_lease(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    let revision = cx.a.put(&key, "x").await?;
    let held = cx.a.hold(&key).await?;
    let expected = Expected::Incarnation(revision.incarnation());
    b.delete(&key, expected, OpToken::generate()?).await?;
    let renewal = cx.a.renew(&key, &held.lease, LONG).await;
    refused(renewal, ErrorKind::LockLost, "a renewal after the log-out")?;
    ensure!(!b.is_locked(&key).await?, "a broken lease excludes");
    Ok(())
}

/// Given a lock that keeps all writers out, when a log-out deletes whatever is there, then it waits for
/// the holder, whose commit succeeds, and is carried out after it.
async fn writers_of_anything_wait_for_the_holder(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    let revision = cx.a.put(&key, "x").await?;
    let held = cx.a.hold(&key).await?;
    let mut waiting = JoinSet::new();
    let (other, theirs) = (b.clone(), key.clone());
    waiting.spawn(begun(async move { Ok(other.discard(&theirs).await?) }).await?);
    tokio::time::sleep(Duration::from_millis(30)).await;
    let expected = Expected::Lease { lease: &held.lease, revision, then: Then::Release };
    cx.a.save_as(&key, "the holder's", expected).await?;
    within(PATIENCE, "a log-out after the holder's commit", finish(waiting)).await??;
    ensure_eq!(b.get(&key).await?, None, "the record after the log-out");
    Ok(())
}

/// Given a store that a lock keeps everybody out of, when another session is made while one is held,
/// then it is there after the holder's commit, and not before.
async fn writers_of_other_records_wait_for_the_holder(cx: Cx) -> Outcome {
    let (key, another, b) = (new_key()?, new_key()?, cx.b().await?);
    let revision = cx.a.put(&key, "x").await?;
    let held = cx.a.hold(&key).await?;
    let mut waiting = JoinSet::new();
    let (other, theirs) = (b.clone(), another.clone());
    waiting.spawn(
        begun(async move {
            other.put(&theirs, "y").await?;
            Ok(())
        })
        .await?,
    );
    tokio::time::sleep(Duration::from_millis(30)).await;
    ensure_eq!(b.get(&another).await?, None, "another session, made beside a lock");
    let expected = Expected::Lease { lease: &held.lease, revision, then: Then::Release };
    cx.a.save_as(&key, "the holder's", expected).await?;
    within(PATIENCE, "another session after the holder's commit", finish(waiting)).await??;
    b.found(&another).await?;
    Ok(())
}

/// Given a store in which a payload of no bytes is no record, when one is created or saved, then there
/// is no record.
async fn payload_of_no_bytes_leaves_no_record(cx: Cx) -> Outcome {
    let (fresh, stored, b) = (new_key()?, new_key()?, cx.b().await?);
    cx.a.put(&fresh, "").await?;
    ensure_eq!(b.get(&fresh).await?, None, "a record of no bytes");
    cx.a.put(&fresh, "x").await?;
    let revision = cx.a.put(&stored, "x").await?;
    refused(cx.a.put(&stored, "").await, ErrorKind::AlreadyExists, "create over a record")?;
    cx.a.update(&stored, "", revision).await?;
    ensure_eq!(b.get(&stored).await?, None, "a record that was emptied");
    refused(b.update(&stored, "y", revision).await, ErrorKind::NotFound, "a save after that")?;
    Ok(())
}
