//! What is remembered for a while, up to a bound.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The most that one memory holds.
const LIMIT: usize = 2_048;
/// For how long it is held: longer than most requests take.
const AGE: Duration = Duration::from_secs(300);

/// Values by key, the latest [`LIMIT`] of the last [`AGE`].
#[derive(Debug)]
pub(crate) struct Recent<K, V>(Mutex<Inner<K, V>>);

#[derive(Debug)]
struct Inner<K, V> {
    values: HashMap<K, (Instant, V)>,
    order: VecDeque<(Instant, K)>,
}

impl<K: Clone + Eq + Hash, V: Clone> Recent<K, V> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Inner { values: HashMap::new(), order: VecDeque::new() }))
    }

    pub(crate) fn put(&self, key: K, value: V) {
        let (now, mut inner) = (Instant::now(), self.inner());
        let forgotten = inner.forget(now);
        inner.order.push_back((now, key.clone()));
        let replaced = inner.values.insert(key, (now, value));
        // What they hold is taken apart while others go on.
        drop(inner);
        drop((forgotten, replaced));
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.inner().values.get(key).map(|(_, value)| value.clone())
    }

    fn inner(&self) -> MutexGuard<'_, Inner<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, V> Inner<K, V> {
    /// Makes room for one more. Returns what has gone.
    fn forget(&mut self, now: Instant) -> Vec<V> {
        let mut forgotten = Vec::new();
        let is_over = |at: Instant| now.duration_since(at) > AGE;
        while self.order.front().is_some_and(|(at, _)| is_over(*at)) || self.order.len() >= LIMIT {
            let Some((at, key)) = self.order.pop_front() else { break };
            // It may have been put anew since.
            if self.values.get(&key).is_some_and(|(put, _)| *put == at) {
                forgotten.extend(self.values.remove(&key).map(|(_, value)| value));
            }
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let recent = Recent::new();
        for n in 0..=LIMIT {
            recent.put(n, n);
        }
        assert_eq!(recent.get(&0), None);
        assert_eq!((recent.get(&1), recent.get(&LIMIT)), (Some(1), Some(LIMIT)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_put_anew_stays() {
        let recent = Recent::new();
        recent.put("kept", 1);
        recent.put("old", 1);
        tokio::time::advance(AGE / 2).await;
        recent.put("kept", 2);
        tokio::time::advance(AGE * 3 / 4).await;
        recent.put("other", 1);
        assert_eq!((recent.get(&"kept"), recent.get(&"old")), (Some(2), None));
    }
}
