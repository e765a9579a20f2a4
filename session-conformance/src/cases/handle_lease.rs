//! The lease of an exclusive session, and its renewal: L20 to L24.

use std::time::{Duration, Instant};

use session_core::{ErrorKind, LockedSession, Operation, SessionId};
use tokio::task::JoinHandle;

use super::cases;
use crate::{
    client::LONG,
    context::Cx,
    outcome::{Failure, Outcome, PATIENCE, ensure, ensure_eq, refused, refused_as, soon, within},
    server::{Server, ensure_entry, key, new_id},
    wire::{Fate, Sent},
};

cases! {
    "L20" lease_is_renewed_while_a_handler_works [Locking];
    "L21" renewal_stops_with_the_lock [Locking];
    "L21" renewal_moves_with_the_id [Locking, NativeLayout];
    "L22" renewal_failure_notifies_holder [Locking];
    "L22" broken_lease_notifies_holder [Locking, BreakableLocks];
    "L23" renewal_survives_failover_blip [Locking];
    "L24" renewal_has_a_cap [Locking];
}

/// A lease that is renewed, or not, in real time.
const LEASE: Duration = Duration::from_secs(2);

/// A server with that lease.
fn server(cx: &Cx) -> Result<Server, Failure> {
    server_with(cx, LEASE)
}

fn server_with(cx: &Cx, lease: Duration) -> Result<Server, Failure> {
    Server::with(cx, &cx.a, |settings| settings.lock_lease(lease))
}

async fn lock(server: &Server, id: &SessionId) -> Result<LockedSession, Failure> {
    Ok(server.open(id).lock(PATIENCE).await?)
}

/// How the machine kept the time during a case: whether it stood still for so long that a lease was
/// lost by right.
struct Pace {
    last: Instant,
    slowest: Duration,
}

impl Pace {
    fn start() -> Self {
        Self { last: Instant::now(), slowest: Duration::ZERO }
    }

    fn step(&mut self) {
        self.slowest = self.slowest.max(self.last.elapsed());
        self.last = Instant::now();
    }

    fn was_steady(&self, lease: Duration) -> bool {
        self.slowest < lease / 8
    }
}

/// How often a case is begun anew on a machine that stands still now and then.
const ATTEMPTS: usize = 4;

fn too_slow() -> Failure {
    Failure::new(format_args!("no renewal, or this machine is too slow for a lease of {LEASE:?}"))
}

/// Holds the lock for some leases, and looks whether somebody else can get it meanwhile.
async fn hold_on(
    cx: &Cx,
    locked: &LockedSession,
    id: &SessionId,
    lease: Duration,
) -> Result<(bool, Pace), Failure> {
    let (b, mut pace) = (cx.b().await?, Pace::start());
    let until = Instant::now() + lease * 5 / 2;
    let mut kept = true;
    while Instant::now() < until {
        tokio::time::sleep(lease / 20).await;
        kept = kept && b.is_locked(&key(id)).await?;
        pace.step();
    }
    Ok((kept && !locked.is_lost(), pace))
}

/// Holds the lock under a rule for what is sent, and commits in the end; the lock must be kept.
async fn ensure_kept(cx: &Cx, rule: fn(&Sent) -> Fate) -> Outcome {
    for attempt in 0..ATTEMPTS {
        // On a slow machine there is more time with each of them.
        let lease = LEASE * (1 << attempt);
        let a = server_with(cx, lease)?;
        let id = a.start().await?;
        a.wire.rule(rule);
        let mut locked = lock(&a, &id).await?;
        let (kept, pace) = hold_on(cx, &locked, &id, lease).await?;
        if kept {
            locked.insert("held", 1)?;
            locked.commit().await?;
            return ensure_entry(&a.open(&id), "held", Some(1)).await;
        }
        ensure!(!pace.was_steady(lease), "a lease was lost that should have been renewed");
    }
    Err(too_slow())
}

/// Given a handler that works for longer than its lease, then nobody else gets the lock meanwhile,
/// and its commit succeeds.
async fn lease_is_renewed_while_a_handler_works(cx: Cx) -> Outcome {
    ensure_kept(&cx, |_| Fate::Arrives).await
}

/// Given a store that does not answer for a while, or refuses, when it works again before the lease
/// has ended, then the renewal resumes.
async fn renewal_survives_failover_blip(cx: Cx) -> Outcome {
    ensure_kept(&cx, |call| match call.operation {
        Operation::Renew if call.nth == 0 => Fate::Swallowed,
        _ => Fate::Arrives,
    })
    .await?;
    ensure_kept(&cx, |call| match call.operation {
        Operation::Renew if call.nth < 3 => Fate::Refused,
        _ => Fate::Arrives,
    })
    .await
}

/// Given a lock that was committed, rolled back or dropped, then no renewal is sent later.
async fn renewal_stops_with_the_lock(cx: Cx) -> Outcome {
    let a = server(&cx)?;
    let id = a.start().await?;
    for end in 0..3 {
        let mut locked = lock(&a, &id).await?;
        locked.insert("end", end)?;
        match end {
            0 => locked.commit().await?,
            1 => locked.rollback().await?,
            _ => drop(locked),
        }
        // Frees it for the next round too, whatever the way it ended.
        lock(&a, &id).await?.rollback().await?;
        let sent = a.wire.count(Operation::Renew);
        tokio::time::sleep(LEASE / 2).await;
        ensure_eq!(a.wire.count(Operation::Renew), sent, "renewals after the end of the lock");
    }
    Ok(())
}

/// Given a holder that changes the id, then the lease of the new id is renewed, and that of the old
/// one no more.
async fn renewal_moves_with_the_id(cx: Cx) -> Outcome {
    for _ in 0..ATTEMPTS {
        let a = server(&cx)?;
        let old = a.start().await?;
        let session = a.open(&old);
        let mut locked = session.lock(PATIENCE).await?;
        locked.cycle_id().await?;
        let new = new_id(&session)?;
        a.wire.clear();
        let (kept, pace) = hold_on(&cx, &locked, &new, LEASE).await?;
        let sent = a.wire.sent();
        let of_old = |sent: &&Sent| {
            sent.operation == Operation::Renew && sent.key.as_ref() == Some(&key(&old))
        };
        ensure_eq!(sent.iter().filter(of_old).count(), 0, "renewals of the lock that ended");
        if kept {
            return Ok(locked.commit().await?);
        }
        ensure!(!pace.was_steady(LEASE), "the lease of the new id was not renewed");
    }
    Err(too_slow())
}

/// A waiter on the second server: when it got the lock, and the lock.
fn waiter(
    b: &Server,
    id: &SessionId,
) -> JoinHandle<session_core::Result<(Instant, LockedSession)>> {
    let session = b.open(id);
    tokio::spawn(async move {
        let locked = session.lock(LONG).await?;
        Ok((Instant::now(), locked))
    })
}

/// Waits until the holder is told that its lock is lost; returns when that was.
async fn told(locked: &LockedSession, pace: &mut Pace) -> Result<Instant, Failure> {
    let until = Instant::now() + LEASE * 2 + PATIENCE;
    while tokio::time::timeout(LEASE / 20, locked.lost()).await.is_err() {
        pace.step();
        ensure!(Instant::now() < until, "the holder is not told that its lock is lost");
    }
    ensure!(locked.is_lost(), "a lock is lost and not lost");
    Ok(Instant::now())
}

/// Given renewals that are not answered, or refused, then the holder is told that it cannot count
/// on its lock before somebody else gets it, and its commit is refused once another has saved.
async fn renewal_failure_notifies_holder(cx: Cx) -> Outcome {
    for fate in [Fate::Swallowed, Fate::Refused] {
        let [a, b] = [server(&cx)?, Server::new(&cx, &cx.b().await?)?];
        a.wire.rule(move |call| match call.operation {
            Operation::Renew => fate,
            _ => Fate::Arrives,
        });
        let mut shown = false;
        for _ in 0..ATTEMPTS {
            let id = a.start().await?;
            let mut pace = Pace::start();
            let locked = lock(&a, &id).await?;
            let waiting = waiter(&b, &id);
            let told = told(&locked, &mut pace).await?;
            let bound = LEASE + cx.has().takeover_time + cx.has().wake_step + PATIENCE;
            let (got, successor) = within(bound, "the waiter", waiting).await???;
            pace.step();
            ensure_successor_wins(locked, successor).await?;
            shown = told <= got;
            if shown {
                break;
            }
            ensure!(!pace.was_steady(LEASE), "another had the lock {:?} before", told - got);
        }
        ensure!(shown, "{}", too_slow());
    }
    Ok(())
}

/// The holder that lost its lock commits after its successor, and is refused.
async fn ensure_successor_wins(mut stale: LockedSession, mut successor: LockedSession) -> Outcome {
    successor.insert("owner", "the successor")?;
    successor.commit().await?;
    stale.insert("owner", "the stale holder")?;
    let kinds = [ErrorKind::LockLost, ErrorKind::Conflict];
    refused_as(stale.commit().await, &kinds, "a commit by a holder who lost its lock")?;
    Ok(())
}

/// Given a lock that is broken by a log-out, then its holder is told at its next renewal.
async fn broken_lease_notifies_holder(cx: Cx) -> Outcome {
    let (a, b) = (server(&cx)?, Server::new(&cx, &cx.b().await?)?);
    let id = a.start().await?;
    let mut locked = lock(&a, &id).await?;
    ensure!(!locked.is_lost(), "a lock is lost from the start");
    b.open(&id).delete().await?;
    told(&locked, &mut Pace::start()).await?;
    locked.insert("late", 1)?;
    refused_as(
        locked.commit().await,
        &[ErrorKind::NotFound, ErrorKind::LockLost],
        "a commit to a session that has ended",
    )?;
    Ok(())
}

/// Given a handler that does not come to an end, when the longest hold has passed, then the lock is
/// not renewed any more, the holder is told, and another gets it.
async fn renewal_has_a_cap(cx: Cx) -> Outcome {
    for attempt in 0..ATTEMPTS {
        // On a slow machine there is more time for it.
        if is_capped(&cx, LEASE * (1 << attempt)).await? {
            return Ok(());
        }
    }
    Err(too_slow())
}

/// Whether the machine was quick enough to see it: the lock is renewed at first, and tried before
/// its lease is over.
async fn is_capped(cx: &Cx, lease: Duration) -> Result<bool, Failure> {
    let b = Server::new(cx, &cx.b().await?)?;
    let a = Server::with(cx, &cx.a, |settings| settings.lock_lease(lease).max_hold(lease * 3 / 2))?;
    let id = a.start().await?;
    let begun = Instant::now();
    let stuck = lock(&a, &id).await?;
    let tried = b.open(&id).lock(Duration::ZERO).await;
    if tried.is_ok() && begun.elapsed() >= lease {
        return Ok(false);
    }
    refused(tried, ErrorKind::LockTimeout, "a try of a held lock")?;
    let bound = lease * 3 + cx.has().takeover_time + cx.has().wake_step + PATIENCE;
    let (_, successor) =
        within(bound, "a waiter behind a stuck handler", waiter(&b, &id)).await???;
    soon("the notice to a stuck handler", stuck.lost()).await?;
    let sent = a.wire.count(Operation::Renew);
    ensure_successor_wins(stuck, successor).await?;
    ensure_eq!(a.wire.count(Operation::Renew), sent, "renewals after the longest hold");
    Ok(sent > 0)
}
