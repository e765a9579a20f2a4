//! What a scenario works with: a store, a clock, and browsers in front of servers.

use std::{rc::Rc, sync::Arc, time::Duration};

use session_core::{Lifetime, MemoryStore, OffsetClock, SessionManager, SteadyClock};

use super::{Adapter, Browser, Counts, ProbedStore, TestApp};
use crate::{WebSessions, WebSessionsBuilder};

/// A store of its own for each scenario, and the applications that use it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Bench {
    /// The store.
    pub store: ProbedStore,
    /// The clock of the store and of the servers.
    pub clock: Arc<OffsetClock>,
    /// The application.
    pub app: TestApp,
}

/// How long sessions live in the scenarios: 10 minutes idle, 60 in all.
const LIFETIME: Lifetime = Lifetime::new(Duration::from_secs(600), Some(Duration::from_secs(3600)));

impl Bench {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_max_waiters(50)
    }

    /// An empty store, with room for so many who wait for the lock of a session.
    #[must_use]
    pub fn with_max_waiters(waiters: usize) -> Self {
        let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
        let store = MemoryStore::builder().clock(Arc::clone(&clock)).max_waiters(waiters).build();
        Self { store: ProbedStore::new(store), clock, app: TestApp::default() }
    }

    /// A browser in front of a server with the default settings.
    pub async fn browser(&self, adapter: &dyn Adapter) -> Browser {
        self.browser_with(adapter, |settings| settings).await
    }

    /// A browser in front of a server with other settings.
    pub async fn browser_with(
        &self,
        adapter: &dyn Adapter,
        change: impl FnOnce(WebSessionsBuilder) -> WebSessionsBuilder,
    ) -> Browser {
        self.serve(adapter, self.sessions(change)).await
    }

    /// The sessions of a server with other settings.
    pub fn sessions(
        &self,
        change: impl FnOnce(WebSessionsBuilder) -> WebSessionsBuilder,
    ) -> WebSessions {
        let manager = SessionManager::builder(self.store.clone())
            .clock(Arc::clone(&self.clock))
            .lifetime(LIFETIME)
            .build()
            .expect("the settings are right");
        change(WebSessions::builder(manager)).build()
    }

    /// A browser in front of a server of these sessions.
    pub async fn serve(&self, adapter: &dyn Adapter, sessions: WebSessions) -> Browser {
        let server = adapter.serve(sessions, self.app.clone()).await;
        Browser::new(Rc::<dyn super::Server>::from(server))
    }

    /// The calls of the store since the last time this was asked.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.store.take_counts()
    }

    /// Returns when the store was asked for so many more reads.
    pub async fn reads(&self, wanted: usize) {
        let mut seen = 0;
        let enough = async {
            while seen < wanted {
                tokio::task::yield_now().await;
                seen += self.counts().reads;
            }
        };
        in_time("enough reads", enough).await;
    }

    /// Leaves the calls so far out of the next [`counts`](Self::counts).
    pub fn forget_counts(&self) {
        let Counts { .. } = self.counts();
    }
}

/// What has to come, and comes within moments unless the adapter is broken.
pub(super) async fn in_time<T>(what: &str, coming: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(120);
    let came = tokio::time::timeout(patience, coming).await;
    assert!(came.is_ok(), "{what} did not come within two minutes");
    came.expect("it came")
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}
