//! Calls that fail, and replies that are lost on their way to the handle: Z05, and H17, which has no
//! number in the catalogue.

use std::time::Duration;

use session_core::{CookieChange, ErrorKind, Operation, Result, Session, SessionData};

use super::cases;
use crate::{
    context::Cx,
    outcome::{Failure, Outcome, PATIENCE, ensure, ensure_eq, refused, soon, within},
    server::{Server, ensure_entry, ensure_live, ensure_no_session, new_id},
    wire::Fate,
};

cases! {
    "Z05" handle_creates_once_when_the_reply_is_lost [Idempotency];
    "Z05" handle_saves_once_when_the_reply_is_lost [Idempotency];
    "Z05" handle_commits_once_when_the_reply_is_lost [Idempotency, Locking];
    "Z05" handle_locks_once_when_the_reply_is_lost [Locking];
    "Z05" handle_rotates_once_when_a_reply_is_lost [Idempotency, NativeLayout];
    "Z05" handle_learns_what_came_of_a_rotation [NativeLayout];
    "Z05" handle_logs_out_when_the_reply_is_lost;
    "Z05" handle_says_when_every_reply_is_lost;
    "H17" failed_load_never_leads_to_a_write;
}

/// Loses the first reply to an operation.
fn lose_first(server: &Server, operation: Operation) {
    server.wire.rule(move |call| {
        if call.operation == operation && call.nth == 0 { Fate::ReplyLost } else { Fate::Arrives }
    });
}

fn count_up(data: &mut SessionData) -> Result<u32> {
    let n = data.get::<u32>("n")?.unwrap_or_default() + 1;
    data.insert("n", n)?;
    Ok(n)
}

/// Given a new session whose create was not answered, when it is saved, then that is no error, and
/// there is one session.
async fn handle_creates_once_when_the_reply_is_lost(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    lose_first(&a, Operation::Create);
    let session = a.open_new();
    session.insert("user", "ada").await?;
    session.save().await?;
    ensure_eq!(a.wire.operations(), [Operation::Create; 2], "the calls");
    let id = new_id(&session)?;
    ensure_entry(&b.open(&id), "user", Some("ada".to_owned())).await?;
    ensure_live(&cx, &[&id]).await
}

/// Given a save and an update that were not answered, then they are no errors, and have taken effect
/// once.
async fn handle_saves_once_when_the_reply_is_lost(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    for n in 1..=3 {
        lose_first(&a, Operation::Save);
        ensure_eq!(a.open(&id).update(count_up).await?, n, "what the update returned");
        let calls = [Operation::Load, Operation::Save, Operation::Save];
        ensure_eq!(a.wire.operations(), calls, "the calls");
        ensure_entry(&b.open(&id), "n", Some(n)).await?;
    }
    lose_first(&a, Operation::Save);
    let session = a.open(&id);
    session.insert("saved", 1).await?;
    session.save().await?;
    session.insert("saved", 2).await?;
    session.save().await?;
    ensure_entry(&b.open(&id), "saved", Some(2)).await
}

/// Given a commit under the lock that was not answered, then it is no error, has taken effect once,
/// and the lock is free.
async fn handle_commits_once_when_the_reply_is_lost(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    for n in 1..=3 {
        lose_first(&a, Operation::Save);
        let mut locked = a.open(&id).lock(Duration::ZERO).await?;
        count_up(&mut locked)?;
        locked.commit().await?;
        let next = soon("the next lock", b.open(&id).lock(Duration::ZERO)).await??;
        ensure_eq!(next.get("n")?, Some(n), "the entry");
        next.rollback().await?;
    }
    Ok(())
}

/// Given a lock that was granted, and the reply lost, then it is no error, and the lock is held once:
/// it is free after the commit.
async fn handle_locks_once_when_the_reply_is_lost(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    lose_first(&a, Operation::Lock);
    let mut locked = soon("a lock whose reply was lost", a.open(&id).lock(PATIENCE)).await??;
    count_up(&mut locked)?;
    locked.commit().await?;
    b.open(&id).lock(Duration::ZERO).await?.rollback().await?;
    // A lock that fails for good is given back at once, not at the end of its lease.
    a.wire.rule(|call| match call.operation {
        Operation::Lock => Fate::ReplyLost,
        _ => Fate::Arrives,
    });
    let outcome = soon("a lock without replies", a.open(&id).lock(Duration::ZERO)).await?;
    ensure!(outcome.is_err(), "a lock without replies was granted");
    let next = within(PATIENCE * 2, "the lock after it", b.open(&id).lock(PATIENCE)).await??;
    ensure_eq!(next.get("n")?, Some(1), "the entry");
    next.rollback().await?;
    Ok(())
}

/// Given a rotation of which any one reply was lost, then it is no error, and there is one session.
async fn handle_rotates_once_when_a_reply_is_lost(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    for operation in [Operation::Create, Operation::Save] {
        let old = a.start().await?;
        lose_first(&a, operation);
        let session = a.open(&old);
        session.insert("n", 1).await?;
        session.cycle_id().await?;
        let new = new_id(&session)?;
        ensure_live(&cx, &[&new]).await?;
        session.insert("n", 2).await?;
        session.save().await?;
        for id in [&old, &new] {
            ensure_entry(&b.open(id), "n", Some(2)).await?;
        }
        b.open(&new).delete().await?;
    }
    Ok(())
}

/// Given a rotation whose last step is never answered, when the store can be read, then the handle
/// learns that the id was changed, and sets the new one.
async fn handle_learns_what_came_of_a_rotation(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let old = a.start().await?;
    a.wire.rule(|call| match call.operation {
        Operation::Save => Fate::ReplyLost,
        _ => Fate::Arrives,
    });
    let session = a.open(&old);
    soon("a rotation without replies", session.cycle_id()).await??;
    a.wire.mend();
    let new = new_id(&session)?;
    ensure_live(&cx, &[&new]).await?;
    session.insert("n", 1).await?;
    session.save().await?;
    ensure_entry(&b.open(&new), "n", Some(1)).await
}

/// Given a log-out that was not answered, then it is no error, and the session has ended.
async fn handle_logs_out_when_the_reply_is_lost(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    for reads in [false, true] {
        let id = a.start().await?;
        lose_first(&a, Operation::Delete);
        let session = a.open(&id);
        if reads {
            session.names().await?;
        }
        session.delete().await?;
        ensure_no_session(&b, &id).await?;
    }
    Ok(())
}

/// Checks that an operation failed, and said that it may have been applied.
#[track_caller]
fn ensure_unknown(outcome: Result<()>, what: &str) -> Outcome {
    let Err(error) = outcome else {
        return Err(Failure::new(format_args!("{what} succeeded without a reply")));
    };
    ensure!(error.maybe_applied(), "{what} does not say that it may have been applied: {error}");
    ensure!(error.to_string().contains("may have been applied"), "{what} shows: {error}");
    ensure_eq!(error.kind(), ErrorKind::Timeout, "what happened to {what}");
    Ok(())
}

/// Given a store of which no reply to a write comes back, then every write fails in time and says
/// that it may have been applied, and the handle goes on when the store answers again.
async fn handle_says_when_every_reply_is_lost(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let session = a.open(&id);
    session.insert("n", 1).await?;
    a.wire.rule(|call| match call.operation {
        Operation::Load | Operation::Lock => Fate::Arrives,
        _ => Fate::ReplyLost,
    });
    let fresh = a.open_new();
    fresh.insert("user", "eve").await?;
    ensure_unknown(soon("a create", fresh.save()).await?, "a create")?;
    ensure!(new_id(&fresh).is_err(), "an id was set that may not exist");
    ensure_unknown(soon("a save", session.save()).await?, "a save")?;
    let updating = a.open(&id);
    let update = updating.update(|data| data.insert("more", 1));
    ensure_unknown(soon("an update", update).await?, "an update")?;
    if cx.has().locking.is_yes() {
        ensure_unknown(soon("a commit", commit(&a.open(&id))).await?, "a commit")?;
    }
    let leaving = a.open(&b.start().await?);
    ensure_unknown(soon("a log-out", leaving.delete()).await?, "a log-out")?;
    a.wire.mend();
    soon("a save after it", session.save()).await??;
    ensure_entry(&b.open(&id), "n", Some(1)).await?;
    leaving.delete().await?;
    fresh.save().await?;
    ensure_entry(&b.open(&new_id(&fresh)?), "user", Some("eve".to_owned())).await
}

/// Given a store that cannot be read, when a request does anything, then that fails, nothing is
/// written and no id is set; when it can be read again, then the same request goes on with its
/// session.
async fn failed_load_never_leads_to_a_write(cx: Cx) -> Outcome {
    let server = Server::new(&cx, &cx.a)?;
    let id = server.start().await?;
    server.wire.rule(|call| match call.operation {
        Operation::Load | Operation::Lock => Fate::Refused,
        _ => Fate::Arrives,
    });
    let session = server.open(&id);
    let down = |outcome: Result<()>, what: &str| {
        refused(outcome, ErrorKind::Unavailable, format_args!("{what} without the store"))
    };
    down(session.get::<String>("user").await.map(drop), "get")?;
    down(session.insert("user", "eve").await, "insert")?;
    down(session.clear().await, "clear")?;
    down(session.set_idle_lifetime(PATIENCE).await, "set_idle_lifetime")?;
    down(session.update(|data| data.insert("user", "eve")).await, "update")?;
    down(session.cycle_id().await, "cycle_id")?;
    down(session.delete().await, "delete")?;
    if cx.has().meta.is_yes() {
        down(session.login("eve").await, "login")?;
    }
    if cx.has().locking.is_yes() {
        down(session.lock(PATIENCE).await.map(drop), "lock")?;
    }
    session.save().await?;
    let reads = [Operation::Load, Operation::Lock, Operation::Index];
    let calls = server.wire.operations();
    ensure!(calls.iter().all(|call| reads.contains(call)), "it sent {calls:?}");
    ensure_eq!(session.cookie_change(), CookieChange::None, "the cookie");
    server.wire.mend();
    session.insert("n", 1).await?;
    session.save().await?;
    ensure_entry(&server.open(&id), "user", Some("ada".to_owned())).await?;
    ensure_entry(&server.open(&id), "n", Some(1)).await
}

async fn commit(session: &Session) -> Result<()> {
    let mut locked = session.lock(PATIENCE).await?;
    locked.insert("held", 1)?;
    locked.commit().await
}
