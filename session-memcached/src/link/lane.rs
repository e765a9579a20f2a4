//! A connection that is made anew when it is no longer fit.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use super::{connection::Connection, dial::Dialer, fault::Fault, info::Info};
use crate::Endpoint;

/// After a failure the next attempt is made after a pause of up to this, which doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One connection to a server, and the next one after its end.
pub(super) struct Lane {
    dialer: Dialer,
    to: Endpoint,
    state: Mutex<State>,
    /// Whoever has it connects; the others wait for what comes of it.
    dialing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    info: Option<Info>,
    failures: u32,
    /// Why the last attempt failed, and when the next one may be made.
    failed: Option<(Fault, Instant)>,
}

impl Lane {
    pub(super) fn new(dialer: Dialer, to: Endpoint) -> Self {
        Self { dialer, to, state: Mutex::default(), dialing: tokio::sync::Mutex::new(()) }
    }

    /// What the server last said of itself.
    pub(super) fn info(&self) -> Option<Info> {
        self.state().info.clone()
    }

    /// A connection that is fit, made anew if need be. While the server is known to be away, fails
    /// at once.
    pub(super) async fn connection(&self, deadline: Instant) -> Result<Arc<Connection>, Fault> {
        if let Some(connection) = self.fit() {
            return Ok(connection);
        }
        let Ok(_dialing) = timeout_at(deadline, self.dialing.lock()).await else {
            return Err(Fault::timeout());
        };
        if let Some(connection) = self.fit() {
            return Ok(connection);
        }
        if let Some((fault, until)) = &self.state().failed
            && Instant::now() < *until
        {
            return Err(fault.clone());
        }
        match timeout_at(deadline, self.dialer.dial(&self.to)).await {
            Ok(Ok((connection, info))) => Ok(self.succeed(connection, info)),
            Ok(Err(fault)) => Err(self.fail(fault)),
            Err(_elapsed) => Err(self.fail(Fault::timeout())),
        }
    }

    /// The connection, if there is one that is fit.
    pub(super) fn fit(&self) -> Option<Arc<Connection>> {
        self.state().connection.clone().filter(|connection| connection.is_fit())
    }

    fn succeed(&self, connection: Connection, info: Info) -> Arc<Connection> {
        let connection = Arc::new(connection);
        let (kept, info) = (Some(Arc::clone(&connection)), Some(info));
        *self.state() = State { connection: kept, info, failures: 0, failed: None };
        connection
    }

    fn fail(&self, fault: Fault) -> Fault {
        let mut state = self.state();
        let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(state.failures.min(10)));
        let pause = longest.min(LONGEST_PAUSE).mul_f64(0.5 + fastrand::f64() / 2.0);
        state.connection = None;
        state.failures = state.failures.saturating_add(1);
        state.failed = Some((fault.clone(), Instant::now() + pause));
        fault
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
