//! Requests that are dropped at any await point: L07, L08, H11 to H16, which have no number in the
//! catalogue.

use std::time::Duration;

use session_core::{ErrorKind, Result, Session, SessionData, SessionId};

use super::cases;
use crate::{
    context::Cx,
    outcome::{Failure, Outcome, PATIENCE, ensure, ensure_eq, refused_as, soon, within},
    server::{Server, ensure_entry, ensure_no_session, new_id},
    wire::Fate,
};

cases! {
    "L07" dropped_waiter_of_a_session_leaves_no_trace [Locking];
    "L08" dropped_lock_of_a_session_is_free_again [Locking];
    "H11" dropped_save_is_whole_and_can_be_repeated;
    "H12" dropped_save_counts_once [Idempotency];
    "H13" dropped_update_is_whole_and_leaves_no_turn;
    "H14" dropped_commit_is_whole_and_leaves_no_lock [Locking];
    "H15" dropped_rotation_leaves_one_session [NativeLayout];
    "H16" dropped_log_out_can_be_repeated;
}

/// The lease of requests that are dropped.
const LEASE: Duration = Duration::from_millis(500);

/// How long it takes at most until the lock of a dropped request is free.
fn bound(cx: &Cx) -> Duration {
    LEASE + cx.has().takeover_time + cx.has().wake_step + PATIENCE
}

/// Does a step and drops it at its await point of number `point`: before a call arrives (0, 2, ..),
/// or after it arrived and before its reply (1, 3, ..). Returns what the step did if it has fewer
/// await points. Whatever the server sends afterwards arrives.
async fn dropped_at<T>(
    server: &Server,
    point: usize,
    step: impl Future<Output = T> + Send,
) -> Option<T> {
    let fate = if point.is_multiple_of(2) { Fate::Swallowed } else { Fate::Unanswered };
    server.wire.rule_of(point / 2, fate);
    let outcome = tokio::select! {
        biased;
        outcome = step => Some(outcome),
        () = server.wire.silence() => None,
    };
    server.wire.mend();
    outcome
}

/// A server of dropped requests, the other server, and a session in which `left` and `right` are
/// always saved together.
async fn setting(cx: &Cx) -> Result<(Server, Server, SessionId), Failure> {
    let a = Server::with(cx, &cx.a, |settings| settings.lock_lease(LEASE))?;
    let b = Server::new(cx, &cx.b().await?)?;
    let id = b.start().await?;
    b.open(&id).update(|data| both(data, 0)).await?;
    Ok((a, b, id))
}

fn both(data: &mut SessionData, n: u32) -> Result<()> {
    data.insert("left", n)?;
    data.insert("right", n)
}

/// Checks that the session is whole on another server, and that the servers can lock and update it.
/// Returns the number in it.
async fn ensure_whole(cx: &Cx, servers: [&Server; 2], id: &SessionId) -> Result<u32, Failure> {
    let [a, b] = servers;
    let session = b.open(id);
    let (left, right) = (session.get::<u32>("left").await?, session.get::<u32>("right").await?);
    ensure_eq!(left, right, "two entries that are saved together");
    ensure_entry(&session, "user", Some("ada".to_owned())).await?;
    if cx.has().locking.is_yes() {
        let (next, bound) = (b.open(id), bound(cx));
        let lock = within(bound * 2, "the lock after a dropped request", next.lock(bound));
        lock.await??.rollback().await?;
    }
    // Were a place in the line left, this would wait for the commit timeout.
    let next = a.open(id);
    let update = next.update(|data| data.insert("line", true));
    soon("an update after a dropped request", update).await??;
    left.ok_or_else(|| Failure::new("an entry is missing"))
}

/// Given a waiter for the lock that is dropped, then no lock and no place in a line is left.
async fn dropped_waiter_of_a_session_leaves_no_trace(cx: Cx) -> Outcome {
    let (a, b, id) = setting(&cx).await?;
    let held = b.open(&id).lock(Duration::ZERO).await?;
    for _ in 0..5 {
        let waiter = a.open(&id);
        let dropped = tokio::time::timeout(Duration::from_millis(10), waiter.lock(PATIENCE)).await;
        ensure!(dropped.is_err(), "a waiter got a lock that is held: {dropped:?}");
    }
    let taken = b.open(&id).lock(Duration::ZERO).await;
    refused_as(taken, &[ErrorKind::LockTimeout], "the lock of the holder")?;
    held.commit().await?;
    ensure_whole(&cx, [&a, &b], &id).await?;
    Ok(())
}

/// Given a request for the lock that is dropped at any await point, then the lock is free again
/// within its lease.
async fn dropped_lock_of_a_session_is_free_again(cx: Cx) -> Outcome {
    for point in 0.. {
        let (a, b, id) = setting(&cx).await?;
        let session = a.open(&id);
        let done = dropped_at(&a, point, session.lock(Duration::ZERO)).await;
        let ended = done.transpose()?.is_some();
        ensure_whole(&cx, [&a, &b], &id).await?;
        let mut again =
            within(bound(&cx), "the lock of the same handle", session.lock(PATIENCE)).await??;
        both(&mut again, 7)?;
        again.commit().await?;
        ensure_eq!(ensure_whole(&cx, [&a, &b], &id).await?, 7, "the number");
        if ended {
            return Ok(());
        }
    }
    Ok(())
}

/// Given a save that is dropped at any await point, with or without a conflict, then all of it is
/// saved or nothing, and it can be saved again.
async fn dropped_save_is_whole_and_can_be_repeated(cx: Cx) -> Outcome {
    for conflicts in [false, true] {
        for point in 0.. {
            let (a, b, id) = setting(&cx).await?;
            let session = a.open(&id);
            session.insert("left", 1).await?;
            session.insert("right", 1).await?;
            if conflicts {
                b.open(&id).update(|data| data.insert("theirs", 5)).await?;
            }
            let done = dropped_at(&a, point, session.save()).await;
            let n = ensure_whole(&cx, [&a, &b], &id).await?;
            ensure!(n == 1 || done.is_none(), "a save that was done saved {n}");
            session.save().await?;
            ensure_eq!(ensure_whole(&cx, [&a, &b], &id).await?, 1, "the number saved again");
            ensure_entry(&b.open(&id), "theirs", conflicts.then_some(5)).await?;
            if done.transpose()?.is_some() {
                ensure!(point >= 2, "a save took no call");
                break;
            }
        }
    }
    Ok(())
}

/// Given a save of a counter that is dropped at any await point and repeated, then it has counted
/// once.
async fn dropped_save_counts_once(cx: Cx) -> Outcome {
    for point in 0.. {
        let a = Server::with(&cx, &cx.a, |settings| {
            settings.merge_rule("hits", session_core::MergeRule::Counter)
        })?;
        let id = a.start().await?;
        a.open(&id).update(|data| data.insert("hits", 10)).await?;
        let session = a.open(&id);
        session.insert("hits", 11).await?;
        let done = dropped_at(&a, point, session.save()).await;
        session.save().await?;
        ensure_entry(&a.open(&id), "hits", Some(11)).await?;
        if done.transpose()?.is_some() {
            return Ok(());
        }
    }
    Ok(())
}

/// Given an update that is dropped at any await point, then it is applied once or not, and the line
/// of this server's committers goes on.
async fn dropped_update_is_whole_and_leaves_no_turn(cx: Cx) -> Outcome {
    for point in 0.. {
        let (a, b, id) = setting(&cx).await?;
        let session = a.open(&id);
        let count_up = |data: &mut SessionData| {
            let n = data.get::<u32>("left")?.unwrap_or_default() + 1;
            both(data, n).map(|()| n)
        };
        let done = dropped_at(&a, point, session.update(count_up)).await;
        let n = ensure_whole(&cx, [&a, &b], &id).await?;
        ensure!(n == 1 || (n == 0 && done.is_none()), "an update counted to {n}");
        ensure_eq!(session.update(count_up).await?, n + 1, "the next update of the same handle");
        ensure_eq!(ensure_whole(&cx, [&a, &b], &id).await?, n + 1, "the number");
        if done.transpose()?.is_some() {
            ensure!(point >= 4, "an update took less than two calls");
            return Ok(());
        }
    }
    Ok(())
}

/// Given a commit under the lock that is dropped at any await point, then all of it is saved or
/// nothing, and the lock is free.
async fn dropped_commit_is_whole_and_leaves_no_lock(cx: Cx) -> Outcome {
    for changes in [true, false] {
        for point in 0.. {
            let (a, b, id) = setting(&cx).await?;
            let session = a.open(&id);
            let mut locked = session.lock(Duration::ZERO).await?;
            if changes {
                both(&mut locked, 1)?;
            }
            let done = dropped_at(&a, point, locked.commit()).await;
            let n = ensure_whole(&cx, [&a, &b], &id).await?;
            ensure!(n <= u32::from(changes), "a commit saved {n}");
            session.update(|data| both(data, 2)).await?;
            ensure_eq!(ensure_whole(&cx, [&a, &b], &id).await?, 2, "the number");
            if done.transpose()?.is_some() {
                ensure!(point >= 2, "a commit took no call");
                break;
            }
        }
    }
    Ok(())
}

/// Given a rotation, under the lock or not, that is dropped at any await point, then the old id leads
/// to the session, and the same handle can go on with it.
async fn dropped_rotation_leaves_one_session(cx: Cx) -> Outcome {
    for locks in [false, cx.has().locking.is_yes()] {
        for point in 0.. {
            let (a, b, id) = setting(&cx).await?;
            let session = a.open(&id);
            let done = dropped_at(&a, point, rotate(&session, locks)).await;
            ensure_whole(&cx, [&a, &b], &id).await?;
            session.update(|data| both(data, 3)).await?;
            ensure_eq!(ensure_whole(&cx, [&a, &b], &id).await?, 3, "the number");
            b.open(&id).delete().await?;
            ensure_no_session(&a, &id).await?;
            if done.transpose()?.is_some() {
                ensure_no_session(&a, &new_id(&session)?).await?;
                ensure!(point >= 6, "a rotation took less than three calls");
                break;
            }
        }
    }
    Ok(())
}

async fn rotate(session: &Session, locks: bool) -> Result<()> {
    if !locks {
        return session.cycle_id().await;
    }
    let mut locked = session.lock(PATIENCE).await?;
    locked.cycle_id().await?;
    locked.commit().await
}

/// Given a log-out that is dropped at any await point, then the session is there as a whole or has
/// ended, and the log-out can be repeated.
async fn dropped_log_out_can_be_repeated(cx: Cx) -> Outcome {
    for point in 0.. {
        let (a, b, id) = setting(&cx).await?;
        let session = a.open(&id);
        let done = dropped_at(&a, point, session.delete()).await;
        if b.open(&id).facts().await?.is_some() {
            ensure!(done.is_none(), "a log-out that was done left the session");
            ensure_whole(&cx, [&a, &b], &id).await?;
        }
        session.delete().await?;
        ensure_no_session(&b, &id).await?;
        if done.transpose()?.is_some() {
            ensure!(point >= 4, "a log-out took less than two calls");
            return Ok(());
        }
    }
    Ok(())
}
