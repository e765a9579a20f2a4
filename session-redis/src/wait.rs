//! Waiting for a lock.
//!
//! Of each process only the head of a line asks the server. Once refused, it subscribes to the
//! key's channel and asks again, which marks the record: whoever frees the lock then publishes. A
//! lease that lapses frees it without a message, and messages can be lost; so the wait ends at the
//! end of the lease, and after [`WAKE_STEP`] at the latest.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use session_core::{
    Error, ErrorKind, Jitter, Key, KeyDigest, LockRequest, Locked, Operation, QueueError, Result,
    Turn, instant_after,
};
use tokio::time::{Instant, timeout};

use crate::{BACKEND, RedisStore, link::Subscription};

/// The longest pause between two looks at a lock.
pub(crate) const WAKE_STEP: Duration = Duration::from_millis(500);
/// For how long a look marks the record: longer than until the next look.
const MARK: Duration = WAKE_STEP.saturating_mul(3);
/// How long after a subscription failed the next one is tried.
const WATCH_AGAIN: Duration = Duration::from_secs(1);
/// The limits of the random pauses where no messages come.
const POLLS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// The channels of keys that somebody here waits for.
#[derive(Default)]
pub(crate) struct Watched(Mutex<HashMap<KeyDigest, Subscription>>);

impl Watched {
    fn map(&self) -> MutexGuard<'_, HashMap<KeyDigest, Subscription>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched({})", self.map().len())
    }
}

/// See [`lock`](session_core::SessionStore::lock).
pub(crate) async fn lock(store: &RedisStore, key: &Key, request: LockRequest) -> Result<Locked> {
    let refuse = |kind| Error::new(kind, BACKEND, Operation::Lock);
    let deadline = instant_after(request.wait);
    let mut place = Place { store, key, turn: None, watch_from: Instant::now() };
    place.turn = match store.0.queue.enter(key.digest(), deadline).await {
        Ok(turn) => Some(turn),
        Err(QueueError::Full) => return Err(refuse(ErrorKind::TooManyWaiters)),
        Err(_) => return Err(refuse(ErrorKind::LockTimeout)),
    };
    let mut pauses = Jitter::new(POLLS.0, POLLS.1);
    loop {
        let told = place.is_watched();
        let wants = if told { MARK } else { Duration::ZERO };
        let held = match store.try_lock(key, request, wants).await? {
            Ok(locked) => return Ok(locked),
            Err(held) => held,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(refuse(ErrorKind::LockTimeout).with_retry_after(Some(held)));
        }
        if !told && place.watch(left).await {
            continue;
        }
        let pause = if told { WAKE_STEP } else { pauses.pause() };
        // To the millisecond after the lease, at which the server lets it go.
        let lapse = held.saturating_add(Duration::from_millis(1));
        place.wait(pause.min(lapse).min(left)).await;
    }
}

/// A lock may be free. Where messages come, one does; else the next in line is told here.
pub(crate) fn freed(store: &RedisStore, key: &Key) {
    if !store.0.watched.map().contains_key(key.digest()) {
        store.0.queue.wake(key.digest());
    }
}

/// A place in a line, at its head once there is a turn. Who leaves the line as the last one gives
/// the channel up.
struct Place<'a> {
    store: &'a RedisStore,
    key: &'a Key,
    turn: Option<Turn>,
    /// Not to be tried before: it failed.
    watch_from: Instant,
}

impl Place<'_> {
    fn is_watched(&self) -> bool {
        self.store.0.watched.map().contains_key(self.key.digest())
    }

    /// Subscribes to the key's channel; whether that worked. It does not take longer than a pause.
    async fn watch(&mut self, left: Duration) -> bool {
        if Instant::now() < self.watch_from {
            return false;
        }
        let inner = &self.store.0;
        let subscribed = inner.link.subscribe(inner.keys.name(self.key));
        match timeout(left.min(POLLS.1), subscribed).await {
            Ok(Ok(subscription)) => {
                inner.watched.map().insert(*self.key.digest(), subscription);
                true
            }
            // No messages then: polling does as well.
            _ => {
                self.watch_from = Instant::now() + WATCH_AGAIN;
                false
            }
        }
    }

    async fn wait(&self, at_most: Duration) {
        if let Some(turn) = &self.turn {
            turn.wait(at_most).await;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        drop(self.turn.take());
        let inner = &self.store.0;
        let mut watched = inner.watched.map();
        if inner.queue.waiting(self.key.digest()) == 0 {
            let subscription = watched.remove(self.key.digest());
            drop(watched);
            drop(subscription);
        }
    }
}
