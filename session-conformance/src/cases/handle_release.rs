//! When the lock of an exclusive session is given back, and what it excludes: L02, L30, L31, L33 to
//! L36, L40.

use std::{panic::resume_unwind, time::Duration};

use serde::{Serialize, Serializer, ser::Error as _};
use session_core::{CookieChange, ErrorKind, LockedSession, Operation, Result, Session, SessionId};

use super::cases;
use crate::{
    client::LONG,
    context::Cx,
    outcome::{Failure, Outcome, PATIENCE, ensure, ensure_eq, refused, soon, within},
    server::{Server, ensure_entry, ensure_live, ensure_no_session, new_id, requests},
    together::Effort,
};

cases! {
    "L02" counter_is_exact_in_every_mode [Locking];
    "L30" read_only_request_never_writes_data;
    "L30" look_at_a_lagging_replica_begins_no_session;
    "L31" early_close_releases_early [Locking];
    "L33" lock_released_when_a_value_cannot_be_written [Locking];
    "L33" lock_released_when_save_fails [Locking, ReachableLimit];
    "L34" lock_released_when_session_emptied [Locking];
    "L34" lock_released_when_session_destroyed [Locking];
    "L35" panic_in_handler_releases [Locking];
    "L36" keepalive_of_a_request_never_unlocks [Locking, BreakableLocks, Touch];
    "L40" lock_of_an_unknown_id_leaves_nothing [Locking];
    "L40" session_locked_before_it_exists_keeps_all_changes [Locking];
}

/// Checks that the lock is free, or soon is, and the entry `n` is of this value.
async fn ensure_free(server: &Server, id: &SessionId, n: Option<u32>) -> Outcome {
    let next = within(PATIENCE * 2, "the next lock", server.open(id).lock(PATIENCE)).await??;
    ensure_eq!(next.get("n")?, n, "the entry that the next holder sees");
    Ok(next.rollback().await?)
}

/// Given requests on two servers that count up under the lock, by update, and by lock again, then
/// no count is lost.
async fn counter_is_exact_in_every_mode(cx: Cx) -> Outcome {
    let servers = Server::both(&cx).await?;
    let id = servers[0].start().await?;
    let (wanted, effort) = (id.clone(), Effort::times(2, 25));
    let counts = requests(
        &servers,
        8,
        |_, server| async move { Ok(server) },
        move |n, server: Server| {
            let id = wanted.clone();
            async move {
                let mut done = 0;
                while effort.goes_on(done) {
                    count_up(&server.open(&id), n % 4 == 3).await?;
                    done += 1;
                }
                Ok(done)
            }
        },
    );
    let sum: usize = counts.await?.into_iter().sum();
    cx.note(format!("{sum} increments by 8 clients"));
    ensure_entry(&servers[1].open(&id), "n", Some(sum)).await
}

async fn count_up(session: &Session, by_update: bool) -> Result<()> {
    let up = |n: Option<usize>| n.unwrap_or_default() + 1;
    if by_update {
        return session.update(|data| data.insert("n", up(data.get("n")?))).await;
    }
    let mut locked = session.lock(LONG).await?;
    let n = up(locked.get("n")?);
    locked.insert("n", n)?;
    locked.commit().await
}

/// Given a request that only looks, when its session is locked by another and would be prolonged,
/// then it reads, and nothing is written.
async fn read_only_request_never_writes_data(cx: Cx) -> Outcome {
    let servers = Server::both_with(&cx, |settings| settings.touch_after(Duration::ZERO)).await?;
    let id = servers[0].start().await?;
    let held = match cx.has().locking.is_yes() {
        true => Some(servers[1].open(&id).lock(Duration::ZERO).await?),
        false => None,
    };
    servers[0].wire.clear();
    let session = servers[0].open(&id);
    let view = session.read_only();
    let user = soon("a look at a locked session", view.get::<String>("user")).await??;
    ensure_eq!(user.as_deref(), Some("ada"), "the entry");
    ensure!(view.facts().await?.is_some() && !view.is_empty().await?, "a session shows nothing");
    session.save().await?;
    ensure_eq!(servers[0].wire.operations(), [Operation::Load], "the calls of a look");
    ensure_eq!(session.cookie_change(), CookieChange::None, "the cookie");
    if let Some(held) = held {
        held.rollback().await?;
    }
    Ok(())
}

/// Given a look at a replica that does not know the session yet, when the same request stores
/// something, then it is stored in that session.
async fn look_at_a_lagging_replica_begins_no_session(cx: Cx) -> Outcome {
    let bound = Duration::from_secs(5);
    let server = Server::with(&cx, &cx.a, |settings| settings.read_staleness(bound))?;
    let id = server.start().await?;
    server.wire.lag();
    let session = server.open(&id);
    let view = session.read_only();
    ensure_eq!(view.get::<String>("user").await?.as_deref(), Some("ada"), "the entry");
    session.insert("n", 1).await?;
    session.save().await?;
    ensure!(new_id(&session).is_err(), "a new session was begun");
    ensure_entry(&server.open(&id), "n", Some(1)).await
}

/// Given a handler that commits and goes on working, then another request works under the lock
/// meanwhile, and a look at the first handle's data does not disturb it.
async fn early_close_releases_early(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let streaming = a.open(&id);
    let mut locked = streaming.lock(Duration::ZERO).await?;
    locked.insert("n", 1)?;
    locked.commit().await?;
    let second = b.open(&id);
    let mut locked = soon("the lock beside a stream", second.lock(PATIENCE)).await??;
    ensure_eq!(locked.get("n")?, Some(1), "the entry that the first one saved");
    ensure_entry(&streaming, "n", Some(1)).await?;
    locked.insert("n", 2)?;
    locked.commit().await?;
    soon("the end of the stream", streaming.save()).await??;
    ensure_free(&a, &id, Some(2)).await
}

/// A value that cannot be encoded.
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        Err(S::Error::custom("it cannot be written"))
    }
}

/// Given a handler that fails because a value has no form, then the error is surfaced, the lock is
/// free, and nothing was saved.
async fn lock_released_when_a_value_cannot_be_written(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let handler = async |session: Session| -> Result<()> {
        let mut locked = session.lock(Duration::ZERO).await?;
        locked.insert("n", 1)?;
        locked.insert("unwritable", Unwritable)?;
        locked.commit().await
    };
    refused(handler(a.open(&id)).await, ErrorKind::Unsupported, "a value without a form")?;
    ensure_free(&b, &id, None).await
}

/// Given a commit that is too large, then that is `TooLarge`, the lock is free, and the session is as
/// it was.
async fn lock_released_when_save_fails(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let session = a.open(&id);
    let mut locked = session.lock(Duration::ZERO).await?;
    locked.insert("n", 1)?;
    locked.insert("large", "x".repeat(cx.has().max_payload))?;
    refused(locked.commit().await, ErrorKind::TooLarge, "a commit that is too large")?;
    ensure_free(&b, &id, None).await?;
    // The handle was not changed by what was given up.
    ensure_entry(&session, "n", None::<u32>).await?;
    session.insert("n", 2).await?;
    session.save().await?;
    ensure_free(&b, &id, Some(2)).await
}

/// Given a handler that empties its session under the lock, when it commits, then the lock is free
/// and the session is empty.
async fn lock_released_when_session_emptied(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let mut locked = a.open(&id).lock(Duration::ZERO).await?;
    locked.clear();
    locked.commit().await?;
    ensure_free(&b, &id, None).await?;
    ensure!(b.open(&id).is_empty().await?, "an emptied session has entries");
    ensure!(b.open(&id).facts().await?.is_some(), "an emptied session has ended");
    Ok(())
}

/// Given a handler that logs out while it holds the lock, then the log-out does not wait for
/// itself, and no lock is left.
async fn lock_released_when_session_destroyed(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let session = a.open(&id);
    let mut locked = session.lock(Duration::ZERO).await?;
    locked.insert("n", 1)?;
    soon("a log-out under the own lock", session.delete()).await??;
    ensure_no_session(&b, &id).await?;
    ensure!(!cx.a.is_locked(&crate::server::key(&id)).await?, "a lock outlives its session");
    refused(locked.commit().await, ErrorKind::NotFound, "a commit after the log-out")?;
    ensure_no_session(&b, &id).await
}

/// Given a handler that panics while it holds the lock, then the lock is free, and the session is
/// as it was.
async fn panic_in_handler_releases(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let session = a.open(&id);
    let handler = tokio::spawn(async move {
        let mut locked = session.lock(Duration::ZERO).await?;
        locked.insert("n", 1)?;
        // A panic that does not show on the terminal.
        resume_unwind(Box::new("a bug in the handler"));
        #[expect(unreachable_code, reason = "says what the task returns")]
        Ok::<LockedSession, session_core::Error>(locked)
    });
    ensure!(handler.await.is_err_and(|error| error.is_panic()), "the handler did not panic");
    ensure_free(&b, &id, None).await
}

/// Given a holder, when other requests extend the session, then the holder still holds.
async fn keepalive_of_a_request_never_unlocks(cx: Cx) -> Outcome {
    let [a, b] = Server::both_with(&cx, |settings| settings.touch_after(Duration::ZERO)).await?;
    let id = a.start().await?;
    let mut locked = a.open(&id).lock(Duration::ZERO).await?;
    for server in [&a, &b] {
        server.wire.clear();
        let session = server.open(&id);
        session.names().await?;
        soon("a request beside a holder", session.save()).await??;
        ensure_eq!(server.wire.operations(), [Operation::Load, Operation::Touch], "its calls");
        let taken = server.open(&id).lock(Duration::ZERO).await;
        refused(taken, ErrorKind::LockTimeout, "a try of a lock after a touch")?;
    }
    locked.insert("n", 1)?;
    locked.commit().await?;
    ensure_free(&b, &id, Some(1)).await
}

/// Given an id that the store does not know, or none, when locked, then nothing waits, nothing is
/// left, and what is committed is a session under an id of its own.
async fn lock_of_an_unknown_id_leaves_nothing(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let unknown = SessionId::generate()?;
    for session in [a.open(&unknown), a.open_new()] {
        let locked = soon("a lock of nothing", session.lock(Duration::ZERO)).await??;
        ensure!(locked.is_empty() && !locked.is_lost(), "a lock of nothing shows something");
        locked.commit().await?;
        ensure_eq!(session.cookie_change(), CookieChange::None, "the cookie");
        let mut locked = session.lock(Duration::ZERO).await?;
        locked.insert("n", 1)?;
        locked.commit().await?;
        let id = new_id(&session)?;
        ensure!(id != unknown, "an unknown id was adopted");
        ensure_free(&b, &id, Some(1)).await?;
    }
    ensure_no_session(&b, &unknown).await?;
    let key = crate::server::key(&unknown);
    ensure!(!b_is_locked(&cx, &key).await?, "the lock of an unknown id is left");
    Ok(())
}

async fn b_is_locked(cx: &Cx, key: &session_core::Key) -> Result<bool, Failure> {
    Ok(cx.b().await?.is_locked(key).await?)
}

/// Given a session that is locked before there is a record, then what was changed before, under and
/// beside the lock is all saved, in one session.
async fn session_locked_before_it_exists_keeps_all_changes(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let session = a.open_new();
    session.insert("before", 1).await?;
    let mut locked = session.lock(Duration::ZERO).await?;
    session.insert("beside", 2).await?;
    locked.insert("under", 3)?;
    locked.commit().await?;
    session.save().await?;
    let now = b.open(&new_id(&session)?);
    for (name, value) in [("before", 1), ("beside", 2), ("under", 3)] {
        ensure_entry(&now, name, Some(value)).await?;
    }
    ensure_live(&cx, &[&new_id(&session)?]).await
}
