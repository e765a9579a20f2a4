//! Whether a server is ready to serve, as far as its sessions go.

use std::{fmt, sync::Arc, time::Duration};

use session_core::{ErrorKind, SessionStore};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// Tells whether the store answers, for the `/ready` of a load balancer or of Kubernetes.
///
/// The store is asked at most once a second, whoever asks how often: a storm of checks costs one
/// [`ping`](SessionStore::ping), and those who ask while it is under way wait for its answer. A clone
/// shares the answer.
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, extract::State, http::StatusCode, routing::get};
/// use session_core::MemoryStore;
/// use session_layers::{Health, Readiness};
///
/// async fn ready(State(store): State<Readiness>) -> (StatusCode, String) {
///     let health = store.check().await;
///     let status = match health {
///         // Slow is better than not at all: going away would make it slower for the others.
///         Health::Ready | Health::Slow => StatusCode::OK,
///         _ => StatusCode::SERVICE_UNAVAILABLE,
///     };
///     (status, health.to_string())
/// }
///
/// let store = MemoryStore::new();
/// let app: Router = Router::new().route("/ready", get(ready)).with_state(Readiness::new(store));
/// # Ok(())
/// # }
/// ```
///
/// Do not restart a server because its store is down (that is what a *liveness* check does): all
/// servers would restart at once, and none would be better for it.
#[derive(Debug, Clone)]
pub struct Readiness {
    store: Arc<dyn SessionStore>,
    deadline: Duration,
    keep: Duration,
    last: Arc<Mutex<Option<(Instant, Health)>>>,
}

impl Readiness {
    /// Checks `store`.
    #[must_use]
    pub fn new(store: impl SessionStore) -> Self {
        let (deadline, keep) = (Duration::from_millis(500), Duration::from_secs(1));
        Self { store: Arc::new(store), deadline, keep, last: Arc::default() }
    }

    /// How long to wait for the store before it counts as slow. It must be shorter than whoever asks
    /// waits for the answer, or he hears nothing instead of [`Slow`](Health::Slow). Default: half a
    /// second; Kubernetes waits for one (`timeoutSeconds`), so give it more there if you give more here.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long an answer is good for. Default: one second.
    #[must_use]
    pub const fn keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// How the store is, or was within the last second. Cancel safe.
    pub async fn check(&self) -> Health {
        let mut last = self.last.lock().await;
        if let Some((_, health)) = last.filter(|(at, _)| at.elapsed() < self.keep) {
            return health;
        }
        let health = self.ask().await;
        *last = Some((Instant::now(), health));
        health
    }

    async fn ask(&self) -> Health {
        match timeout(self.deadline, self.store.ping()).await {
            Ok(Ok(())) => Health::Ready,
            Ok(Err(error)) if error.kind() == ErrorKind::Timeout => Health::Slow,
            Ok(Err(error)) => Health::Down(error.kind()),
            Err(_) => Health::Slow,
        }
    }
}

/// How a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// It answers in time.
    Ready,
    /// It did not answer in time.
    Slow,
    /// It refuses, or cannot be reached, for this kind of reason.
    Down(ErrorKind),
}

impl Health {
    /// Whether it answers in time.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        matches!(self, Self::Ready)
    }
}

impl fmt::Display for Health {
    /// `ready`, `slow` or `down`: who may ask may be anybody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Slow => "slow",
            Self::Down(_) => "down",
        })
    }
}
