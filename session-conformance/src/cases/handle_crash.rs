//! A server that dies in the middle of a rotation, through the handle: X06, SEC-12.

use std::time::Duration;

use session_core::{DocumentState, Key, Operation, Session, SessionId};

use super::cases;
use crate::{
    client::LONG,
    context::{Cx, finite},
    outcome::{Failure, Outcome, PATIENCE, ensure, ensure_eq, within},
    server::{Server, document, ensure_entry, key, new_id},
    wire::Fate,
};

cases! {
    "X06" crash_between_rotation_steps [NativeLayout];
    "X06" crash_between_log_in_steps [NativeLayout, Meta];
    "X06" crash_between_the_steps_of_a_locked_rotation [NativeLayout, Locking];
    "SEC-12" failure_between_rotation_steps [NativeLayout];
}

/// The lease of a server that dies.
const LEASE: Duration = Duration::from_millis(500);

/// A server that dies at its call of number `point`: before the call arrives, or before its reply
/// does. Nothing that it sends later arrives.
fn doomed(cx: &Cx, point: usize, arrives: bool) -> Result<Server, Failure> {
    let server = Server::with(cx, &cx.a, |settings| settings.lock_lease(LEASE))?;
    let last = if arrives { Fate::Unanswered } else { Fate::Swallowed };
    server.wire.rule(move |call| match call.n.cmp(&point) {
        std::cmp::Ordering::Less => Fate::Arrives,
        std::cmp::Ordering::Equal => last,
        std::cmp::Ordering::Greater => Fate::Refused,
    });
    Ok(server)
}

/// Lets a server do a step until it dies at its call of number `point`. Returns whether it died
/// before the end.
async fn until_death(
    server: &Server,
    point: usize,
    step: impl Future<Output = Result<(), Failure>> + Send,
) -> Result<bool, Failure> {
    let outcome = tokio::select! {
        biased;
        outcome = step => outcome,
        () = server.wire.silence() => return Ok(true),
    };
    // On a slow machine its last call may be a renewal, beside which the step goes on in vain.
    let is_dead = server.wire.sent().len() > point + 1;
    if outcome.is_err() && is_dead { Ok(true) } else { outcome.map(|()| false) }
}

/// What is left after a crash: the sessions that can be reached under the old id, and the copies
/// that nobody can reach, none of which lives for ever.
struct Left {
    reachable: Vec<Key>,
    orphans: Vec<Key>,
}

async fn left(cx: &Cx, old: &SessionId, server: &Server) -> Result<Left, Failure> {
    let mut reachable = Vec::new();
    let mut next = Some(key(old));
    while let Some(key) = next.take() {
        let Some(document) = document(cx, &key).await? else { break };
        match document.header.state {
            DocumentState::Alias(alias) => next = Some(Key::from_digest(alias.successor)),
            _ => reachable.push(key),
        }
    }
    let sent = server.wire.sent().into_iter();
    let created = sent.filter(|sent| sent.operation == Operation::Create);
    let mut orphans = Vec::new();
    for key in created.filter_map(|sent| sent.key) {
        let known = reachable.iter().any(|known| known.digest() == key.digest());
        if !known && document(cx, &key).await?.is_some() {
            finite(cx.a.found(&key).await?.remaining)?;
            orphans.push(key);
        }
    }
    Ok(Left { reachable, orphans })
}

/// Checks that exactly one copy can be reached, and at most one other is left to expire.
async fn ensure_one_copy(cx: &Cx, old: &SessionId, server: &Server) -> Result<Key, Failure> {
    let Left { mut reachable, orphans } = left(cx, old, server).await?;
    ensure!(orphans.len() <= 1, "{} copies are left that nobody can reach", orphans.len());
    ensure_eq!(reachable.len(), 1, "copies that can be reached");
    reachable.pop().ok_or_else(|| Failure::new("no copy can be reached"))
}

/// Given a server that dies at any point of a rotation, then the session can be reached under the
/// old id in one copy, with all its data, and can be used, locked and rotated on.
async fn crash_between_rotation_steps(cx: Cx) -> Outcome {
    let b = Server::new(&cx, &cx.b().await?)?;
    for point in 0.. {
        for arrives in [false, true] {
            let old = b.start().await?;
            let a = doomed(&cx, point, arrives)?;
            let session = a.open(&old);
            let died = until_death(&a, point, async { Ok(session.cycle_id().await?) }).await?;
            ensure_one_copy(&cx, &old, &a).await?;
            if !died {
                ensure!(point >= 3, "a rotation took {point} calls only");
                return Ok(());
            }
            goes_on(&cx, &b, &old).await?;
        }
    }
    Ok(())
}

/// The session can be used under the id that its browser has.
async fn goes_on(cx: &Cx, b: &Server, old: &SessionId) -> Outcome {
    let session = b.open(old);
    ensure_entry(&session, "user", Some("ada".to_owned())).await?;
    session.insert("after", 1).await?;
    session.save().await?;
    if cx.has().locking.is_yes() {
        let bound = LEASE + cx.has().takeover_time + cx.has().wake_step + PATIENCE;
        let locked = within(bound * 2, "the lock after a crash", b.open(old).lock(bound)).await??;
        ensure_eq!(locked.get("after")?, Some(1), "the entry");
        locked.commit().await?;
    }
    ensure_entry(&b.open(old), "after", Some(1)).await
}

/// Given a server that dies at any point of a log-in, then there is one copy of the session: the
/// anonymous one under the old id, or the authenticated one, to which the old id does not lead.
async fn crash_between_log_in_steps(cx: Cx) -> Outcome {
    let b = Server::new(&cx, &cx.b().await?)?;
    for point in 0.. {
        for arrives in [false, true] {
            let old = b.start().await?;
            let a = doomed(&cx, point, arrives)?;
            let session = a.open(&old);
            let died = until_death(&a, point, async { Ok(session.login("ada").await?) }).await?;
            let copy = ensure_one_copy(&cx, &old, &a).await?;
            let stays = copy.digest() == key(&old).digest();
            let header = document(&cx, &copy).await?.map(|document| document.header);
            let anonymous = header.is_some_and(|header| header.authenticated_at.is_none());
            ensure_eq!(
                anonymous,
                stays,
                "anonymous under the old id, or logged in under a new one"
            );
            let now = b.open(&old);
            let user = stays.then(|| "ada".to_owned());
            ensure_entry(&now, "user", user).await?;
            ensure_eq!(now.facts().await?.is_some(), stays, "the session under the old id");
            if !died {
                ensure!(!stays && new_id(&session).is_ok(), "a log-in left the id as it was");
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Given a holder of the lock that dies at any point of a rotation, then the session can be reached
/// under the old id in one copy, and locked after the lease.
async fn crash_between_the_steps_of_a_locked_rotation(cx: Cx) -> Outcome {
    let b = Server::new(&cx, &cx.b().await?)?;
    for point in 0.. {
        for arrives in [false, true] {
            let old = b.start().await?;
            let a = doomed(&cx, point, arrives)?;
            let session = a.open(&old);
            let died = until_death(&a, point, rotate_locked(&session)).await?;
            ensure_one_copy(&cx, &old, &a).await?;
            if !died {
                ensure!(point >= 4, "a locked rotation took {point} calls only");
                return Ok(());
            }
            goes_on(&cx, &b, &old).await?;
        }
    }
    Ok(())
}

async fn rotate_locked(session: &Session) -> Result<(), Failure> {
    let mut locked = session.lock(LONG).await?;
    locked.insert("held", 1)?;
    locked.cycle_id().await?;
    locked.insert("held", 2)?;
    Ok(locked.commit().await?)
}

/// Given a store that refuses any one call of a rotation, then the rotation fails or is done, the
/// session can be reached in one copy, and the same handle can go on.
async fn failure_between_rotation_steps(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    for point in 0.. {
        let old = b.start().await?;
        let session = a.open(&old);
        a.wire.rule_of(point, Fate::Refused);
        let outcome = session.cycle_id().await;
        ensure_one_copy(&cx, &old, &a).await?;
        a.wire.mend();
        let now = new_id(&session).unwrap_or(old);
        session.insert("after", 1).await?;
        session.save().await?;
        ensure_entry(&b.open(&now), "after", Some(1)).await?;
        ensure_entry(&b.open(&now), "user", Some("ada".to_owned())).await?;
        if outcome.is_ok() {
            ensure!(point >= 3, "a rotation took {point} calls only");
            return Ok(());
        }
    }
    Ok(())
}
