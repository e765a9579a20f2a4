//! New ids for old sessions, through the handle: X01 to X05, X07, X08, SEC-14.

use std::{sync::Arc, time::Duration};

use session_core::{CookieChange, ErrorKind, OffsetClock, Operation, Session, SystemClock};

use super::cases;
use crate::{
    client::LONG,
    context::Cx,
    outcome::{Failure, Outcome, PATIENCE, ensure, ensure_eq, refused, soon},
    server::{Server, ensure_entry, ensure_live, ensure_no_session, key, new_id, requests},
    wire::Fate,
};

cases! {
    "X01" rotate_moves_data [NativeLayout];
    "X02" rotate_twice_and_set_between [NativeLayout];
    "X02" rotate_many_times_within_the_grace [NativeLayout];
    "X03" rotate_unsaved_session [NativeLayout];
    "X04" rotate_deleted_session_fails [NativeLayout];
    "X05" concurrent_rotation_one_lineage [NativeLayout];
    "X05" concurrent_log_ins_have_one_winner [NativeLayout, Meta];
    "X05" log_ins_sent_twice_end_in_one_session [NativeLayout, Meta];
    "X05" save_in_flight_follows_a_rotation [NativeLayout];
    "X05" save_in_flight_does_not_follow_a_log_in [NativeLayout, Meta];
    "X07" grace_alias_is_read_redirect_only [NativeLayout];
    "X07" grace_alias_dies_on_time [NativeLayout, Clock];
    "X08" rotate_under_lock_keeps_lock [NativeLayout, Locking];
    "SEC-14" requests_with_the_old_id_end_on_the_new_one [NativeLayout];
    "SEC-14" old_ids_are_renewed_once_however_many_ask [NativeLayout];
}

/// Given a session with data, when its id is changed, then the new id has it, and the old one,
/// without a grace, has none.
async fn rotate_moves_data(cx: Cx) -> Outcome {
    let [a, b] = Server::both_with(&cx, |settings| settings.grace(Duration::ZERO)).await?;
    let old = a.start().await?;
    let session = a.open(&old);
    session.insert("unsaved", 1).await?;
    session.cycle_id().await?;
    let new = new_id(&session)?;
    ensure!(new != old, "the id did not change");
    ensure_no_session(&b, &old).await?;
    let moved = b.open(&new);
    ensure_entry(&moved, "user", Some("ada".to_owned())).await?;
    ensure_entry(&moved, "unsaved", Some(1)).await?;
    session.insert("later", 2).await?;
    session.save().await?;
    ensure_entry(&b.open(&new), "later", Some(2)).await?;
    ensure_live(&cx, &[&new]).await
}

/// Given a session whose id is changed twice in one request, with a change between, then there is
/// one session with the last data, and the first id leads to it during the grace.
async fn rotate_twice_and_set_between(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let old = a.start().await?;
    let session = a.open(&old);
    session.cycle_id().await?;
    let between = new_id(&session)?;
    session.insert("n", 1).await?;
    session.cycle_id().await?;
    session.insert("n", 2).await?;
    session.save().await?;
    let new = new_id(&session)?;
    ensure!(new != between && between != old, "two changes of the id gave one id");
    for id in [&new, &between, &old] {
        ensure_entry(&b.open(id), "n", Some(2)).await?;
    }
    ensure_live(&cx, &[&new]).await
}

/// Given a session whose id is changed again and again within the grace, then the first id leads to
/// the session or nowhere, but begins no other one, and a log-out under it ends the session.
async fn rotate_many_times_within_the_grace(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let old = a.start().await?;
    let session = a.open(&old);
    for _ in 0..12 {
        session.cycle_id().await?;
    }
    let new = new_id(&session)?;
    let late = b.open(&old);
    match late.get::<String>("user").await? {
        Some(user) => ensure_eq!(user, "ada", "the entry"),
        None => {
            late.insert("late", 1).await?;
            refused(late.save().await, ErrorKind::Conflict, "a save under a retired id")?;
        }
    }
    ensure_eq!(late.cookie_change(), CookieChange::None, "the cookie of who presents the old id");
    ensure_live(&cx, &[&new]).await?;
    b.open(&old).delete().await?;
    ensure_no_session(&a, &new).await?;
    ensure_live(&cx, &[]).await
}

/// Given a session that was never saved, when its id is changed and it is then saved, then there is
/// one record.
async fn rotate_unsaved_session(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let session = a.open_new();
    session.insert("user", "ada").await?;
    session.cycle_id().await?;
    ensure_eq!(a.wire.operations(), [], "the calls for a session that was not saved");
    session.save().await?;
    ensure_eq!(a.wire.operations(), [Operation::Create], "the calls for a new session");
    let id = new_id(&session)?;
    ensure_entry(&b.open(&id), "user", Some("ada".to_owned())).await?;
    ensure_live(&cx, &[&id]).await
}

/// Does `step`, and `meanwhile` just before its call of number `point`. Returns what the step did, or
/// nothing if it has fewer calls.
async fn interrupted<T>(
    server: &Server,
    point: usize,
    step: impl Future<Output = T> + Send,
    meanwhile: impl Future<Output = Outcome> + Send,
) -> Result<Option<T>, Failure> {
    server.wire.rule_of(point, Fate::Held);
    tokio::pin!(step);
    let ended = tokio::select! {
        biased;
        _ = &mut step => true,
        () = server.wire.silence() => false,
    };
    server.wire.mend();
    if ended {
        return Ok(None);
    }
    meanwhile.await?;
    server.wire.go_on();
    Ok(Some(soon("a step that was interrupted", step).await?))
}

/// Given a change of the id, when another server logs out at any point of it, then there is no
/// session afterwards, under no id.
async fn rotate_deleted_session_fails(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    for point in 0.. {
        let old = a.start().await?;
        let session = a.open(&old);
        let log_out = async { Ok(b.open(&old).delete().await?) };
        let Some(outcome) = interrupted(&a, point, session.cycle_id(), log_out).await? else {
            ensure!(point >= 3, "a rotation took {point} calls only");
            break;
        };
        if point == 0 {
            // The session was gone before it was read: there is no id to change.
            outcome?;
        } else {
            refused(outcome, ErrorKind::NotFound, "a rotation after a log-out")?;
        }
        ensure_eq!(session.cookie_change(), CookieChange::None, "the cookie");
        ensure_no_session(&b, &old).await?;
        ensure_live(&cx, &[]).await?;
    }
    Ok(())
}

/// Given several requests that change one id at the same moment, then one of them sets a new id,
/// the others go on with it, and there is one session, with the changes of all.
async fn concurrent_rotation_one_lineage(cx: Cx) -> Outcome {
    let servers = Server::both(&cx).await?;
    for _ in 0..5 {
        let old = servers[0].start().await?;
        let wanted = old.clone();
        let ids = requests(
            &servers,
            6,
            move |n, server| {
                let session = server.open(&wanted);
                async move {
                    session.insert(&format!("n{n}"), n).await?;
                    Ok(session)
                }
            },
            |_, session: Session| async move {
                session.cycle_id().await?;
                session.save().await?;
                Ok(new_id(&session).ok())
            },
        )
        .await?;
        let new: Vec<_> = ids.iter().flatten().collect();
        let [new] = new[..] else {
            return Err(Failure::new(format_args!("{} of 6 rotations set an id", new.len())));
        };
        for n in 0..6 {
            ensure_entry(&servers[1].open(new), &format!("n{n}"), Some(n)).await?;
            ensure_entry(&servers[0].open(&old), &format!("n{n}"), Some(n)).await?;
        }
        ensure_live(&cx, &[new]).await?;
        servers[0].open(new).delete().await?;
    }
    Ok(())
}

/// Given two log-ins of one session, the second at any point of the first, then one of them wins,
/// the other is a conflict, and there is one session.
async fn concurrent_log_ins_have_one_winner(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let mut won_by_the_second = 0;
    for point in 0.. {
        let old = a.start().await?;
        let (first, second) = (a.open(&old), b.open(&old));
        second.names().await?;
        let mut bob = Ok(());
        let other = async {
            bob = second.login("bob").await;
            Ok(())
        };
        let Some(ada) = interrupted(&a, point, first.login("ada"), other).await? else { break };
        won_by_the_second += usize::from(bob.is_ok());
        let (winner, loser, lost) = if bob.is_ok() {
            (&second, &first, ada)
        } else {
            ada?;
            (&first, &second, bob)
        };
        refused(lost, ErrorKind::Conflict, format_args!("a log-in that lost at {point}"))?;
        ensure_eq!(loser.cookie_change(), CookieChange::None, "the cookie of the one that lost");
        ensure_no_session(&a, &old).await?;
        let new = new_id(winner)?;
        ensure_live(&cx, &[&new]).await?;
        b.open(&new).delete().await?;
    }
    ensure!(won_by_the_second >= 3, "a log-in that came between won {won_by_the_second} times");
    Ok(())
}

/// Given a log-in that was sent twice, the second at any point of the first, then both succeed, and
/// there is one session, under one of their ids, with the data from before.
async fn log_ins_sent_twice_end_in_one_session(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    for point in 0.. {
        let old = a.start().await?;
        let (first, second) = (a.open(&old), b.open(&old));
        let other = async { Ok(second.login("ada").await?) };
        let Some(ended) = interrupted(&a, point, first.login("ada"), other).await? else {
            ensure!(point >= 3, "a log-in took {point} calls only");
            break;
        };
        ended?;
        ensure_no_session(&b, &old).await?;
        let (one, two) = (new_id(&first)?, new_id(&second)?);
        let is_first = !b.open(&one).is_empty().await?;
        let (new, over) = if is_first { (one, two) } else { (two, one) };
        ensure_no_session(&a, &over).await?;
        ensure_entry(&b.open(&new), "user", Some("ada".to_owned())).await?;
        ensure_live(&cx, &[&new]).await?;
        b.open(&new).delete().await?;
    }
    Ok(())
}

/// Given a request in flight, when another changes the id, then its save and its update land in the
/// session under its new id, and it sets no cookie.
async fn save_in_flight_follows_a_rotation(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let old = a.start().await?;
    let (saving, updating, rotating) = (a.open(&old), a.open(&old), b.open(&old));
    saving.insert("saved", 1).await?;
    updating.names().await?;
    rotating.cycle_id().await?;
    let new = new_id(&rotating)?;
    saving.save().await?;
    updating.update(|data| data.insert("updated", 2)).await?;
    rotating.insert("rotated", 3).await?;
    rotating.save().await?;
    for late in [&saving, &updating] {
        ensure_eq!(late.cookie_change(), CookieChange::None, "the cookie of a late request");
    }
    let now = b.open(&new);
    for (name, value) in [("saved", 1), ("updated", 2), ("rotated", 3)] {
        ensure_entry(&now, name, Some(value)).await?;
    }
    ensure_live(&cx, &[&new]).await
}

/// Given a request in flight, when another logs in, then its save is a conflict, nothing of it is
/// in the session of who logged in, and it sets no cookie.
async fn save_in_flight_does_not_follow_a_log_in(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let old = a.start().await?;
    let (late, session) = (a.open(&old), b.open(&old));
    late.insert("late", 1).await?;
    session.login("ada").await?;
    refused(late.save().await, ErrorKind::Conflict, "a save after a log-in")?;
    refused(late.save().await, ErrorKind::Conflict, "a second try")?;
    ensure_eq!(late.cookie_change(), CookieChange::None, "the cookie of a late request");
    let new = new_id(&session)?;
    ensure_entry(&a.open(&new), "late", None::<u32>).await?;
    ensure_live(&cx, &[&new]).await
}

/// Given an id that was rotated away, when it is used during the grace, then it leads to the session
/// in every mode, does not learn the new id, and cannot be rotated again.
async fn grace_alias_is_read_redirect_only(cx: Cx) -> Outcome {
    let [a, b] = Server::both_with(&cx, |settings| settings.touch_after(Duration::ZERO)).await?;
    let old = a.start().await?;
    let rotating = a.open(&old);
    rotating.cycle_id().await?;
    let new = new_id(&rotating)?;
    let alias = cx.a.found(&key(&old)).await?.payload;
    let exposed = alias.windows(new.expose().len()).any(|window| window == new.expose().as_bytes());
    ensure!(!exposed, "the old id's record shows the new id");
    let late = b.open(&old);
    ensure_entry(&late, "user", Some("ada".to_owned())).await?;
    late.insert("saved", 1).await?;
    late.save().await?;
    late.update(|data| data.insert("updated", 2)).await?;
    if cx.has().locking.is_yes() {
        let mut locked = late.lock(PATIENCE).await?;
        locked.insert("locked", 3)?;
        refused(locked.cycle_id().await, ErrorKind::Conflict, "a second rotation under the lock")?;
        locked.commit().await?;
        ensure_entry(&a.open(&new), "locked", Some(3)).await?;
    }
    late.save().await?;
    refused(late.cycle_id().await, ErrorKind::Conflict, "a second rotation of one id")?;
    ensure_eq!(late.cookie_change(), CookieChange::None, "the cookie of who presents the old id");
    ensure_entry(&a.open(&new), "saved", Some(1)).await?;
    ensure_entry(&a.open(&new), "updated", Some(2)).await?;
    ensure_live(&cx, &[&new]).await
}

/// Given an id that was rotated away, when its grace is over, then it leads nowhere, starts no
/// session of its own in the request of the same page, and ends with the session.
async fn grace_alias_dies_on_time(cx: Cx) -> Outcome {
    let grace = Duration::from_secs(20);
    let [a, b] = Server::both_with(&cx, |settings| settings.grace(grace)).await?;
    let old = a.start().await?;
    let rotating = a.open(&old);
    rotating.cycle_id().await?;
    let new = new_id(&rotating)?;
    ensure_entry(&b.open(&old), "user", Some("ada".to_owned())).await?;
    cx.pass(grace + Duration::from_secs(1)).await?;
    ensure_no_session(&b, &old).await?;
    let late = b.open(&old);
    late.insert("late", 1).await?;
    refused(late.save().await, ErrorKind::Conflict, "a save under an id retired a moment ago")?;
    ensure_eq!(late.cookie_change(), CookieChange::None, "the cookie of a late request");
    cx.pass(Duration::from_secs(60)).await?;
    let later = b.open(&old);
    later.insert("new", 1).await?;
    later.save().await?;
    let fresh = new_id(&later)?;
    ensure!(fresh != old && fresh != new, "a retired id was adopted");
    ensure_entry(&a.open(&new), "user", Some("ada".to_owned())).await?;
    ensure_live(&cx, &[&new, &fresh]).await?;
    // The alias ends by itself, no later than its session would have.
    cx.pass(crate::server::IDLE + cx.has().expiry_precision).await?;
    ensure_eq!(cx.a.get(&key(&old)).await?, None, "what is left under the old id");
    Ok(())
}

/// Given a holder of the lock that changes the id, then it holds on under the new id, the lock of
/// the old one is gone, and its commit goes to the new id.
async fn rotate_under_lock_keeps_lock(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let old = a.start().await?;
    let session = a.open(&old);
    let mut locked = session.lock(Duration::ZERO).await?;
    let waiting = b.open(&old);
    let waiter = tokio::spawn(async move {
        let locked = waiting.lock(LONG).await?;
        Ok::<_, Failure>((locked.get::<u32>("n")?, locked))
    });
    locked.insert("n", 1)?;
    locked.cycle_id().await?;
    let new = new_id(&session)?;
    // The waiter may have it for a moment, before it follows to the new id.
    let held = cx.a.lock_for(&key(&old), LONG, PATIENCE).await?;
    cx.a.release(&key(&old), &held.lease).await?;
    for id in [&new, &old] {
        let taken = b.open(id).lock(Duration::ZERO).await;
        refused(taken, ErrorKind::LockTimeout, "a try of a lock that moved")?;
    }
    ensure_entry(&b.open(&new), "n", Some(1)).await?;
    locked.insert("n", 2)?;
    ensure!(!locked.is_lost(), "a lock was lost by a rotation");
    locked.commit().await?;
    let (seen, next) = soon("a waiter behind a rotation", waiter).await???;
    ensure_eq!(seen, Some(2), "the entry that the waiter sees");
    next.rollback().await?;
    ensure_entry(&b.open(&new), "n", Some(2)).await?;
    ensure_live(&cx, &[&new]).await
}

/// Given the requests of one page that all present the old id, when one of them changes it, then all
/// succeed, one id is set, and all that they saved is under it.
async fn requests_with_the_old_id_end_on_the_new_one(cx: Cx) -> Outcome {
    let servers = Server::both(&cx).await?;
    let old = servers[0].start().await?;
    let wanted = old.clone();
    let ids = requests(
        &servers,
        10,
        |_, server| async move { Ok(server) },
        move |n, server: Server| {
            let session = server.open(&wanted);
            async move {
                if n == 0 {
                    session.cycle_id().await?;
                }
                session.insert(&format!("n{n}"), n).await?;
                session.save().await?;
                Ok(new_id(&session).ok())
            }
        },
    )
    .await?;
    let new: Vec<_> = ids.iter().flatten().collect();
    let [new] = new[..] else {
        return Err(Failure::new(format_args!("{} ids were set", new.len())));
    };
    for n in 0..10 {
        ensure_entry(&servers[1].open(new), &format!("n{n}"), Some(n)).await?;
    }
    ensure_live(&cx, &[new]).await
}

/// Given an id older than the renewal timeout, when several requests on both servers use it at the
/// same moment, then all succeed, one of them sets a new id, and both ids lead to all changes.
async fn old_ids_are_renewed_once_however_many_ask(cx: Cx) -> Outcome {
    let clock = Arc::new(OffsetClock::new(SystemClock::default()));
    let servers = Server::both_with(&cx, |settings| {
        settings.clock(Arc::clone(&clock)).renew_id_after(Duration::from_secs(600))
    })
    .await?;
    let first = servers[0].start().await?;
    let early = servers[1].open(&first);
    early.insert("early", 1).await?;
    early.save().await?;
    ensure!(new_id(&early).is_err(), "an id was renewed before it was due");
    clock.advance(Duration::from_secs(601));
    let old = first.clone();
    let ids = requests(
        &servers,
        6,
        move |n, server| {
            let session = server.open(&old);
            async move {
                session.insert(&format!("n{n}"), n).await?;
                Ok(session)
            }
        },
        |_, session: Session| async move {
            session.save().await?;
            Ok(new_id(&session).ok())
        },
    )
    .await?;
    let new: Vec<_> = ids.iter().flatten().collect();
    let [new] = new[..] else {
        return Err(Failure::new(format_args!("{} of 6 requests renewed an id", new.len())));
    };
    ensure!(*new != first, "the id did not change");
    for (id, server) in [(new, &servers[0]), (new, &servers[1]), (&first, &servers[0])] {
        for n in 0..6 {
            ensure_entry(&server.open(id), &format!("n{n}"), Some(n)).await?;
        }
    }
    ensure_live(&cx, &[new]).await
}
