//! The end of a session while requests are in flight: L43, SEC-18 to SEC-20, SEC-24.

use std::time::Duration;

use session_core::{CookieChange, ErrorKind, Operation, Session, SessionId};

use super::cases;
use crate::{
    client::LONG,
    context::Cx,
    outcome::{Failure, Outcome, ensure, ensure_eq, refused, refused_as, soon},
    server::{Server, ensure_entry, ensure_no_session, key, lifetime, new_id, requests},
    together::Effort,
    wire::Fate,
};

cases! {
    "L43" save_after_concurrent_logout_fails_by_the_handle;
    "L43" rotation_after_concurrent_logout_fails [NativeLayout];
    "L43" log_in_after_concurrent_logout_fails [NativeLayout, Meta];
    "L43" locked_commit_after_concurrent_logout_fails [Locking, BreakableLocks];
    "L43" touch_after_concurrent_logout_is_none [Touch];
    "SEC-18" log_out_ends_the_session_everywhere;
    "SEC-18" log_out_follows_a_rotation [NativeLayout, Incarnations];
    "SEC-18" log_out_follows_the_rotation_of_a_holder [NativeLayout, Locking];
    "SEC-19" requests_racing_a_log_out_never_revive [Incarnations];
    "SEC-20" expired_session_is_not_revived_by_the_handle;
    "SEC-24" unknown_id_and_log_out_without_a_session_write_nothing;
}

/// What a request in flight does after its session has ended: the session, which it had read, is
/// gone, no id is set, and nothing of it is stored.
async fn ensure_gone(cx: &Cx, id: &SessionId, in_flight: &Session) -> Outcome {
    let late = in_flight.insert("late", true).await;
    let late = match late {
        Ok(()) => in_flight.save().await,
        refused => refused,
    };
    refused(late, ErrorKind::NotFound, "a save of a session that has ended")?;
    let update = in_flight.update(|data| data.insert("late", 2)).await;
    refused(update, ErrorKind::NotFound, "an update of a session that has ended")?;
    if cx.has().locking.is_yes() {
        let lock = in_flight.lock(Duration::ZERO).await;
        refused(lock, ErrorKind::NotFound, "a lock of a session that has ended")?;
    }
    ensure_eq!(in_flight.cookie_change(), CookieChange::None, "the cookie of a late request");
    for server in Server::both(cx).await? {
        ensure_no_session(&server, id).await?;
    }
    ensure_nothing_live(cx).await
}

/// Checks that no session is stored at all.
async fn ensure_nothing_live(cx: &Cx) -> Outcome {
    if let Some(enumeration) = cx.a.enumeration() {
        let keys = enumeration.keys(None, 10).await?.keys;
        ensure!(keys.is_empty(), "{} sessions are stored after the only one ended", keys.len());
    }
    Ok(())
}

/// A session, and a request of the first server that has read it.
async fn in_flight(servers: &[Server; 2]) -> Result<(SessionId, Session), Failure> {
    let id = servers[0].start().await?;
    let session = servers[0].open(&id);
    ensure_entry(&session, "user", Some("ada".to_owned())).await?;
    Ok((id, session))
}

/// Given a request in flight, when another server logs out, then its save, its update and its lock
/// are refused, and nothing is brought back.
async fn save_after_concurrent_logout_fails_by_the_handle(cx: Cx) -> Outcome {
    let servers = Server::both(&cx).await?;
    let (id, session) = in_flight(&servers).await?;
    session.insert("early", 1).await?;
    servers[1].open(&id).delete().await?;
    ensure_gone(&cx, &id, &session).await?;
    let (id, session) = in_flight(&servers).await?;
    servers[1].open(&id).flush().await?;
    let update = session.update(|data| data.insert("late", 1)).await;
    refused(update, ErrorKind::NotFound, "an update after a log-out")?;
    ensure_gone(&cx, &id, &session).await
}

/// Given a request in flight, when another server logs out, then a change of the id is refused, and
/// there is no copy.
async fn rotation_after_concurrent_logout_fails(cx: Cx) -> Outcome {
    let servers = Server::both(&cx).await?;
    let (id, session) = in_flight(&servers).await?;
    servers[1].open(&id).delete().await?;
    refused(session.cycle_id().await, ErrorKind::NotFound, "a rotation after a log-out")?;
    ensure_gone(&cx, &id, &session).await
}

/// Given a request in flight, when another server logs out, then a log-in is refused, and there is
/// no copy.
async fn log_in_after_concurrent_logout_fails(cx: Cx) -> Outcome {
    let servers = Server::both(&cx).await?;
    let (id, session) = in_flight(&servers).await?;
    servers[1].open(&id).delete().await?;
    refused(session.login("ada").await, ErrorKind::NotFound, "a log-in after a log-out")?;
    ensure_gone(&cx, &id, &session).await
}

/// Given a request that works under the lock, when another server logs out, then the log-out does
/// not wait, the commit is refused, and nothing is brought back.
async fn locked_commit_after_concurrent_logout_fails(cx: Cx) -> Outcome {
    let servers = Server::both(&cx).await?;
    for rotates in [false, true] {
        if rotates && cx.backend().layout() == crate::Layout::Foreign {
            continue;
        }
        let (id, session) = in_flight(&servers).await?;
        let mut locked = session.lock(Duration::ZERO).await?;
        locked.insert("held", 1)?;
        soon("a log-out beside a holder", servers[1].open(&id).delete()).await??;
        if rotates {
            let late = locked.cycle_id().await;
            let kinds = [ErrorKind::NotFound, ErrorKind::LockLost];
            refused_as(late, &kinds, "a rotation by a holder after a log-out")?;
        }
        let late = locked.commit().await;
        let kinds = [ErrorKind::NotFound, ErrorKind::LockLost];
        refused_as(late, &kinds, "a commit by a holder after a log-out")?;
        ensure_gone(&cx, &id, &session).await?;
    }
    Ok(())
}

/// Given a request in flight whose session is to be prolonged, when another server logs out, then
/// nothing is prolonged, no cookie is sent, and nothing is brought back.
async fn touch_after_concurrent_logout_is_none(cx: Cx) -> Outcome {
    let servers = Server::both_with(&cx, |settings| settings.touch_after(Duration::ZERO)).await?;
    let (id, session) = in_flight(&servers).await?;
    servers[1].open(&id).delete().await?;
    servers[0].wire.clear();
    session.save().await?;
    ensure_eq!(servers[0].wire.operations(), [Operation::Touch], "the calls of a late request");
    ensure_gone(&cx, &id, &session).await
}

/// Given a log-out on one server, when the session is used on another at once, then it is gone; and
/// what is stored afterwards in the same request is another session.
async fn log_out_ends_the_session_everywhere(cx: Cx) -> Outcome {
    let servers = Server::both(&cx).await?;
    let (id, session) = in_flight(&servers).await?;
    session.delete().await?;
    ensure_eq!(session.cookie_change(), CookieChange::Clear, "the cookie after a log-out");
    for server in &servers {
        ensure_no_session(server, &id).await?;
    }
    ensure_nothing_live(&cx).await?;
    session.insert("user", "eve").await?;
    session.save().await?;
    let next = new_id(&session)?;
    ensure!(next != id, "a new session got the id of the one that ended");
    ensure_no_session(&servers[1], &id).await?;
    ensure_entry(&servers[1].open(&next), "user", Some("eve".to_owned())).await
}

/// Given a request in flight, when another changes the id, then a log-out under the old id ends the
/// session, during the grace and after it.
async fn log_out_follows_a_rotation(cx: Cx) -> Outcome {
    for grace in [LONG, Duration::ZERO] {
        let servers = Server::both_with(&cx, |settings| settings.grace(grace)).await?;
        for reads_first in [true, false] {
            let (id, rotating) = in_flight(&servers).await?;
            let leaving = servers[1].open(&id);
            if reads_first {
                leaving.names().await?;
            }
            rotating.cycle_id().await?;
            leaving.delete().await?;
            ensure_eq!(leaving.cookie_change(), CookieChange::Clear, "the cookie");
            ensure_no_session(&servers[0], &new_id(&rotating)?).await?;
            rotating.insert("late", 1).await?;
            refused(rotating.save().await, ErrorKind::NotFound, "a save after a log-out")?;
        }
    }
    Ok(())
}

/// Given a holder of the lock who changes the id just when another logs out, at any point of the
/// log-out, then the session has ended under both ids.
async fn log_out_follows_the_rotation_of_a_holder(cx: Cx) -> Outcome {
    for point in 0..20 {
        let servers = Server::both(&cx).await?;
        let (id, session) = in_flight(&servers).await?;
        let mut locked = session.lock(Duration::ZERO).await?;
        let leaving = servers[1].open(&id);
        let mut done = false;
        // The log-out stands still before its call of this number, and the holder rotates.
        let wire = &servers[1].wire;
        wire.rule_of(point, Fate::Held);
        let log_out = leaving.delete();
        tokio::pin!(log_out);
        tokio::select! {
            biased;
            outcome = &mut log_out => { outcome?; done = true; }
            () = wire.silence() => {}
        }
        if !done {
            locked.cycle_id().await?;
            wire.go_on();
            log_out.await?;
        }
        drop(locked);
        wire.mend();
        ensure_no_session(&servers[1], &id).await?;
        if done {
            return Ok(());
        }
        ensure_no_session(&servers[1], &new_id(&session)?).await?;
        ensure!(point < 19, "a log-out takes ever more calls");
    }
    Ok(())
}

/// Given requests of all kinds on two servers, when one of them logs out in between, then nothing
/// is stored when all are done.
async fn requests_racing_a_log_out_never_revive(cx: Cx) -> Outcome {
    let servers = Server::both_with(&cx, |settings| settings.touch_after(Duration::ZERO)).await?;
    let effort = Effort::times(3, 20);
    let mut round = 0;
    while effort.goes_on(round) {
        let id = servers[0].start().await?;
        let wanted = id.clone();
        let rotates = cx.backend().layout() == crate::Layout::Native;
        let ids = requests(
            &servers,
            8,
            move |_, server| {
                let session = server.open(&wanted);
                async move { Ok((session.names().await.map(|_| session)?, server)) }
            },
            move |n, (session, _): (Session, Server)| async move {
                let outcome = match (n, rotates) {
                    (0, _) => session.delete().await,
                    (1, true) => session.cycle_id().await,
                    (2, _) => session.update(|data| data.insert("late", 2)).await,
                    (3, _) => session.save().await,
                    _ => session.insert(&format!("late{n}"), n).await,
                };
                let outcome = match outcome {
                    Ok(()) => session.save().await,
                    refused => refused,
                };
                if n == 0 {
                    outcome?;
                }
                Ok(new_id(&session).ok())
            },
        )
        .await?;
        for id in ids.iter().flatten().chain([&id]) {
            ensure_no_session(&servers[1], id).await?;
        }
        round += 1;
    }
    cx.note(format!("{round} log-outs"));
    Ok(())
}

/// Given a request in flight, when its session expires, then its save, its update, its lock and its
/// rotation are refused, and nothing is brought back.
async fn expired_session_is_not_revived_by_the_handle(cx: Cx) -> Outcome {
    let idle = cx.brief();
    let short = |settings: session_core::SessionManagerBuilder| {
        settings.lifetime(lifetime(&cx, idle, idle * 10)).touch_after(Duration::ZERO)
    };
    let servers = [Server::with(&cx, &cx.a, short)?, Server::with(&cx, &cx.b().await?, short)?];
    let id = servers[0].start().await?;
    let requests: Vec<_> = (0..4).map(|_| servers[0].open(&id)).collect();
    for session in &requests {
        if session.facts().await?.is_none() {
            cx.note("not shown: the session was over before it was read");
            return Ok(());
        }
    }
    cx.expire(&key(&id), idle).await?;
    let [saving, rotating, touching, locking] = &requests[..] else { return Ok(()) };
    touching.save().await?;
    if cx.backend().layout() == crate::Layout::Native {
        refused(rotating.cycle_id().await, ErrorKind::NotFound, "a rotation after the expiry")?;
    }
    if cx.has().locking.is_yes() {
        let lock = locking.lock(Duration::ZERO).await;
        refused(lock, ErrorKind::NotFound, "a lock after the expiry")?;
    }
    ensure_gone(&cx, &id, saving).await
}

/// Given an id that the store does not know, when it is read a thousand times, locked, touched and
/// logged out, then nothing was written, and no id was adopted.
async fn unknown_id_and_log_out_without_a_session_write_nothing(cx: Cx) -> Outcome {
    let server = Server::new(&cx, &cx.a)?;
    let before = cx.writes().await?;
    let effort = Effort::times(10, 1_000);
    let mut done = 0;
    while effort.goes_on(done) {
        let session = server.open(&SessionId::generate()?);
        ensure!(session.is_empty().await?, "an unknown id has entries");
        session.save().await?;
        session.delete().await?;
        session.save().await?;
        done += 1;
    }
    server.open_new().delete().await?;
    server.open(&SessionId::generate()?).flush().await?;
    let calls = server.wire.operations();
    ensure!(calls.iter().all(|call| *call == Operation::Load), "an unknown id is written");
    ensure_eq!(cx.writes().await?, before, "writes for unknown ids");
    ensure_nothing_live(&cx).await
}
