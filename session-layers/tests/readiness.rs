//! Whether a server is ready, as its load balancer asks.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use session_core::{Error, ErrorKind, MemoryStore, Operation, Result, SessionStore, forward};
use session_layers::{Health, Readiness};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

/// A store that takes its time to answer, and may answer with an error.
#[derive(Debug, Clone, Default)]
struct Patient {
    inner: MemoryStore,
    pings: Arc<AtomicUsize>,
    answer: Arc<Mutex<(Duration, Option<ErrorKind>)>>,
}

impl Patient {
    fn answers(&self, after: Duration, error: Option<ErrorKind>) {
        *self.answer.lock().unwrap() = (after, error);
    }
}

#[async_trait]
impl SessionStore for Patient {
    forward!(self => self.inner; create load save touch delete lock renew release sweep
        capabilities principal_index enumeration);

    async fn ping(&self) -> Result<()> {
        self.pings.fetch_add(1, Ordering::SeqCst);
        let (after, error) = *self.answer.lock().unwrap();
        sleep(after).await;
        error.map_or(Ok(()), |kind| {
            Err(Error::new(kind, "test", Operation::Ping).with_detail("host-17.internal"))
        })
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn slow_is_told_from_down_and_nobody_learns_more() {
    let store = Patient::default();
    let readiness = Readiness::new(store.clone());
    for (after, error, expected, text) in [
        (Duration::ZERO, None, Health::Ready, "ready"),
        (SECOND / 4, None, Health::Ready, "ready"),
        (SECOND * 60, None, Health::Slow, "slow"),
        (Duration::ZERO, Some(ErrorKind::Timeout), Health::Slow, "slow"),
        (
            Duration::ZERO,
            Some(ErrorKind::Unavailable),
            Health::Down(ErrorKind::Unavailable),
            "down",
        ),
    ] {
        store.answers(after, error);
        let health = readiness.check().await;
        assert_eq!(health, expected);
        assert_eq!(health.to_string(), text);
        assert_eq!(health.is_ready(), expected == Health::Ready);
        sleep(SECOND).await;
    }
}

/// Kubernetes waits for a second, and takes no answer for a no.
#[tokio::test(start_paused = true)]
async fn a_probe_hears_that_the_store_is_slow_before_it_gives_up() {
    let store = Patient::default();
    store.answers(SECOND * 60, None);
    let readiness = Readiness::new(store);
    let probe = timeout(SECOND * 3 / 4, readiness.check());
    assert_eq!(probe.await.unwrap(), Health::Slow);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_checks_costs_one_ping_a_second() {
    let store = Patient::default();
    store.answers(SECOND / 4, None);
    let readiness = Readiness::new(store.clone());
    let storm = || {
        let mut tasks = JoinSet::new();
        for _ in 0..1_000 {
            let readiness = readiness.clone();
            tasks.spawn(async move { readiness.check().await });
        }
        tasks.join_all()
    };
    assert!(storm().await.into_iter().all(Health::is_ready));
    assert!(storm().await.into_iter().all(Health::is_ready));
    assert_eq!(store.pings.load(Ordering::SeqCst), 1);
    sleep(SECOND).await;
    storm().await;
    assert_eq!(store.pings.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_dropped_leaves_the_next_one_free() {
    let store = Patient::default();
    store.answers(SECOND / 4, None);
    let readiness = Readiness::new(store.clone());
    drop(tokio::time::timeout(SECOND / 10, readiness.check()).await);
    assert_eq!(readiness.check().await, Health::Ready);
}
