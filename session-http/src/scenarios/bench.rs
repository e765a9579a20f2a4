//! What a scenario works with: a store, a clock, and browsers in front of servers.

use std::{rc::Rc, sync::Arc, time::Duration};

use session_core::{Lifetime, OffsetClock, SessionManager, SteadyClock};

use super::{
    Adapter, Browser, Counts, InMemory, ProbedStore, TestApp,
    place::{Place, Played, Stores},
};
use crate::{WebSessions, WebSessionsBuilder};

/// A store of its own for each scenario, and the applications that use it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Bench {
    /// The store.
    pub store: ProbedStore,
    /// The clock of the servers. [`advance`](Self::advance) moves that of the store as well.
    pub clock: Arc<OffsetClock>,
    /// The application.
    pub app: TestApp,
    place: Box<dyn Place>,
}

/// How long sessions live in the scenarios: 10 minutes idle, 60 in all.
const LIFETIME: Lifetime = Lifetime::new(Duration::from_secs(600), Some(Duration::from_secs(3600)));

/// How many may wait for the lock of a session, where a scenario is not about that.
const ROOM: usize = 50;

fn servers_clock() -> Arc<OffsetClock> {
    Arc::new(OffsetClock::new(SteadyClock::start()))
}

impl Bench {
    /// An empty store in memory.
    #[must_use]
    pub fn new() -> Self {
        let clock = servers_clock();
        Self::at(InMemory::place(Arc::clone(&clock), ROOM), clock)
    }

    /// An empty store of these.
    pub async fn on(stores: &dyn Stores) -> Self {
        Self::with_max_waiters(stores, ROOM).await
    }

    /// An empty store of these, with room for so many who wait for the lock of a session.
    pub async fn with_max_waiters(stores: &dyn Stores, waiters: usize) -> Self {
        let clock = servers_clock();
        Self::at(stores.open(Arc::clone(&clock), waiters).await, clock)
    }

    fn at(place: Box<dyn Place>, clock: Arc<OffsetClock>) -> Self {
        Self { store: ProbedStore::around(place.store()), clock, app: TestApp::default(), place }
    }

    /// Moves the clocks of the store and of the servers.
    ///
    /// # Errors
    /// With the reason, where that of the store cannot be moved.
    pub async fn advance(&self, by: Duration) -> Played {
        self.place.advance(by).await?;
        self.clock.advance(by);
        Ok(())
    }

    /// How many sessions there are, aliases of rotated ids included.
    pub async fn records(&self) -> usize {
        self.place.records().await
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
        let enough = async {
            let mut seen = self.counts().reads;
            while seen < wanted {
                self.store.asked().await;
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
