//! How long sessions live, through the handle: E09 to E12, SEC-13, SEC-26.

use std::time::{Duration, Instant};

use session_core::{Operation, Session, SessionFacts, SessionId};

use super::cases;
use crate::{
    client::{HOUR, LONG},
    context::{Cx, finite},
    outcome::{Failure, Outcome, ensure, ensure_eq},
    server::{ABSOLUTE, IDLE, Server, ensure_no_session, lifetime, new_id},
};

cases! {
    "E09" touch_throttled [Touch];
    "E09" own_idle_lifetime_goes_with_the_session [Touch];
    "E10" absolute_deadline_ends_a_busy_session [Meta, Touch, Clock];
    "E11" idle_and_absolute_of_a_session_takes_min [Meta];
    "E12" rotation_keeps_absolute_start [NativeLayout];
    "E12" rotation_does_not_extend_the_absolute_deadline [NativeLayout, Meta, Clock];
    "SEC-26" log_in_time_survives [NativeLayout, Meta];
}

/// How far a deadline may be from what the case computes: servers' clocks, and a slow machine.
const SLACK: Duration = Duration::from_secs(60);

async fn facts(session: &Session) -> Result<SessionFacts, Failure> {
    session.facts().await?.ok_or_else(|| Failure::new("a session has no facts that is stored"))
}

/// A request that reads its session and changes nothing.
async fn look(server: &Server, id: &SessionId) -> Outcome {
    let session = server.open(id);
    let user: Option<String> = session.get("user").await?;
    ensure_eq!(user.as_deref(), Some("ada"), "the entry");
    Ok(session.save().await?)
}

/// Given many requests that change nothing, when less than the touch interval has passed, then
/// none extends the session; when it has passed, one does.
async fn touch_throttled(cx: Cx) -> Outcome {
    let interval = cx.brief();
    let server = Server::with(&cx, &cx.a, |settings| settings.touch_after(interval))?;
    let started = Instant::now();
    let id = server.start().await?;
    let mut touched = 0;
    for round in 1..=2 {
        for _ in 0..100 {
            look(&server, &id).await?;
        }
        cx.pass(interval + cx.has().expiry_precision).await?;
        look(&server, &id).await?;
        touched = server.wire.count(Operation::Touch);
        ensure!(touched >= round, "{touched} touches after {round} intervals");
    }
    ensure_eq!(server.wire.count(Operation::Save), 0, "saves of a session that only lives on");
    // Where the interval is real time, the requests may have taken more than one.
    let real = started.elapsed().as_millis() / interval.as_millis();
    let most = usize::try_from(real).unwrap_or(usize::MAX).saturating_add(2);
    ensure!(touched <= most, "{touched} touches by 202 requests");
    let left = finite(facts(&server.open(&id)).await?.remaining)?;
    ensure!(left + SLACK >= IDLE, "{left:?} remain after a touch");
    Ok(())
}

/// Given a session with an idle lifetime of its own, when it is saved, touched and rotated later,
/// then it keeps that lifetime.
async fn own_idle_lifetime_goes_with_the_session(cx: Cx) -> Outcome {
    let own = IDLE * 3;
    let server = Server::with(&cx, &cx.a, |settings| settings.touch_after(Duration::ZERO))?;
    let id = server.start().await?;
    let session = server.open(&id);
    session.set_idle_lifetime(own).await?;
    session.save().await?;
    let saving = server.open(&id);
    saving.insert("more", 1).await?;
    saving.save().await?;
    look(&server, &id).await?;
    let mut last = server.open(&id);
    if cx.backend().layout() == crate::Layout::Native {
        last.cycle_id().await?;
        last = server.open(&new_id(&last)?);
    }
    let left = finite(facts(&last).await?.remaining)?;
    ensure!(left + SLACK >= own && left <= own + SLACK, "{left:?} remain of {own:?}");
    Ok(())
}

/// Given a session that is used again and again, when its absolute deadline comes, then it ends.
async fn absolute_deadline_ends_a_busy_session(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let step = IDLE / 2;
    let steps = u32::try_from(ABSOLUTE.as_secs() / step.as_secs()).unwrap_or_default();
    for n in 1..steps {
        cx.pass(step).await?;
        let server = if n % 2 == 0 { &a } else { &b };
        look(server, &id).await?;
        if n % 3 == 0 {
            server.open(&id).update(|data| data.insert("n", n)).await?;
        }
    }
    cx.pass(step + SLACK + cx.has().expiry_precision).await?;
    ensure_no_session(&a, &id).await?;
    ensure_no_session(&b, &id).await
}

/// Given an idle lifetime and an absolute one, when created, saved and touched, then the session
/// lives for as long as the sooner of them allows, and says so.
async fn idle_and_absolute_of_a_session_takes_min(cx: Cx) -> Outcome {
    for (idle, absolute, own) in [(HOUR, HOUR * 5, HOUR), (HOUR, HOUR, HOUR * 3)] {
        let set = lifetime(&cx, idle, absolute);
        let server = Server::with(&cx, &cx.a, |settings| {
            settings.lifetime(set).touch_after(Duration::ZERO)
        })?;
        let id = server.start().await?;
        let session = server.open(&id);
        session.set_idle_lifetime(own).await?;
        session.save().await?;
        ensure_hour(&facts(&session).await?)?;
        ensure_hour(&facts(&server.open(&id)).await?)?;
        let touching = server.open(&id);
        touching.names().await?;
        touching.save().await?;
        ensure_hour(&facts(&touching).await?)?;
        ensure_hour(&facts(&Server::new(&cx, &cx.b().await?)?.open(&id)).await?)?;
    }
    Ok(())
}

#[track_caller]
fn ensure_hour(facts: &SessionFacts) -> Outcome {
    let left = finite(facts.remaining)?;
    ensure!(left <= HOUR + SLACK && left + SLACK >= HOUR, "{left:?} remain of an hour");
    Ok(())
}

/// Given a session, when its id is changed twice, then its beginning and its absolute deadline are
/// as they were.
async fn rotation_keeps_absolute_start(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let id = a.start().await?;
    let before = facts(&a.open(&id)).await?;
    cx.pass(Duration::from_millis(5)).await?;
    let session = b.open(&id);
    session.cycle_id().await?;
    session.cycle_id().await?;
    let after = facts(&a.open(&new_id(&session)?)).await?;
    ensure_eq!(after.created_at, before.created_at, "when the session began");
    ensure_eq!(after.absolute_deadline, before.absolute_deadline, "its absolute deadline");
    ensure_eq!(before.absolute_deadline.is_some(), cx.has().meta.is_yes(), "a deadline is kept");
    ensure_eq!(facts(&session).await?.created_at, before.created_at, "what the handle shows");
    Ok(())
}

/// Given a session whose id is changed again and again, when its absolute deadline comes, then it
/// ends under every id.
async fn rotation_does_not_extend_the_absolute_deadline(cx: Cx) -> Outcome {
    let [a, b] = Server::both(&cx).await?;
    let mut ids = vec![a.start().await?];
    let step = IDLE / 2;
    let steps = u32::try_from(ABSOLUTE.as_secs() / step.as_secs()).unwrap_or_default();
    for n in 1..steps {
        cx.pass(step).await?;
        let server = if n % 2 == 0 { &a } else { &b };
        let Some(id) = ids.last() else { continue };
        let session = server.open(id);
        session.cycle_id().await?;
        ids.push(new_id(&session)?);
    }
    cx.pass(step + SLACK + cx.has().expiry_precision).await?;
    for id in &ids {
        ensure_no_session(&a, id).await?;
    }
    Ok(())
}

/// Given a session that was logged in, when it is saved, touched, locked and rotated, then the
/// time of its log-in stays, apart from that of its creation; a second log-in renews it.
async fn log_in_time_survives(cx: Cx) -> Outcome {
    let server = Server::with(&cx, &cx.a, |settings| settings.touch_after(Duration::ZERO))?;
    let id = server.start().await?;
    let session = server.open(&id);
    ensure_eq!(facts(&session).await?.authenticated_at, None, "the log-in of an anonymous session");
    cx.pass(Duration::from_millis(5)).await?;
    session.login("ada").await?;
    let id = new_id(&session)?;
    let before = facts(&server.open(&id)).await?;
    ensure!(before.authenticated_at > Some(before.created_at), "the log-in is the creation");
    ensure_eq!(facts(&session).await?.authenticated_at, before.authenticated_at, "the handle's");
    server.open(&id).update(|data| data.insert("n", 1)).await?;
    look(&server, &id).await?;
    if cx.has().locking.is_yes() {
        let mut locked = server.open(&id).lock(LONG).await?;
        locked.insert("n", 2)?;
        locked.commit().await?;
    }
    let rotating = server.open(&id);
    rotating.cycle_id().await?;
    let id = new_id(&rotating)?;
    let after = facts(&server.open(&id)).await?;
    ensure_eq!(after.authenticated_at, before.authenticated_at, "the time of the log-in");
    ensure_eq!(after.created_at, before.created_at, "the time of the creation");
    cx.pass(Duration::from_millis(5)).await?;
    let again = server.open(&id);
    again.login("ada").await?;
    let renewed = facts(&server.open(&new_id(&again)?)).await?;
    ensure!(renewed.authenticated_at > after.authenticated_at, "a second log-in left no time");
    Ok(())
}
