//! How far everybody is. Incidents happen by the number of requests that are done, and users do not
//! run ahead of them.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::tally::Tally;

/// How many users click at the same moment.
const AT_ONCE: usize = 24;

/// How many requests that begin after a kill may still break off over it: the balancer has connections
/// to the dead instance that it believes in, for each of the four requests of a page at most one, and
/// learns of their end once it has the time.
const AFTERMATH: u64 = 2 * 4 * AT_ONCE as u64;

const NEVER: u64 = u64::MAX;

/// How far everybody is, and what was counted.
#[derive(Debug)]
pub(crate) struct Pace {
    tally: Mutex<Tally>,
    /// The first answer that failed, for the report.
    failure: Mutex<Option<String>>,
    places: Semaphore,
    begun: AtomicU64,
    /// How many requests had begun at the last kill.
    last_kill: AtomicU64,
    done: watch::Sender<u64>,
    /// Requests from this number on wait.
    limit: watch::Sender<u64>,
}

/// A request is under way while this is there.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pace: &'a Pace,
    /// How many began before it.
    number: u64,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            tally: Mutex::default(),
            failure: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
            begun: AtomicU64::new(0),
            last_kill: AtomicU64::new(NEVER),
            done: watch::Sender::new(0),
            limit: watch::Sender::new(u64::MAX),
        }
    }

    /// Waits until a user may click.
    pub(crate) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.places.acquire().await.ok()
    }

    /// Waits until a request may be sent.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let mut limit = self.limit.subscribe();
        // The sender is ours, so that the wait cannot fail.
        let _waited = limit.wait_for(|limit| *limit > number).await;
        Turn { pace: self, number }
    }

    /// Lets users send requests up to this number.
    pub(crate) fn allow(&self, limit: u64) {
        self.limit.send_replace(limit);
    }

    /// Waits until so many requests are done.
    pub(crate) async fn reach(&self, requests: u64) {
        let mut done = self.done.subscribe();
        let _waited = done.wait_for(|done| *done >= requests).await;
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally());
    }

    /// A user was logged out; early, if no instance has been killed.
    pub(crate) fn count_log_out(&self) {
        self.count(|tally| {
            tally.logged_out += 1;
            tally.logged_out_early += u64::from(tally.kills == 0);
        });
    }

    /// An instance is about to be killed.
    pub(crate) fn count_kill(&self) {
        self.last_kill.store(self.begun.load(Ordering::Relaxed), Ordering::Relaxed);
        self.count(|tally| tally.kills += 1);
    }

    /// A request broke off.
    pub(crate) fn count_broken(&self, turn: &Turn<'_>, reached: bool, sent_again: bool) {
        let last_kill = self.last_kill.load(Ordering::Relaxed);
        let explained = last_kill != NEVER && turn.number < last_kill + AFTERMATH;
        self.count(|tally| {
            tally.broken += 1;
            tally.broken_unexplained += u64::from(reached && !explained);
            tally.sent_again += u64::from(sent_again);
        });
    }

    /// An instance answered with an error.
    pub(crate) fn failed(&self, answer: String) {
        self.count(|tally| tally.errors += 1);
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(answer);
    }

    /// The first answer that failed.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was counted so far.
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pace.count(|tally| tally.requests += 1);
        self.pace.done.send_modify(|done| *done += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_breaks_off_is_explained_by_a_kill_not_long_before() {
        let pace = Pace::new();
        let unexplained = || pace.tally().broken_unexplained;
        let turn = pace.turn().await;
        pace.count_broken(&turn, true, true);
        assert_eq!(unexplained(), 1, "nobody was killed");
        pace.count_broken(&turn, false, true);
        assert_eq!(unexplained(), 1, "no instance had it");

        pace.count_kill();
        pace.count_broken(&turn, true, true);
        for _ in 0..AFTERMATH {
            pace.count_broken(&pace.turn().await, true, true);
        }
        assert_eq!(unexplained(), 1);
        pace.count_broken(&pace.turn().await, true, true);
        assert_eq!(unexplained(), 2, "that was long ago");
        assert_eq!(pace.tally().broken, AFTERMATH + 4);
    }
}
