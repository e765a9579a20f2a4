//! The locks that we hold.
//!
//! Symfony's lock is a transaction, or a named lock of a connection: it lasts as long as the connection.
//! Ours is a lease besides: when it lapses, the lock is given back, so that others get it. Its holder can
//! go on after that as long as nobody else has it, and the bytes are still those that he knows.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use session_core::{Key, OpToken, Revision};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify},
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use crate::link::Wire;

/// For how long a lapsed lease may be taken up again.
pub(super) const AFTERLIFE: Duration = Duration::from_secs(300);

/// All locks of a store.
#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<HashMap<OpToken, Arc<Hold>>>);

impl Holds {
    pub(super) fn add(&self, token: OpToken, hold: Hold) -> Arc<Hold> {
        let hold = Arc::new(hold);
        lock(&self.0).insert(token, Arc::clone(&hold));
        hold
    }

    pub(super) fn get(&self, token: OpToken) -> Option<Arc<Hold>> {
        lock(&self.0).get(&token).cloned()
    }

    pub(super) fn remove(&self, token: OpToken) -> Option<Arc<Hold>> {
        let hold = lock(&self.0).remove(&token)?;
        if let Some(watcher) = hold.watcher.get() {
            watcher.abort();
        }
        Some(hold)
    }

    /// The hold of a session that has not lapsed.
    pub(super) fn of(&self, key: &Key) -> Option<Arc<Hold>> {
        let holds = lock(&self.0);
        holds.values().find(|hold| hold.key == *key && hold.left().is_some()).cloned()
    }
}

/// A lock that was granted.
pub(super) struct Hold {
    pub(super) key: Key,
    pub(super) state: AsyncMutex<State>,
    until: Mutex<Instant>,
    changed: Notify,
    watcher: OnceLock<AbortHandle>,
}

pub(super) struct State {
    /// The connection that has the lock. Gone when the lease has lapsed, or the connection broke.
    pub(super) wire: Option<Box<dyn Wire>>,
    /// What the holder has read or written last.
    pub(super) known: Revision,
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Hold {
    pub(super) fn new(key: Key, wire: Box<dyn Wire>, known: Revision, until: Instant) -> Self {
        Self {
            key,
            state: AsyncMutex::new(State { wire: Some(wire), known }),
            until: Mutex::new(until),
            changed: Notify::new(),
            watcher: OnceLock::new(),
        }
    }

    /// Who lets it lapse has nothing to do any more when the lock is given back.
    pub(super) fn watched_by(&self, watcher: AbortHandle) {
        // It is said once, right after the grant.
        self.watcher.set(watcher).ok();
    }

    pub(super) fn until(&self) -> Instant {
        *lock(&self.until)
    }

    pub(super) fn extend(&self, until: Instant) {
        *lock(&self.until) = until;
        self.changed.notify_one();
    }

    pub(super) fn left(&self) -> Option<Duration> {
        let left = self.until().saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Waits until the lease lapses.
    pub(super) async fn wait(&self) {
        while self.left().is_some() {
            // Whether it ends or was changed, it is looked at again.
            timeout_at(self.until(), self.changed.notified()).await.ok();
        }
    }
}

/// Every change under these locks is a single assignment, so a panic elsewhere leaves them whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
