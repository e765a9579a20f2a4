//! A pool of connections.
//!
//! Callers wait in the order they came. The connection that was used last is used next, so that those
//! which a burst left over come to rest, and are closed in passing. Nothing runs in the background.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use session_core::ErrorKind;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

use super::{
    connection::{Sharing, Target, Wire},
    fault::Fault,
};
use crate::SqlConfig;

/// The most callers that wait for a connection, beyond which they are refused at once.
const WAITERS: usize = 1_024;
/// How long a sign of life may take.
const PING: Duration = Duration::from_millis(500);
/// A server that has been out of reach, or has taken no writes, for so long is not waited for.
const SILENCE: Duration = Duration::from_secs(1);
/// Failures that lie further apart say nothing about each other.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// What becomes of connections that rest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rests {
    /// After so long, it is asked for a sign of life: what lies between may have forgotten it without
    /// a word. Before, trying is cheaper: a statement may be sent again.
    pub(super) ping: Duration,
    /// After so long, it is not needed.
    pub(super) surplus: Duration,
}

const RESTS: Rests = Rests { ping: Duration::from_secs(60), surplus: Duration::from_secs(600) };

/// The connections to one target.
pub(super) struct Pool {
    target: std::sync::Arc<dyn Target>,
    slots: Semaphore,
    waiting: AtomicUsize,
    state: Mutex<State>,
    connect_timeout: Duration,
    max_lifetime: Option<Duration>,
    for_ever: bool,
    pub(super) rests: Rests,
    /// How many tries of statements were not their first.
    again: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// The one that was used last comes last.
    idle: Vec<Resting>,
    /// Connections of an earlier generation are not used again.
    generation: u64,
    /// Nothing is heard of the server.
    down: Option<Outage>,
    /// Every write is refused.
    refuses: Option<Outage>,
    /// When all was connected anew for that.
    renewed: Option<Instant>,
    /// How many are connecting.
    dialing: usize,
    /// Why the last try to connect failed.
    last: Option<Fault>,
}

impl State {
    /// What went wrong long ago tells nothing, unless someone is finding out just now.
    fn forget(&mut self) {
        if self.dialing == 0 {
            self.down = self.down.filter(Outage::is_fresh);
        }
        self.refuses = self.refuses.filter(Outage::is_fresh);
    }

    fn answered(&mut self, wrote: bool) {
        self.down = None;
        if wrote {
            self.refuses = None;
        }
    }

    /// Returns it if it is of no use any more, to be closed without the lock.
    fn put_back(&mut self, connection: Connection, since: Instant) -> Option<Connection> {
        if connection.generation != self.generation {
            return Some(connection);
        }
        self.idle.push(Resting { connection, since });
        None
    }
}

/// Failures, none of them long after the one before.
#[derive(Debug, Clone, Copy)]
struct Outage {
    since: Instant,
    last: Instant,
}

/// What to do about a server that takes no writes.
pub(super) struct Refused {
    /// It is so for longer than one call waits for its end.
    pub(super) for_long: bool,
    /// Its name may lead elsewhere by now. While it is so for long this is looked at from time to time
    /// only, since those who read need connections too.
    pub(super) renew: bool,
}

struct Resting {
    connection: Connection,
    since: Instant,
}

struct Connection {
    wire: Box<dyn Wire>,
    /// When it is replaced.
    until: Option<Instant>,
    generation: u64,
}

impl Connection {
    fn is_old(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// A connection in use. Unless it is [kept](Self::keep), it is closed when this is dropped, be it
/// because the caller went away in the middle of a statement: what the server still sends must not be
/// taken for the answer of the next one.
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    /// None only while it is dropped.
    connection: Option<Connection>,
    reused: bool,
    /// When it was taken.
    since: Instant,
    _slot: SemaphorePermit<'a>,
}

impl Pool {
    pub(super) fn new(target: std::sync::Arc<dyn Target>, size: u32, config: &SqlConfig) -> Self {
        let for_ever = target.sharing() == Sharing::OneForEver;
        Self {
            target,
            slots: Semaphore::new(usize::try_from(size.max(1)).unwrap_or(usize::MAX)),
            waiting: AtomicUsize::new(0),
            state: Mutex::default(),
            connect_timeout: config.connect_timeout,
            max_lifetime: (!for_ever).then_some(config.max_lifetime),
            for_ever,
            rests: RESTS,
            again: AtomicUsize::new(0),
        }
    }

    pub(super) fn target(&self) -> std::sync::Arc<dyn Target> {
        std::sync::Arc::clone(&self.target)
    }

    pub(super) const fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// A connection: one that rests, or a new one. Cancel safe.
    pub(super) async fn take(&self, deadline: Instant) -> Result<Lease<'_>, Fault> {
        let slot = match self.slots.try_acquire() {
            Ok(slot) => slot,
            Err(_) => self.wait(deadline).await?,
        };
        let now = Instant::now();
        if let Some(connection) = self.pop_rested(now) {
            return Ok(self.lease(connection, true, slot, now));
        }
        if let Some(fault) = self.given_up() {
            return Err(fault);
        }
        if let Some(spent) = self.pop_spent() {
            let by = deadline.min(Instant::now() + PING);
            drop(timeout_at(by, spent.wire.close()).await);
        }
        while let Some((mut connection, rested)) = self.pop_last() {
            if rested > self.rests.ping && !self.for_ever {
                let by = deadline.min(Instant::now() + PING);
                if !matches!(timeout_at(by, connection.wire.ping()).await, Ok(Ok(()))) {
                    // The others have rested for longer.
                    self.suspect_all(connection.generation);
                    continue;
                }
            }
            return Ok(self.lease(connection, true, slot, Instant::now()));
        }
        let connection = self.dial(deadline).await?;
        Ok(self.lease(connection, false, slot, Instant::now()))
    }

    /// The connection that was used last, where there is nothing to find out or to clear away first. That is
    /// so nearly always, and looked at once.
    fn pop_rested(&self, now: Instant) -> Option<Connection> {
        let mut state = self.state();
        if state.down.is_some() || state.refuses.is_some() {
            return None;
        }
        let rested = |resting: &Resting| now.saturating_duration_since(resting.since);
        let spent = |resting: &Resting| {
            resting.connection.is_old(now) || rested(resting) > self.rests.surplus
        };
        let fresh = state.idle.last().is_some_and(|last| rested(last) <= self.rests.ping);
        if !self.for_ever && (!fresh || state.idle.iter().any(spent)) {
            return None;
        }
        state.idle.pop().map(|last| last.connection)
    }

    const fn lease<'a>(
        &'a self,
        connection: Connection,
        reused: bool,
        slot: SemaphorePermit<'a>,
        since: Instant,
    ) -> Lease<'a> {
        Lease { pool: self, connection: Some(connection), reused, since, _slot: slot }
    }

    /// Waits until fewer are in use than there may be.
    async fn wait(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Fault> {
        if let Some(fault) = self.given_up() {
            return Err(fault);
        }
        let _waiter = Counted::one_of(&self.waiting, WAITERS).ok_or_else(|| {
            Fault::lasting(ErrorKind::Unavailable, "too many wait for a connection")
        })?;
        match timeout_at(deadline, self.slots.acquire()).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => Err(Fault::timeout("no connection was free in time")),
        }
    }

    /// One that has rested for too long, or is too old. Who asks for a connection closes no more than one
    /// of these; the others are left to those that come after.
    fn pop_spent(&self) -> Option<Connection> {
        if self.for_ever {
            return None;
        }
        let now = Instant::now();
        let surplus = |resting: &Resting| now.duration_since(resting.since) > self.rests.surplus;
        let spent = |resting: &Resting| surplus(resting) || resting.connection.is_old(now);
        let idle = &mut self.state().idle;
        idle.iter().position(spent).map(|place| idle.remove(place).connection)
    }

    /// The connection that was used last, with the time since.
    fn pop_last(&self) -> Option<(Connection, Duration)> {
        let now = Instant::now();
        let idle = &mut self.state().idle;
        let last = idle.iter().rposition(|resting| !resting.connection.is_old(now))?;
        let last = idle.remove(last);
        Some((last.connection, now.duration_since(last.since)))
    }

    async fn dial(&self, deadline: Instant) -> Result<Connection, Fault> {
        if let Some(fault) = self.given_up() {
            return Err(fault);
        }
        let (dialing, generation) = Dialing::begin(self);
        let by = deadline.min(Instant::now() + self.connect_timeout);
        let connected = match timeout_at(by, self.target.connect()).await {
            Ok(connected) => connected.map_err(super::fault::Verdict::into_fault),
            Err(_) => Err(Fault::timeout("connecting took too long")),
        };
        drop(dialing);
        match connected {
            Ok(wire) => {
                self.answered(false);
                let until = self.max_lifetime.map(|life| Instant::now() + jittered(life));
                Ok(Connection { wire, until, generation })
            }
            Err(fault) => {
                tracing::debug!(?fault, "no connection to the database");
                if fault.passes() {
                    self.fell_silent(&fault);
                }
                Err(fault)
            }
        }
    }

    /// While the server has been out of reach for long, one caller at a time tries it, and the others
    /// are told at once, so that an outage does not hold up every caller in turn.
    fn given_up(&self) -> Option<Fault> {
        let mut state = self.state();
        state.forget();
        let is_tried = state.dialing > 0 && state.idle.is_empty();
        let long = state.down.is_some_and(Outage::is_long);
        if long && is_tried { state.last.clone() } else { None }
    }

    /// Whether nothing has been heard of the server for longer than one call waits for it.
    pub(super) fn is_long_down(&self) -> bool {
        self.state().down.is_some_and(Outage::is_long)
    }

    /// The server is there, and has perhaps taken a write.
    pub(super) fn answered(&self, wrote: bool) {
        self.state().answered(wrote);
    }

    /// The server said nothing for as long as it may take.
    pub(super) fn fell_silent(&self, fault: &Fault) {
        let mut state = self.state();
        Outage::goes_on(&mut state.down);
        state.last = Some(fault.clone());
    }

    /// Uses no connection of that generation again: the server has gone, or lost its part to another
    /// one.
    fn suspect_all(&self, generation: u64) {
        let mut state = self.state();
        if self.for_ever || state.generation != generation {
            return;
        }
        state.generation += 1;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
    }

    /// A statement is tried again.
    pub(super) fn tries_again(&self) {
        self.again.fetch_add(1, Ordering::Relaxed);
    }

    /// The server takes no writes.
    pub(super) fn refused(&self) -> Refused {
        let mut state = self.state();
        let for_long = Outage::goes_on(&mut state.refuses).is_long();
        let renew = !for_long || state.renewed.is_none_or(|at| at.elapsed() > SILENCE);
        if renew {
            state.renewed = Some(Instant::now());
        }
        Refused { for_long, renew }
    }

    /// Whether its connection is never replaced.
    pub(super) const fn is_for_ever(&self) -> bool {
        self.for_ever
    }

    fn put_back(&self, connection: Connection) {
        let since = Instant::now();
        let useless = self.state().put_back(connection, since);
        drop(useless);
    }

    /// A panic elsewhere leaves it whole: every change to it is a single step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Pool")
            .field("idle", &state.idle.len())
            .field("down", &state.down.is_some())
            .field("refuses", &state.refuses.is_some())
            .field("again", &self.again.load(Ordering::Relaxed))
            .field("waiting", &self.waiting.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl Lease<'_> {
    pub(super) fn wire(&mut self) -> Option<&mut dyn Wire> {
        self.connection.as_mut().map(|connection| &mut *connection.wire as _)
    }

    /// Whether it was used before.
    pub(super) const fn is_reused(&self) -> bool {
        self.reused
    }

    /// When it was taken.
    pub(super) const fn since(&self) -> Instant {
        self.since
    }

    /// Gives the connection back for use by others: the statement has been answered.
    pub(super) fn keep(mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.put_back(connection);
        }
    }

    /// Gives it back as well, where the server has done what it was asked for, and says how long it was
    /// in use.
    pub(super) fn keep_answered(mut self, wrote: bool) -> Duration {
        let now = Instant::now();
        if let Some(connection) = self.connection.take() {
            let mut state = self.pool.state();
            state.answered(wrote);
            let useless = state.put_back(connection, now);
            drop(state);
            drop(useless);
        }
        now.saturating_duration_since(self.since)
    }

    /// Closes it and all that were made before it was found to be of no use.
    pub(super) fn discard_all(mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.suspect_all(connection.generation);
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && connection.wire.survives_cancellation()
        {
            self.pool.put_back(connection);
        }
    }
}

impl Outage {
    /// One more failure.
    fn goes_on(outage: &mut Option<Self>) -> Self {
        let now = Instant::now();
        let outage = outage.get_or_insert(Self { since: now, last: now });
        outage.last = now;
        *outage
    }

    /// Whether it is longer than one call waits for its end.
    fn is_long(self) -> bool {
        self.since.elapsed() > SILENCE
    }

    fn is_fresh(&self) -> bool {
        self.last.elapsed() <= FORGOTTEN
    }
}

/// One of those that are counted.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn one_of(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let counted = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < most).then_some(counted)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Someone who is connecting.
struct Dialing<'a>(&'a Pool);

impl<'a> Dialing<'a> {
    /// And the generation that the connection will be of.
    fn begin(pool: &'a Pool) -> (Self, u64) {
        let mut state = pool.state();
        state.dialing += 1;
        (Self(pool), state.generation)
    }
}

impl Drop for Dialing<'_> {
    fn drop(&mut self) {
        self.0.state().dialing -= 1;
    }
}

/// Give or take a tenth, so that connections that were made together do not end together.
fn jittered(life: Duration) -> Duration {
    life.mul_f64(0.9 + 0.2 * fastrand::f64())
}

#[cfg(test)]
mod tests;
