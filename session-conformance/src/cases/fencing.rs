//! Conditional commits: L13 to L15, L17 to L19.

use bytes::Bytes;
use session_core::{ErrorKind, Expected, Fencing, LeaseCheck, RevisionKind, Then};

use super::{cases, lease::stale_and_successor, lock::count};
use crate::{
    client::Held,
    context::{Cx, new_key},
    outcome::{Failure, Outcome, ensure, ensure_eq, refused, refused_as},
    together::{Effort, only_winner, race},
};

cases! {
    "L13" stale_holder_commit_rejected [Locking, Fencing];
    "L13" stale_holder_commit_rejected_after_unlocked_commit [Locking, Fencing];
    "L14" stale_holder_commit_rejected_even_if_b_only_acquired [Locking, TokenFencing];
    "L15" stale_commit_after_delete_and_recreate [Locking, BreakableLocks, Fencing];
    "L15" stale_revision_after_delete_and_recreate;
    "L17" commit_without_lock_checks_version;
    "L18" conflict_carries_current_version;
    "L19" retries_converge;
}

/// The kinds by which the store may refuse a commit under a lost lease: `LockLost`, and `Conflict`
/// where it notices by the content or the revision.
fn lost(cx: &Cx) -> &'static [ErrorKind] {
    let has = cx.has();
    match (has.fencing, has.lease_check) {
        (Fencing::Token, LeaseCheck::Atomic) => &[ErrorKind::LockLost],
        _ => &[ErrorKind::LockLost, ErrorKind::Conflict],
    }
}

fn commit(held: &Held, then: Then) -> Result<Expected<'_>, Failure> {
    Ok(Expected::Lease { lease: &held.lease, revision: held.revision()?, then })
}

/// Given a holder who pauses past its lease while another takes the lock and commits, when the
/// first commits, then that is refused and the other's data stands.
async fn stale_holder_commit_rejected(cx: Cx) -> Outcome {
    for then in [Then::Keep, Then::Release] {
        let (key, b) = (new_key()?, cx.b().await?);
        cx.a.put(&key, "original").await?;
        let (stale, successor) = stale_and_successor(&cx, &key).await?;
        b.save_as(&key, "the successor's", commit(&successor, then)?).await?;
        let late = cx.a.save_as(&key, "late", commit(&stale, Then::Release)?).await;
        refused_as(late, lost(&cx), format_args!("a commit by a stale holder, {then:?}"))?;
        let payload = b.found(&key).await?.payload;
        ensure_eq!(payload, Bytes::from("the successor's"), "the successor's data");
        if then == Then::Keep {
            ensure!(cx.a.is_locked(&key).await?, "a refused commit freed the successor's lock");
            b.release(&key, &successor.lease).await?;
        }
    }
    Ok(())
}

/// Given a holder who pauses past its lease while another commits without a lock, when the first
/// commits, then that is refused and the other's data stands.
async fn stale_holder_commit_rejected_after_unlocked_commit(cx: Cx) -> Outcome {
    let (key, lease) = (new_key()?, cx.brief());
    let revision = cx.a.put(&key, "original").await?;
    let stale = cx.a.lock_for(&key, lease, std::time::Duration::ZERO).await?;
    cx.lapse(lease).await?;
    cx.b().await?.update(&key, "the other's", revision).await?;
    let late = cx.a.save_as(&key, "late", commit(&stale, Then::Release)?).await;
    refused_as(late, lost(&cx), "a commit by a stale holder")?;
    let payload = cx.b().await?.found(&key).await?.payload;
    ensure_eq!(payload, Bytes::from("the other's"), "the other's data");
    Ok(())
}

/// Given a holder who pauses past its lease while another takes the lock and has not written yet,
/// when the first commits, then that is refused.
async fn stale_holder_commit_rejected_even_if_b_only_acquired(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    cx.a.put(&key, "original").await?;
    let (stale, successor) = stale_and_successor(&cx, &key).await?;
    let late = cx.a.save_as(&key, "late", commit(&stale, Then::Release)?).await;
    refused_as(late, lost(&cx), "a commit by a stale holder")?;
    ensure_eq!(b.found(&key).await?.payload, Bytes::from("original"), "the data");
    b.save_as(&key, "the successor's", commit(&successor, Then::Release)?).await?;
    let late = cx.a.save_as(&key, "late", commit(&stale, Then::Release)?).await;
    refused_as(late, lost(&cx), "a commit by a stale holder after the lock was given back")?;
    Ok(())
}

/// Given a session that was deleted and created again under its id, when a holder of the former
/// one commits, then that is refused.
async fn stale_commit_after_delete_and_recreate(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    cx.a.put(&key, "the first life").await?;
    let held = cx.a.hold(&key).await?;
    b.discard(&key).await?;
    b.put(&key, "the second life").await?;
    let late = cx.a.save_as(&key, "late", commit(&held, Then::Release)?).await;
    refused_as(late, lost(&cx), "a commit to a former life")?;
    ensure_eq!(b.found(&key).await?.payload, Bytes::from("the second life"), "the data");
    Ok(())
}

/// Given a session that was deleted and created again with as many commits, when somebody saves
/// who has read the former one, then that is a conflict.
async fn stale_revision_after_delete_and_recreate(cx: Cx) -> Outcome {
    let (key, b) = (new_key()?, cx.b().await?);
    let counts = cx.has().revision == RevisionKind::Incarnation;
    let old = cx.a.put(&key, "the same").await?;
    b.discard(&key).await?;
    // Where a revision is a digest of the bytes, equal bytes are one revision, as declared.
    b.put(&key, if counts { "the same" } else { "not the same" }).await?;
    refused(cx.a.update(&key, "late", old).await, ErrorKind::Conflict, "save to a former life")?;
    let delete = Expected::Revision(old);
    let delete = cx.a.delete(&key, delete, session_core::OpToken::generate()?).await;
    refused(delete, ErrorKind::Conflict, "delete of a former life")?;
    if counts && cx.has().touch.is_yes() {
        let touch = cx.a.prolong(&key, crate::client::HOUR, old).await;
        refused(touch, ErrorKind::Conflict, "touch of a former life")?;
    }
    b.found(&key).await?;
    Ok(())
}

/// Given 16 writers on two servers who have read one revision, when released together, then one
/// succeeds, the others conflict, and the data is the winner's.
async fn commit_without_lock_checks_version(cx: Cx) -> Outcome {
    let key = new_key()?;
    let mut revision = cx.a.put(&key, "original").await?;
    for round in 0..5 {
        let outcomes = race(&cx, 16, key.clone(), move |n, client, key| async move {
            Ok(client.update(&key, format!("writer {n} of round {round}"), revision).await)
        })
        .await?;
        let what = format!("writers of one revision, round {round}");
        let (winner, committed) = only_winner(outcomes, ErrorKind::Conflict, what)?;
        let record = cx.b().await?.found(&key).await?;
        let wanted = format!("writer {winner} of round {round}");
        ensure_eq!(record.payload, wanted, "the data is not the winner's");
        ensure_eq!(record.revision, committed, "the revision is not the winner's");
        revision = committed;
    }
    Ok(())
}

/// Given a conflict, when the error carries the record that won, then it is the present one, and
/// a save on top of it succeeds.
async fn conflict_carries_current_version(cx: Cx) -> Outcome {
    let key = new_key()?;
    let old = cx.a.put(&key, "old").await?;
    cx.b().await?.update(&key, "new", old).await?;
    let late = cx.a.update(&key, "late", old).await;
    let mut error = refused(late, ErrorKind::Conflict, "a stale save")?;
    let Some(current) = error.take_current() else {
        cx.note("the store does not have the winning record at no cost");
        return Ok(());
    };
    let record = cx.a.found(&key).await?;
    ensure_eq!(current.payload, record.payload, "the payload that came with the conflict");
    ensure_eq!(current.revision, record.revision, "the revision that came with the conflict");
    cx.a.update(&key, "merged", current.revision).await?;
    Ok(())
}

/// Given 16 writers on two servers that read, count up and save, and begin anew on a conflict,
/// then no count is lost.
async fn retries_converge(cx: Cx) -> Outcome {
    let (key, effort) = (new_key()?, Effort::times(2, 20));
    cx.a.put(&key, "0").await?;
    let counts = race(&cx, 16, key.clone(), move |_, client, key| async move {
        let mut done = 0;
        while effort.goes_on(done) {
            let record = client.found(&key).await?;
            let next = (count(&record)? + 1).to_string();
            // The handler's work, so that others come in between on the fastest store.
            tokio::task::yield_now().await;
            match client.update(&key, next, record.revision).await {
                Ok(_) => done += 1,
                lost => drop(refused(lost, ErrorKind::Conflict, "a save that lost the race")?),
            }
        }
        Ok(done)
    });
    let sum: usize = counts.await?.into_iter().sum();
    ensure_eq!(count(&cx.b().await?.found(&key).await?)?, sum, "the counter after {sum} saves");
    cx.note(format!("{sum} increments by 16 clients"));
    Ok(())
}
