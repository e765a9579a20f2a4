//! Where the sessions of a scenario are kept.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::{MemoryStore, OffsetClock, SessionStore};

/// Opens stores for scenarios: each scenario has one of its own.
#[async_trait]
pub trait Stores: fmt::Debug + Send + Sync {
    /// An empty store, with room for so many who wait for the lock of a session.
    ///
    /// `clock` is that of the servers. A store whose clock can be chosen goes by it as well.
    async fn open(&self, clock: Arc<OffsetClock>, max_waiters: usize) -> Box<dyn Place>;
}

/// The store of one scenario.
#[async_trait]
pub trait Place: fmt::Debug + Send + Sync {
    /// The store.
    fn store(&self) -> Arc<dyn SessionStore>;

    /// Moves the clock by which the store judges deadlines, as that of the servers is moved. Nothing
    /// has to be done where it is the same one.
    ///
    /// # Errors
    /// With the reason, where the clock cannot be moved.
    async fn advance(&self, by: Duration) -> Played;

    /// How many sessions there are, aliases of rotated ids included.
    async fn records(&self) -> usize;
}

/// How a scenario ends that does not panic.
pub type Played = Result<(), Ignored>;

/// Why a scenario cannot be shown on a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored(String);

impl Ignored {
    /// For this reason.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Ignored {}

/// Stores in memory.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it is named as a value, and has nothing to set")]
pub struct InMemory;

impl InMemory {
    pub(super) fn place(clock: Arc<OffsetClock>, max_waiters: usize) -> Box<dyn Place> {
        let store = MemoryStore::builder().clock(clock).max_waiters(max_waiters).build();
        Box::new(Enumerated(Arc::new(store)))
    }
}

#[async_trait]
impl Stores for InMemory {
    async fn open(&self, clock: Arc<OffsetClock>, max_waiters: usize) -> Box<dyn Place> {
        Self::place(clock, max_waiters)
    }
}

/// A store that lists its sessions, and goes by the clock of the servers.
#[derive(Debug)]
struct Enumerated(Arc<MemoryStore>);

#[async_trait]
impl Place for Enumerated {
    fn store(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.0) as Arc<dyn SessionStore>
    }

    async fn advance(&self, _by: Duration) -> Played {
        Ok(())
    }

    async fn records(&self) -> usize {
        count(&*self.0).await
    }
}

/// How many sessions a store lists.
///
/// # Panics
/// When it lists none, or does not answer.
pub async fn count(store: &dyn SessionStore) -> usize {
    let all = store.enumeration().expect("a store that lists its sessions");
    all.keys(None, usize::MAX).await.expect("the store answers").keys.len()
}
