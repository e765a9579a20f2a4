//! Keeps one connection: makes it when it is first needed, and anew when it is no longer fit.

use std::{
    sync::{
        Arc, Mutex as StdMutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use session_core::ErrorKind;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until, timeout_at},
};

use super::{Boxed, connection::Connection, fault::Fault};

/// The pauses between tries to connect begin with one of up to this and double.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The place of one connection.
#[derive(Default)]
pub(super) struct Lane {
    present: RwLock<Option<Arc<Connection>>>,
    /// Held by the one who connects.
    dialing: Mutex<Dialing>,
    failures: AtomicU64,
    /// Since when every try to connect has failed.
    down_since: StdMutex<Option<Instant>>,
}

/// What to do while somebody else connects, and in the pause after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Wait,
    /// There is another server to ask.
    None,
}

fn resting() -> Fault {
    Fault::new(ErrorKind::Unavailable, "the server could not be reached")
}

#[derive(Default)]
struct Dialing {
    /// Tries that failed, or brought a connection that was soon unfit.
    in_a_row: u32,
    connected: Option<Instant>,
    not_before: Option<Instant>,
    last: Option<Fault>,
}

impl Lane {
    /// The present connection, if it is fit for use.
    pub(super) fn present(&self) -> Option<Arc<Connection>> {
        self.last().as_ref().filter(|connection| connection.is_fit()).cloned()
    }

    /// Whether the server fell silent on the last connection: true for the first who asks.
    pub(super) fn fell_silent(&self) -> bool {
        self.last().as_ref().is_some_and(|connection| connection.fell_silent())
    }

    fn last(&self) -> RwLockReadGuard<'_, Option<Arc<Connection>>> {
        self.present.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long every try to connect has failed.
    pub(super) fn down_for(&self) -> Duration {
        self.down_since().map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn down_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.down_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the next one who comes connect anew.
    pub(super) fn retire(&self) {
        if let Some(connection) = self.present() {
            connection.retire();
        }
    }

    /// The present connection, or a new one. Of many callers one connects, and the failure is told
    /// to all of them. Cancel safe.
    pub(super) async fn connection<F>(
        &self,
        patience: Patience,
        deadline: Instant,
        dial: impl FnOnce() -> F + Send,
    ) -> Result<Arc<Connection>, Fault>
    where
        F: Future<Output = Result<Connection, Fault>> + Send,
    {
        match self.present() {
            Some(connection) => Ok(connection),
            None => {
                let connecting: Boxed<'_, _> = Box::pin(self.connect(patience, deadline, dial));
                connecting.await
            }
        }
    }

    async fn connect<F>(
        &self,
        patience: Patience,
        deadline: Instant,
        dial: impl FnOnce() -> F + Send,
    ) -> Result<Arc<Connection>, Fault>
    where
        F: Future<Output = Result<Connection, Fault>> + Send,
    {
        let failures = self.failures.load(Ordering::Relaxed);
        let dialed = timeout_at(deadline, async {
            let mut dialing = match patience {
                Patience::Wait => self.dialing.lock().await,
                Patience::None => self.dialing.try_lock().map_err(|_busy| resting())?,
            };
            if let Some(connection) = self.present() {
                return Ok(connection);
            }
            if let Some(fault) = dialing.last.clone()
                && self.failures.load(Ordering::Relaxed) != failures
            {
                return Err(fault);
            }
            match dialing.not_before {
                Some(at) if patience == Patience::None && at > Instant::now() => {
                    return Err(resting());
                }
                Some(at) => sleep_until(at).await,
                None => {}
            }
            let dialed = dial().await;
            self.note(&mut dialing, dialed)
        });
        dialed.await.unwrap_or_else(|_| Err(Fault::timeout()))
    }

    fn note(
        &self,
        dialing: &mut Dialing,
        dialed: Result<Connection, Fault>,
    ) -> Result<Arc<Connection>, Fault> {
        // A server that takes connections and then does not serve is not asked without pause either.
        let soon = |connected: Instant| connected.elapsed() < LONGEST_PAUSE * 2;
        let was_left = self.last().as_ref().is_some_and(|last| last.was_left());
        if dialed.is_err() || !was_left && dialing.connected.is_some_and(soon) {
            dialing.in_a_row += 1;
        } else {
            dialing.in_a_row = 0;
        }
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(dialing.in_a_row.min(10));
        let pause = pause.min(LONGEST_PAUSE).mul_f64(fastrand::f64());
        dialing.not_before = Some(Instant::now() + pause);
        match dialed {
            Ok(connection) => {
                *self.down_since() = None;
                dialing.connected = Some(Instant::now());
                let connection = Arc::new(connection);
                let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
                *present = Some(Arc::clone(&connection));
                Ok(connection)
            }
            Err(fault) => {
                self.down_since().get_or_insert_with(Instant::now);
                dialing.last = Some(fault.clone());
                self.failures.fetch_add(1, Ordering::Relaxed);
                Err(fault)
            }
        }
    }
}
