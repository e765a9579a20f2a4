//! What the handle costs, in calls of the store: H01 to H12, which have no number in the
//! catalogue, and L18.

use std::time::Duration;

use session_core::{Operation, Session};

use super::cases;
use crate::{
    client::LONG,
    context::Cx,
    outcome::{Failure, Outcome, ensure, ensure_eq, soon},
    server::{Server, ensure_entry},
};

cases! {
    "H01" untouched_request_costs_nothing;
    "H02" read_only_request_costs_one_load;
    "H03" merge_costs_one_load_and_one_save;
    "H04" update_costs_one_load_and_one_save;
    "H05" exclusive_costs_one_lock_and_one_save [Locking];
    "H06" lock_without_change_costs_lock_and_release [Locking];
    "H07" new_session_costs_one_create;
    "H08" rotation_costs_one_create_and_one_save [NativeLayout];
    "H09" log_out_costs_one_load_and_one_delete;
    "H10" log_out_of_a_locked_session_costs_no_more [Locking];
    "L18" conflict_costs_the_handle_no_load_but_one;
}

/// Checks which calls a request has cost since the wire was cleared.
#[track_caller]
fn ensure_cost(server: &Server, cost: &[Operation]) -> Outcome {
    ensure_eq!(server.wire.operations(), cost, "the calls that were sent");
    server.wire.clear();
    Ok(())
}

/// A server, and a request of a stored session that has cost nothing yet.
async fn request(cx: &Cx) -> Result<(Server, Session), Failure> {
    let server = Server::new(cx, &cx.a)?;
    let id = server.start().await?;
    server.wire.clear();
    let session = server.open(&id);
    Ok((server, session))
}

/// Given a request that does not use its session, when it ends, then nothing was sent.
async fn untouched_request_costs_nothing(cx: Cx) -> Outcome {
    let (server, session) = request(&cx).await?;
    session.save().await?;
    ensure!(!session.was_used(), "an untouched session counts as used");
    let anonymous = server.open_new();
    ensure!(anonymous.is_empty().await?, "a session without a cookie has entries");
    anonymous.save().await?;
    ensure_cost(&server, &[])
}

/// Given a request that only reads, when it ends, then it has cost one load, however often it
/// read.
async fn read_only_request_costs_one_load(cx: Cx) -> Outcome {
    let (server, session) = request(&cx).await?;
    let view = session.read_only();
    for _ in 0..3 {
        ensure_eq!(view.get::<String>("user").await?.as_deref(), Some("ada"), "the entry");
        view.names().await?;
        view.facts().await?;
    }
    session.save().await?;
    ensure_cost(&server, &[Operation::Load])
}

/// Given a request that changes entries, when it is saved, then it has cost one load and one save,
/// and the next save costs nothing.
async fn merge_costs_one_load_and_one_save(cx: Cx) -> Outcome {
    let (server, session) = request(&cx).await?;
    for n in 0..5 {
        session.insert(&format!("item{n}"), n).await?;
        ensure!(session.contains("user").await?, "the entry is not there");
    }
    session.save().await?;
    session.save().await?;
    ensure_cost(&server, &[Operation::Load, Operation::Save])
}

/// Given an update that nobody disturbs, when it is done, then it has cost one load and one save.
async fn update_costs_one_load_and_one_save(cx: Cx) -> Outcome {
    let (server, session) = request(&cx).await?;
    session.update(|data| data.insert("count", 1)).await?;
    ensure_cost(&server, &[Operation::Load, Operation::Save])?;
    session.update(|data| data.get::<u32>("count")).await?;
    ensure_cost(&server, &[Operation::Load])
}

/// Given a request that works under the lock, when it commits, then it has cost one lock and one
/// save, and nothing was sent to give the lock back.
async fn exclusive_costs_one_lock_and_one_save(cx: Cx) -> Outcome {
    let (server, session) = request(&cx).await?;
    let mut locked = session.lock(Duration::ZERO).await?;
    let count: Option<u32> = locked.get("count")?;
    locked.insert("count", count.unwrap_or_default() + 1)?;
    locked.commit().await?;
    session.save().await?;
    let next = soon("the lock after a commit", session.lock(Duration::ZERO)).await??;
    ensure_eq!(next.get("count")?, Some(1), "the entry");
    ensure_eq!(
        server.wire.operations(),
        [Operation::Lock, Operation::Save, Operation::Lock],
        "the calls that were sent"
    );
    next.rollback().await?;
    Ok(())
}

/// Given a request that changes nothing under the lock, when it commits, then it has cost one lock
/// and one release.
async fn lock_without_change_costs_lock_and_release(cx: Cx) -> Outcome {
    let (server, session) = request(&cx).await?;
    let mut locked = session.lock(Duration::ZERO).await?;
    let user: Option<String> = locked.get("user")?;
    locked.insert("user", user)?;
    locked.commit().await?;
    session.save().await?;
    ensure_cost(&server, &[Operation::Lock, Operation::Release])
}

/// Given a request without a cookie that stores something, when it is saved, then it has cost one
/// create.
async fn new_session_costs_one_create(cx: Cx) -> Outcome {
    let server = Server::new(&cx, &cx.a)?;
    let session = server.open_new();
    session.insert("user", "ada").await?;
    session.save().await?;
    ensure_cost(&server, &[Operation::Create])?;
    if cx.has().locking.is_yes() {
        let fresh = server.open_new();
        let mut locked = fresh.lock(LONG).await?;
        locked.insert("user", "eve")?;
        locked.commit().await?;
        ensure_cost(&server, &[Operation::Create])?;
    }
    Ok(())
}

/// Given a request that changes the id, and entries with it, when it is done, then it has cost one
/// load, one create and one save.
async fn rotation_costs_one_create_and_one_save(cx: Cx) -> Outcome {
    let (server, session) = request(&cx).await?;
    session.insert("count", 1).await?;
    session.cycle_id().await?;
    session.save().await?;
    ensure_cost(&server, &[Operation::Load, Operation::Create, Operation::Save])
}

/// Given a log-out, when it is done, then it has cost one load and one delete; where the session
/// was read before, the delete alone.
async fn log_out_costs_one_load_and_one_delete(cx: Cx) -> Outcome {
    let (server, session) = request(&cx).await?;
    session.delete().await?;
    session.save().await?;
    ensure_cost(&server, &[Operation::Load, Operation::Delete])?;
    let (server, session) = request(&cx).await?;
    session.get::<String>("user").await?;
    server.wire.clear();
    session.delete().await?;
    ensure_cost(&server, &[Operation::Delete])
}

/// Given a log-out of a session that somebody holds, when it is done, then it has waited for nobody,
/// and has cost one load and one delete.
async fn log_out_of_a_locked_session_costs_no_more(cx: Cx) -> Outcome {
    let server = Server::new(&cx, &cx.a)?;
    let id = server.start().await?;
    let held = server.open(&id).lock(Duration::ZERO).await?;
    server.wire.clear();
    soon("a log-out beside a holder", server.open(&id).delete()).await??;
    ensure_cost(&server, &[Operation::Load, Operation::Delete])?;
    Ok(held.rollback().await?)
}

/// Given a request that is saved after another one was, when the store hands out the record that
/// won, then the merge costs no load; where it does not, one.
async fn conflict_costs_the_handle_no_load_but_one(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let (mine, theirs) = (a.open(&id), b.open(&id));
    mine.insert("mine", 1).await?;
    theirs.insert("theirs", 2).await?;
    theirs.save().await?;
    a.wire.clear();
    mine.save().await?;
    let cost = a.wire.operations();
    let (load, save) = (Operation::Load, Operation::Save);
    let least = cost == [save, save];
    ensure!(least || cost == [save, load, save], "a merge cost {cost:?}");
    ensure!(
        least || !hands_out_the_winner(&cx).await?,
        "the store handed out the winner, and it was read again"
    );
    ensure_entry(&b.open(&id), "mine", Some(1)).await?;
    ensure_entry(&b.open(&id), "theirs", Some(2)).await
}

/// Whether a conflict carries the record that won.
async fn hands_out_the_winner(cx: &Cx) -> Result<bool, Failure> {
    let key = crate::context::new_key()?;
    let old = cx.a.put(&key, "old").await?;
    cx.a.update(&key, "new", old).await?;
    match cx.a.update(&key, "late", old).await {
        Err(mut error) => Ok(error.take_current().is_some()),
        Ok(_) => Err(Failure::new("a stale save succeeded")),
    }
}
