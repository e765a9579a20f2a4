//! One server's part in sweeping: standing for election, and working when elected.

use std::{sync::Arc, time::Duration};

use session_core::{
    Cursor, Error, ErrorKind, Key, KeyDigest, Lease, LockRequest, Locked, OpToken, Result,
    SessionStore, SweepReport,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};
use tracing::{debug, info, warn};

use super::{Settings, Shared};

/// The key whose lock elects. No session has it, since the keys of sessions are digests.
const ELECTION: KeyDigest = KeyDigest::from_bytes(*b"elects the sweeper of this store");

/// The first pause after an error; it doubles with each that follows, up to the interval.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    store: Arc<dyn SessionStore>,
    settings: Settings,
    status: Shared,
    key: Key,
    office: Office,
    /// When the next pass begins.
    due: Instant,
    cursor: Option<Cursor>,
    /// The oldest lag of the pass so far.
    lag: Option<Duration>,
    errors_in_a_row: u32,
}

/// Whether this server may work.
enum Office {
    /// Not now. The token is that of a request for the lock that may be under way.
    Candidate(Option<OpToken>),
    Elected {
        lease: Lease,
        renewed: Instant,
    },
    /// The store cannot elect: everybody works, each at his own times.
    Everybody,
}

impl Worker {
    pub(super) fn new(store: Arc<dyn SessionStore>, settings: Settings, status: Shared) -> Self {
        let can_elect = store.capabilities().locking.is_yes();
        status.get().is_elected = !can_elect;
        let office = if can_elect { Office::Candidate(None) } else { Office::Everybody };
        Self {
            store,
            settings,
            status,
            key: Key::from_digest(ELECTION),
            office,
            due: Instant::now() + settings.interval.mul_f64(fastrand::f64()),
            cursor: None,
            lag: None,
            errors_in_a_row: 0,
        }
    }

    /// Works until it is told to stop.
    pub(super) async fn run(mut self, stopped: oneshot::Receiver<()>) {
        tokio::select! {
            () = self.work() => {}
            _ = stopped => {}
        }
        self.step_down().await;
    }

    async fn work(&mut self) {
        loop {
            let pause = match self.turn().await {
                Ok(pause) => {
                    self.errors_in_a_row = 0;
                    pause
                }
                Err(error) => self.back_off(&error),
            };
            sleep(pause).await;
        }
    }

    /// Does what is to be done now, and returns the time until there is more.
    async fn turn(&mut self) -> Result<Duration> {
        if let Some(wait) = self.stand().await? {
            return Ok(wait);
        }
        let until_due = self.due.saturating_duration_since(Instant::now());
        if until_due.is_zero() {
            return self.step().await;
        }
        Ok(until_due.min(self.settings.lease / 3))
    }

    /// Becomes or stays elected; returns when to try again if somebody else is.
    async fn stand(&mut self) -> Result<Option<Duration>> {
        if let Office::Elected { lease, renewed } = &mut self.office {
            if renewed.elapsed() < self.settings.lease / 3 {
                return Ok(None);
            }
            let asked = Instant::now();
            match self.store.renew(&self.key, lease, self.settings.lease).await {
                Ok(()) => {
                    *renewed = asked;
                    return Ok(None);
                }
                // Somebody else is elected, or may be by now.
                Err(error)
                    if error.kind() == ErrorKind::LockLost
                        || renewed.elapsed() >= self.settings.lease =>
                {
                    info!(target: "session", event = "sweeper_replaced", "no longer sweeping");
                    self.become_candidate();
                }
                Err(error) => return Err(error),
            }
        }
        match self.office {
            Office::Candidate(_) => self.stand_for_election().await,
            _ => Ok(None),
        }
    }

    async fn stand_for_election(&mut self) -> Result<Option<Duration>> {
        let (op, asked) = (OpToken::generate()?, Instant::now());
        self.office = Office::Candidate(Some(op));
        let request = LockRequest::new(op, self.settings.lease, Duration::ZERO);
        match self.store.lock(&self.key, request).await {
            Ok(Locked { lease: Some(lease), .. }) => {
                info!(target: "session", event = "sweeper_elected", "this server sweeps");
                self.office = Office::Elected { lease, renewed: asked };
            }
            Ok(_) => self.office = Office::Everybody,
            Err(error) => match error.kind() {
                ErrorKind::Unsupported => self.office = Office::Everybody,
                ErrorKind::LockTimeout | ErrorKind::LockHeld | ErrorKind::TooManyWaiters => {
                    return Ok(Some(self.until_next_election(&error)));
                }
                _ => return Err(error),
            },
        }
        self.status.get().is_elected = true;
        Ok(None)
    }

    /// When the present lease ends, unless it is renewed, and a little later.
    fn until_next_election(&self, refusal: &Error) -> Duration {
        let lease = self.settings.lease;
        let left = refusal.retry_after().unwrap_or(lease / 3).min(lease);
        left + (lease / 10).mul_f64(fastrand::f64())
    }

    fn become_candidate(&mut self) {
        self.office = Office::Candidate(None);
        self.status.get().is_elected = false;
    }

    async fn step(&mut self) -> Result<Duration> {
        let report = self.store.sweep(self.cursor.as_ref(), self.settings.budget).await?;
        self.count(&report);
        self.cursor = report.next;
        if self.cursor.is_some() {
            return Ok(self.settings.pause);
        }
        let mut status = self.status.get();
        status.passes += 1;
        status.total.oldest_lag = self.lag.take();
        debug!(target: "session", event = "swept", deleted = status.total.deleted, "store swept");
        let interval = self.settings.interval.mul_f64(0.9 + 0.2 * fastrand::f64());
        self.due = Instant::now() + interval;
        Ok(interval.min(self.settings.lease / 3))
    }

    fn count(&mut self, report: &SweepReport) {
        self.lag = self.lag.max(report.oldest_lag);
        let total = &mut self.status.get().total;
        total.scanned = total.scanned.saturating_add(report.scanned);
        total.deleted = total.deleted.saturating_add(report.deleted);
        total.skipped = total.skipped.saturating_add(report.skipped);
    }

    /// Notes an error, and returns the time to leave the store alone.
    fn back_off(&mut self, error: &Error) -> Duration {
        let mut status = self.status.get();
        status.errors += 1;
        status.last_error = Some(error.kind());
        warn!(target: "session", event = "sweep_failed", kind = ?error.kind(), "{error}");
        let longest = self.settings.interval.max(FIRST_PAUSE);
        let pause = FIRST_PAUSE.saturating_mul(1 << self.errors_in_a_row.min(16)).min(longest);
        self.errors_in_a_row += 1;
        pause.mul_f64(0.5 + 0.5 * fastrand::f64())
    }

    /// Lets another server be elected. A lock that was asked for and not answered yet is given
    /// back as well: its lease has the token of the request.
    async fn step_down(&mut self) {
        let lease = match &self.office {
            Office::Elected { lease, .. } => Some(lease.clone()),
            Office::Candidate(op) => op.map(|op| Lease::new(op, self.settings.lease)),
            Office::Everybody => None,
        };
        self.become_candidate();
        if let Some(lease) = lease
            && let Err(error) = self.store.release(&self.key, &lease).await
        {
            debug!(target: "session", event = "sweep_failed", "the lease ends by itself: {error}");
        }
    }
}
