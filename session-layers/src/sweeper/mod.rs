//! The task that removes expired sessions.

mod worker;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use session_core::{ErrorKind, SessionStore, SweepBudget, SweepReport, Sweeping};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use self::worker::Worker;

#[doc = include_str!("sweeper.md")]
#[derive(Debug)]
#[must_use = "dropping a sweeper stops it"]
pub struct Sweeper {
    status: Shared,
    /// `None` where there is nothing to do.
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// What a sweeper has done so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SweeperStatus {
    /// Whether it is the one in the fleet that works. Where the store cannot elect one, all work
    /// and all are.
    pub is_elected: bool,
    /// Walks through the whole store that were finished.
    pub passes: u64,
    /// Calls of the store that failed.
    pub errors: u64,
    /// The last error's kind.
    pub last_error: Option<ErrorKind>,
    /// The sums of all steps, and the oldest lag of the last pass.
    pub total: SweepReport,
}

/// Sets up a [`Sweeper`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `start`"]
pub struct SweeperBuilder {
    store: Arc<dyn SessionStore>,
    settings: Settings,
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    interval: Duration,
    budget: SweepBudget,
    pause: Duration,
    lease: Duration,
}

impl Sweeper {
    /// Starts to sweep `store` with the default settings.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(store: impl SessionStore) -> Self {
        Self::builder(store).start()
    }

    /// A sweeper of `store` with settings of your own.
    pub fn builder(store: impl SessionStore) -> SweeperBuilder {
        let settings = Settings {
            interval: Duration::from_secs(60),
            budget: SweepBudget::default(),
            pause: Duration::from_millis(100),
            lease: Duration::from_secs(60),
        };
        SweeperBuilder { store: Arc::new(store), settings }
    }

    /// What it has done so far.
    #[must_use]
    pub fn status(&self) -> SweeperStatus {
        self.status.get().clone()
    }

    /// Stops at once, between two calls of the store or in the middle of one, and lets another
    /// server be elected.
    pub async fn shutdown(mut self) {
        let Some((stop, mut task)) = self.running.take() else { return };
        if stop.send(()).is_ok() && timeout(STOP, &mut task).await.is_err() {
            task.abort();
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.running {
            task.abort();
        }
    }
}

impl SweeperBuilder {
    /// The time from the end of a pass to the beginning of the next, give or take a tenth; at least
    /// 10 ms, at most 30 days: anything else counts as the nearer of the two. Default: a minute.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.settings.interval = interval.clamp(SHORTEST, LONGEST);
        self
    }

    /// The bounds of one step, of which the number is at least one. Default: 1,000 records or a
    /// second.
    pub fn budget(mut self, mut budget: SweepBudget) -> Self {
        budget.max_scanned = budget.max_scanned.max(1);
        self.settings.budget = budget;
        self
    }

    /// The time between two steps of a pass, which live traffic has for itself; at most 30 days.
    /// Default: 100 ms.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.settings.pause = pause.min(LONGEST);
        self
    }

    /// How long it takes at most until another server goes on when the elected one has died. It
    /// must be longer than a step takes; bounded as the [`interval`](Self::interval) is. Default: a
    /// minute.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease.clamp(SHORTEST, LONGEST);
        self
    }

    /// Starts it, in the tokio runtime that this is called in. Where the server removes expired
    /// records itself there is nothing to do, and nothing is started.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(self) -> Sweeper {
        let status = Shared::default();
        if self.store.capabilities().sweeping == Sweeping::ByServer {
            return Sweeper { status, running: None };
        }
        let worker = Worker::new(self.store, self.settings, status.clone());
        let (stop, stopped) = oneshot::channel();
        Sweeper { status, running: Some((stop, tokio::spawn(worker.run(stopped)))) }
    }
}

/// The status, as the worker writes and the application reads it.
#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<SweeperStatus>>);

impl Shared {
    /// A panic elsewhere leaves the status whole: every change to it is a single step.
    fn get(&self) -> MutexGuard<'_, SweeperStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a shutdown waits for the store to take the lease back.
const STOP: Duration = Duration::from_secs(5);

/// A worker that waits for less works without end.
const SHORTEST: Duration = Duration::from_millis(10);
/// Far from what overflows a clock.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
