//! The in-process queue in front of a store's locks.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};

use crate::KeyDigest;

/// The line of waiters for each key: first in, first out, bounded, and cancel safe.
///
/// A store lets a caller [`enter`](Self::enter) before it tries to take a lock. Who stands at the
/// head holds the [`Turn`], and is the only one in the process who asks the server. So a process
/// has at most one waiter a key at the server, and its callers get the lock in the order they
/// came. The turn ends with the grant, not with the lock: the next in line then waits for the
/// holder.
///
/// Dropping a turn, or the future of [`enter`](Self::enter), leaves the line. Clones share the lines.
#[derive(Clone)]
pub struct LockQueue {
    lines: Arc<Lines>,
    max_waiters: usize,
}

type Lines = Mutex<HashMap<KeyDigest, VecDeque<Arc<Notify>>>>;

/// Why a line was not passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueError {
    /// The line is full.
    Full,
    /// The deadline came first.
    Timeout,
}

impl LockQueue {
    /// A queue with at most `max_waiters` in each line, the one at its head included.
    #[must_use]
    pub fn new(max_waiters: usize) -> Self {
        Self { lines: Arc::default(), max_waiters: max_waiters.max(1) }
    }

    /// Stands in line for `key` and returns at the head of it.
    ///
    /// An empty line is entered whatever the deadline. Cancel safe: dropping the future leaves the
    /// line.
    ///
    /// # Errors
    /// [`QueueError::Full`] at once, [`QueueError::Timeout`] at the deadline.
    pub async fn enter(&self, key: &KeyDigest, deadline: Instant) -> Result<Turn, QueueError> {
        let turn = self.join(key)?;
        while !turn.is_head() {
            if timeout_at(deadline, turn.ticket.notified()).await.is_err() && !turn.is_head() {
                return Err(QueueError::Timeout);
            }
        }
        Ok(turn)
    }

    /// Tells the one at the head of the line that the lock may be free. Nobody in line: no effect.
    pub fn wake(&self, key: &KeyDigest) {
        if let Some(head) = lock(&self.lines).get(key).and_then(VecDeque::front) {
            head.notify_one();
        }
    }

    /// How many stand in line for `key`.
    #[must_use]
    pub fn waiting(&self, key: &KeyDigest) -> usize {
        lock(&self.lines).get(key).map_or(0, VecDeque::len)
    }

    fn join(&self, key: &KeyDigest) -> Result<Turn, QueueError> {
        let mut lines = lock(&self.lines);
        let line = lines.entry(*key).or_default();
        if line.len() >= self.max_waiters {
            return Err(QueueError::Full);
        }
        let ticket = Arc::new(Notify::new());
        line.push_back(Arc::clone(&ticket));
        Ok(Turn { lines: Arc::clone(&self.lines), key: *key, ticket })
    }
}

impl fmt::Debug for LockQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockQueue")
            .field("lines", &lock(&self.lines).len())
            .field("max_waiters", &self.max_waiters)
            .finish()
    }
}

/// The head of a line; dropping it lets the next one come forward.
#[derive(Debug)]
#[must_use = "dropping a turn leaves the line"]
pub struct Turn {
    lines: Arc<Lines>,
    key: KeyDigest,
    ticket: Arc<Notify>,
}

impl Turn {
    /// Waits until [`LockQueue::wake`] is called for the key, or for `at_most` that long. A wake
    /// since the last wait counts. Cancel safe.
    pub async fn wait(&self, at_most: Duration) {
        // Whether it was woken or timed out, the caller tries again.
        drop(timeout(at_most, self.ticket.notified()).await);
    }

    fn is_head(&self) -> bool {
        let lines = lock(&self.lines);
        let head = lines.get(&self.key).and_then(VecDeque::front);
        head.is_some_and(|head| Arc::ptr_eq(head, &self.ticket))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut lines = lock(&self.lines);
        let Entry::Occupied(mut entry) = lines.entry(self.key) else { return };
        let line = entry.get_mut();
        let Some(place) = line.iter().position(|ticket| Arc::ptr_eq(ticket, &self.ticket)) else {
            return;
        };
        line.remove(place);
        match line.front() {
            Some(head) if place == 0 => head.notify_one(),
            Some(_) => {}
            None => drop(entry.remove()),
        }
    }
}

/// A panic elsewhere leaves the map whole: every change to it is a single call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> KeyDigest {
        KeyDigest::from_bytes([n; 32])
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test]
    async fn the_line_is_served_in_order_and_is_empty_at_the_end() {
        let queue = LockQueue::new(16);
        let head = queue.enter(&key(1), soon()).await.unwrap();
        let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
        for n in 0..5 {
            let (queue, done) = (queue.clone(), done.clone());
            let before = queue.waiting(&key(1));
            let waiter = queue.clone();
            tokio::spawn(async move {
                let _turn = waiter.enter(&key(1), soon()).await.unwrap();
                done.send(n).unwrap();
            });
            while queue.waiting(&key(1)) == before {
                tokio::task::yield_now().await;
            }
        }
        drop(head);
        for n in 0..5 {
            assert_eq!(order.recv().await, Some(n));
        }
        while queue.waiting(&key(1)) > 0 {
            tokio::task::yield_now().await;
        }
        assert!(lock(&queue.lines).is_empty());
    }

    #[tokio::test]
    async fn a_full_line_refuses_at_once_and_other_keys_do_not_care() {
        let queue = LockQueue::new(1);
        let _head = queue.enter(&key(1), soon()).await.unwrap();
        assert_eq!(queue.enter(&key(1), soon()).await.err(), Some(QueueError::Full));
        assert!(queue.enter(&key(2), soon()).await.is_ok());
    }

    #[tokio::test]
    async fn a_dropped_waiter_leaves_the_line() {
        let queue = LockQueue::new(16);
        let head = queue.enter(&key(1), soon()).await.unwrap();
        {
            let key = key(1);
            let waiter = queue.enter(&key, soon());
            tokio::pin!(waiter);
            assert!(timeout(Duration::from_millis(1), &mut waiter).await.is_err());
            assert_eq!(queue.waiting(&key), 2);
        }
        assert_eq!(queue.waiting(&key(1)), 1);
        drop(head);
        assert_eq!(queue.waiting(&key(1)), 0);
    }

    #[tokio::test]
    async fn a_waiter_gives_up_at_its_deadline() {
        let queue = LockQueue::new(16);
        let _head = queue.enter(&key(1), soon()).await.unwrap();
        let deadline = Instant::now() + Duration::from_millis(10);
        assert_eq!(queue.enter(&key(1), deadline).await.err(), Some(QueueError::Timeout));
        assert_eq!(queue.waiting(&key(1)), 1);
    }

    #[tokio::test]
    async fn a_wake_before_the_wait_is_not_lost() {
        let queue = LockQueue::new(16);
        let turn = queue.enter(&key(1), soon()).await.unwrap();
        queue.wake(&key(1));
        timeout(Duration::from_secs(5), turn.wait(Duration::from_secs(60))).await.unwrap();
    }
}
