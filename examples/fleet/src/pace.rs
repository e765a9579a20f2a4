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

/// How far everybody is, and what was counted.
#[derive(Debug)]
pub(crate) struct Pace {
    tally: Mutex<Tally>,
    /// The first answer that failed, for the report.
    failure: Mutex<Option<String>>,
    places: Semaphore,
    begun: AtomicU64,
    done: watch::Sender<u64>,
    /// Requests from this number on wait.
    limit: watch::Sender<u64>,
}

/// A request is under way while this is there.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Pace);

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            tally: Mutex::default(),
            failure: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
            begun: AtomicU64::new(0),
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
        Turn(self)
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

    /// A request broke off; early, if no instance has been killed.
    pub(crate) fn count_broken(&self, sent_again: bool) {
        self.count(|tally| {
            tally.broken += 1;
            tally.broken_early += u64::from(tally.kills == 0);
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
        self.0.count(|tally| tally.requests += 1);
        self.0.done.send_modify(|done| *done += 1);
    }
}
