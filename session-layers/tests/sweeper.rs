//! Sweepers of a fleet: who works, what happens when he dies, and what is removed.
//!
//! On the memory store time is tokio's paused clock, so that minutes take no time; on files it is
//! real.

#![cfg(feature = "sweeper")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    Capabilities, Clock, Cursor, Error, ErrorKind, Key, KeyHasher, LockAbsent, LockRequest, Locked,
    MemoryStore, OpToken, Operation, ReadOptions, Result, SessionId, SessionStore, Support,
    SweepBudget, SweepReport, Sweeping, Timestamp, Write, forward,
};
use session_files::FilesStore;
use session_layers::{Sweeper, SweeperBuilder};
use tokio::time::{Instant, sleep};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
const LEASE: Duration = MINUTE;
/// What a wait for something in real time may take at most.
const HANG: Duration = Duration::from_secs(60);

/// Tokio's clock, which tests pause.
#[derive(Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000).after(self.0.elapsed())
    }
}

fn memory() -> MemoryStore {
    MemoryStore::builder().clock(TokioClock(Instant::now())).build()
}

/// A server's handle to a store, which counts sweeps and can be made to fail.
#[derive(Debug, Clone)]
struct Server {
    inner: Arc<dyn SessionStore>,
    sweeps: Arc<AtomicUsize>,
    cursors: Arc<Mutex<Vec<Option<Cursor>>>>,
    /// Sweeps that fail, counted down.
    failures: Arc<AtomicUsize>,
    /// As layouts do that lock by the id, which the sweeper's key has not.
    refuses_locks: bool,
    capabilities: Capabilities,
}

impl Server {
    fn of(inner: impl SessionStore) -> Self {
        let capabilities = inner.capabilities().clone();
        Self {
            inner: Arc::new(inner),
            sweeps: Arc::default(),
            cursors: Arc::default(),
            failures: Arc::default(),
            refuses_locks: false,
            capabilities,
        }
    }

    fn sweeps(&self) -> usize {
        self.sweeps.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl SessionStore for Server {
    forward!(self => self.inner; create load save touch delete renew release ping
        principal_index enumeration);

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        if self.refuses_locks {
            return Err(Error::new(ErrorKind::Unsupported, "test", Operation::Lock));
        }
        if self.capabilities.lock_absent == LockAbsent::NotHeld {
            return Ok(Locked::new(None, None));
        }
        self.inner.lock(key, request).await
    }

    async fn sweep(&self, cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport> {
        self.sweeps.fetch_add(1, Ordering::SeqCst);
        self.cursors.lock().unwrap().push(cursor.cloned());
        let fails = self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if fails.is_ok() {
            return Err(Error::new(ErrorKind::Unavailable, "test", Operation::Sweep));
        }
        self.inner.sweep(cursor, budget).await
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }
}

fn sweeper(server: &Server) -> SweeperBuilder {
    Sweeper::builder(server.clone()).interval(MINUTE).lease(LEASE)
}

async fn fill(store: &dyn SessionStore, count: usize, life: Duration) -> Vec<Key> {
    let mut keys = Vec::new();
    for _ in 0..count {
        let key = KeyHasher::plain().key(&SessionId::generate().unwrap());
        let op = OpToken::generate().unwrap();
        store.create(&key, Write::new("data", life), op, None).await.unwrap();
        keys.push(key);
    }
    keys
}

async fn live(store: &dyn SessionStore, keys: &[Key]) -> usize {
    let mut live = 0;
    for key in keys {
        live += usize::from(store.load(key, ReadOptions::latest()).await.unwrap().is_some());
    }
    live
}

/// Waits for a state, by whichever clock runs.
async fn until(what: &str, bound: Duration, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < bound, "{what} is not so after {bound:?}");
        sleep(Duration::from_millis(10)).await;
    }
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn settings_of_nothing_leave_the_store_time_to_breathe() {
    for elects in [true, false] {
        let mut server = Server::of(memory());
        server.refuses_locks = !elects;
        let builder = Sweeper::builder(server.clone()).interval(Duration::ZERO);
        let _sweeper = builder.pause(Duration::ZERO).lease(Duration::ZERO).start();
        sleep(Duration::from_secs(1)).await;
        assert!((10..=200).contains(&server.sweeps()), "{} sweeps", server.sweeps());
    }
}

#[tokio::test(start_paused = true)]
async fn settings_without_end_do_not_stop_the_sweeper() {
    let server = Server::of(memory());
    fill(&server, 3, HOUR).await;
    let builder = Sweeper::builder(server.clone()).interval(Duration::MAX).pause(Duration::MAX);
    let sweeper = builder.lease(Duration::MAX).start();
    let second =
        Sweeper::builder(server.clone()).interval(Duration::MAX).lease(Duration::MAX).start();
    sleep(HOUR * 24 * 90).await;
    assert!(sweeper.status().passes + second.status().passes > 0);
    assert!(server.sweeps() > 0);
}

#[tokio::test(start_paused = true)]
async fn of_two_sweepers_one_works() {
    let store = memory();
    let servers = [Server::of(store.clone()), Server::of(store)];
    let sweepers = servers.each_ref().map(|server| sweeper(server).start());
    sleep(HOUR).await;
    let mut sweeps = servers.each_ref().map(Server::sweeps);
    sweeps.sort_unstable();
    assert_eq!(sweeps[0], 0, "both sweep: {sweeps:?}");
    assert!((50..=70).contains(&sweeps[1]), "{sweeps:?} sweeps in an hour");
    let elected = sweepers.iter().filter(|sweeper| sweeper.status().is_elected).count();
    assert_eq!(elected, 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_elected_one_dies_the_other_takes_over_within_a_lease() {
    let store = memory();
    let first = sweeper(&Server::of(store.clone())).start();
    until("the first is elected", MINUTE, || first.status().is_elected).await;
    let second = sweeper(&Server::of(store)).start();
    sleep(10 * MINUTE).await;
    assert!(first.status().is_elected && !second.status().is_elected);
    let passes = second.status().passes;
    drop(first);
    let took = until("the second is elected", HOUR, || second.status().is_elected).await;
    assert!(took <= LEASE + LEASE / 10 + Duration::from_millis(20), "after {took:?}");
    until("the second sweeps", 3 * MINUTE, || second.status().passes > passes).await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_gives_the_lease_back() {
    let store = memory();
    let first = sweeper(&Server::of(store.clone())).start();
    until("the first is elected", MINUTE, || first.status().is_elected).await;
    let begun = Instant::now();
    first.shutdown().await;
    let second = sweeper(&Server::of(store)).start();
    until("the second is elected", MINUTE, || second.status().is_elected).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "after {:?}", begun.elapsed());
}

/// A store that answers no sweep, and no lock either once it is told to.
#[derive(Debug, Clone)]
struct Hanging {
    inner: MemoryStore,
    locks_hang: bool,
}

#[async_trait]
impl SessionStore for Hanging {
    forward!(self => self.inner; create load save touch delete renew release ping
        capabilities principal_index enumeration);

    /// The lock is granted, but the answer is lost.
    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        let locked = self.inner.lock(key, request).await;
        if self.locks_hang { std::future::pending().await } else { locked }
    }

    async fn sweep(&self, _: Option<&Cursor>, _: SweepBudget) -> Result<SweepReport> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_store_that_hangs_and_leaves_no_lease() {
    for locks_hang in [false, true] {
        let inner = memory();
        let hanging = Hanging { inner: inner.clone(), locks_hang };
        let stuck = Sweeper::builder(hanging).interval(MINUTE).lease(24 * HOUR).start();
        sleep(10 * MINUTE).await;
        let begun = Instant::now();
        stuck.shutdown().await;
        let next = sweeper(&Server::of(inner)).start();
        until("the next is elected", MINUTE, || next.status().is_elected).await;
        assert!(begun.elapsed() < Duration::from_secs(1), "after {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_expired_sessions_go_and_live_ones_stay() {
    let store = memory();
    let kept = fill(&store, 100, 24 * HOUR).await;
    fill(&store, 10_000, MINUTE).await;
    sleep(HOUR).await;
    let server = Server::of(store.clone());
    let sweeper = sweeper(&server).start();
    until("all is swept", HOUR, || sweeper.status().passes >= 1).await;
    let status = sweeper.status();
    assert_eq!((status.total.deleted, status.errors), (10_000, 0));
    assert!(status.total.oldest_lag.unwrap() >= 59 * MINUTE);
    assert_eq!(live(&store, &kept).await, 100);
    assert!(server.sweeps() >= 11, "{} steps", server.sweeps());
    let left = store.sweep(None, SweepBudget::new(usize::MAX, HOUR)).await.unwrap();
    // The live ones, and the lock of the election.
    assert_eq!((left.scanned, left.deleted), (101, 0));
}

#[tokio::test(start_paused = true)]
async fn errors_are_survived_and_the_walk_goes_on_where_it_was() {
    let store = memory();
    fill(&store, 300, MINUTE).await;
    sleep(HOUR).await;
    let server = Server::of(store);
    let budget = SweepBudget::new(100, HOUR);
    let sweeper = sweeper(&server).budget(budget).interval(10 * MINUTE).start();
    until("a step is made", HOUR, || sweeper.status().total.deleted == 100).await;
    server.failures.store(5, Ordering::SeqCst);
    let begun = Instant::now();
    until("all is swept", HOUR, || sweeper.status().passes == 1).await;
    let status = sweeper.status();
    assert_eq!((status.total.deleted, status.errors), (300, 5));
    assert_eq!(status.last_error, Some(ErrorKind::Unavailable));
    // Pauses of half of 1, 2, 4, 8 and 16 seconds at least.
    assert!(begun.elapsed() >= Duration::from_millis(15_500), "after {:?}", begun.elapsed());
    let cursors = server.cursors.lock().unwrap().clone();
    assert!(cursors[1].is_some() && cursors[1..7].iter().all(|cursor| *cursor == cursors[1]));
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_be_elected_everybody_sweeps() {
    let store = memory();
    let mut servers = [0; 3].map(|_| Server::of(store.clone()));
    servers[0].capabilities.locking = Support::No;
    servers[1].capabilities.lock_absent = LockAbsent::NotHeld;
    servers[2].refuses_locks = true;
    let sweepers = servers.each_ref().map(|server| sweeper(server).start());
    sleep(10 * MINUTE).await;
    for (server, sweeper) in servers.iter().zip(&sweepers) {
        assert!(server.sweeps() >= 8, "{} sweeps in ten minutes", server.sweeps());
        assert!(sweeper.status().is_elected);
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_server_sweeps_nothing_is_started() {
    let mut server = Server::of(memory());
    server.capabilities.sweeping = Sweeping::ByServer;
    let sweeper = sweeper(&server).start();
    sleep(HOUR).await;
    assert_eq!((server.sweeps(), sweeper.status().is_elected), (0, false));
    sweeper.shutdown().await;
}

/// Two servers with files on one disk, in real time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_servers_with_files_one_sweeps_and_the_other_takes_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sessions");
    let lease = Duration::from_secs(15);
    let open = || FilesStore::builder(&path).timeout(HANG).open();
    let stores = [open().await.unwrap(), open().await.unwrap()];
    let kept = fill(&stores[0], 10, HOUR).await;
    fill(&stores[1], 200, Duration::from_millis(1)).await;
    let start = |store: &FilesStore| {
        let builder = Sweeper::builder(store.clone()).pause(Duration::from_millis(1));
        builder.interval(Duration::from_millis(50)).lease(lease).start()
    };
    let first = start(&stores[0]);
    until("the first is elected", HANG, || first.status().is_elected).await;
    let second = start(&stores[1]);
    until("all is swept", HANG, || first.status().total.deleted >= 200).await;
    until("nothing is left", HANG, || first.status().passes >= 2).await;
    assert!(!second.status().is_elected, "both are elected");
    drop(first);
    until("the second sweeps", HANG, || second.status().passes >= 1).await;
    assert_eq!(live(&stores[1], &kept).await, 10);
    second.shutdown().await;
    let third = start(&stores[0]);
    until("the lease is free", HANG, || third.status().is_elected).await;
}
