//! Load: clients that change sessions in every way, and take note of what they see.
//!
//! A payload is the list of the commits that led to it, each a number of its own: whoever reads it
//! sees which commits were kept, and in which order.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use session_core::{
    ErrorKind, Expected, Key, Lease, Operation, Record, Result, SessionStore, Then, Write,
};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    history::History,
    notes::{Notes, Outcome, What},
    support::{HOUR, SLACK, SOON, eventually, is_outage, load, lock, new_key, op, seed},
};

/// How long a lock is waited for; beyond all leases, of which few are ahead.
const PATIENCE: Duration = Duration::from_secs(15);
const LEASE: Duration = Duration::from_secs(2);
const SHORT_LEASE: Duration = Duration::from_millis(300);

/// What the load may see.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many clients there are.
    pub clients: u64,
    /// How many sessions are in use at a time.
    pub seats: usize,
    /// The deadline of an operation.
    pub timeout: Duration,
    /// What callers may be told of the servers' state, if anything, in these operations.
    pub tolerates: fn(Operation, ErrorKind) -> bool,
    /// Whether a server may forget what it has acknowledged.
    pub forgets: bool,
}

impl Plan {
    /// Nobody is told of anything.
    pub const fn quiet(timeout: Duration) -> Self {
        Self { clients: 12, seats: 8, timeout, tolerates: |_, _| false, forgets: false }
    }

    /// An outage is told as one.
    pub const fn rough(timeout: Duration) -> Self {
        let tolerates = |operation, kind| match kind {
            ErrorKind::Unavailable | ErrorKind::Timeout => true,
            ErrorKind::LockTimeout => operation == Operation::Lock,
            _ => false,
        };
        Self { tolerates, ..Self::quiet(timeout) }
    }

    /// An outage, in which acknowledged writes may be lost.
    pub const fn lossy(timeout: Duration) -> Self {
        Self { forgets: true, ..Self::rough(timeout) }
    }
}

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<Notes>,
}

#[derive(Debug)]
struct Shared {
    plan: Plan,
    stop: AtomicBool,
    /// Every session there ever was, and which of them are in use.
    sessions: Mutex<Sessions>,
    commits: AtomicU64,
    /// Of each client.
    by_client: Vec<AtomicU64>,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Sessions {
    keys: Vec<Key>,
    seats: Vec<Seat>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Seat {
    session: usize,
    commits: u64,
}

impl Shared {
    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Load {
    /// Begins, with some of the clients on each of the stores.
    pub async fn start<S: SessionStore + Clone>(stores: &[S], plan: Plan) -> Self {
        let shared = Arc::new(Shared {
            plan,
            stop: AtomicBool::new(false),
            sessions: Mutex::default(),
            commits: AtomicU64::new(0),
            by_client: (0..=plan.clients).map(|_| AtomicU64::new(0)).collect(),
            refused: AtomicU64::new(0),
        });
        let mut load = Self { shared, clients: JoinSet::new() };
        let stores: Vec<Arc<dyn SessionStore>> =
            stores.iter().map(|store| Arc::new(store.clone()) as _).collect();
        let mut first = load.client(0, &stores[0]);
        for _ in 0..plan.seats {
            let session = first.create(new_key()).await.expect("nothing is broken yet");
            load.shared.sessions().seats.push(Seat { session, commits: 0 });
        }
        load.clients.spawn(async move { first.notes });
        for number in 1..=plan.clients {
            let store = &stores[usize::try_from(number).unwrap() % stores.len()];
            let client = load.client(number, store);
            load.clients.spawn(client.run());
        }
        load
    }

    fn client(&self, number: u64, store: &Arc<dyn SessionStore>) -> Client {
        Client {
            number,
            made: 0,
            store: Arc::clone(store),
            shared: Arc::clone(&self.shared),
            rng: fastrand::Rng::with_seed(seed() ^ number),
            notes: Notes::default(),
        }
    }

    /// The keys of the sessions that are in use.
    pub fn keys(&self) -> Vec<Key> {
        let sessions = self.shared.sessions();
        sessions.seats.iter().map(|seat| sessions.keys[seat.session].clone()).collect()
    }

    /// How many commits there were.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Waits for so many more commits.
    pub async fn more(&self, commits: u64) {
        let wanted = self.commits() + commits;
        let done = async {
            while self.commits() < wanted {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(SOON, done).await;
        assert!(waited.is_ok(), "no {commits} more commits within {SOON:?}");
    }

    /// Waits until some more commits were made to a session, or it has ended.
    pub async fn more_to(&self, key: &Key, commits: u64) {
        let count = || {
            let sessions = self.shared.sessions();
            let mut seats = sessions.seats.iter();
            let seat = seats.find(|seat| sessions.keys[seat.session] == *key);
            seat.map(|seat| seat.commits)
        };
        let Some(before) = count() else { return };
        let done = async || count().is_none_or(|now| now >= before + commits);
        eventually("commits to a session", done).await;
    }

    /// Waits until each client has made some more commits.
    pub async fn by_all(&self, commits: u64) {
        let counts = || -> Vec<u64> {
            let clients = self.shared.by_client.iter().skip(1);
            clients.map(|count| count.load(Ordering::Relaxed)).collect()
        };
        let before = counts();
        let is_behind = |(now, then): (u64, u64)| now < then + commits;
        let done = async || !counts().into_iter().zip(before.clone()).any(is_behind);
        eventually("commits of all clients", done).await;
    }

    /// Waits until some more commits were made to each session that is in use.
    pub async fn everywhere(&self, commits: u64) {
        let counts = || self.shared.sessions().seats.clone();
        let before = counts();
        let done = async {
            let is_behind = |(now, then): (&Seat, &Seat)| now.commits < then.commits + commits;
            while counts().iter().zip(&before).any(is_behind) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(SOON, done).await;
        assert!(waited.is_ok(), "{commits} more everywhere: {before:?}, {:?}", counts());
    }

    /// How many writes were refused for want of memory.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Waits until so many were.
    pub async fn until_refused(&self, wanted: u64) {
        eventually("refused writes", async || self.refused() >= wanted).await;
    }

    /// Ends, and reads what is left of all sessions through a store that has seen nothing yet.
    pub async fn stop(mut self, reader: &dyn SessionStore) -> History {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut notes = Notes::default();
        while let Some(client) = self.clients.join_next().await {
            notes.join(client.expect("a client does not panic"));
        }
        let keys = std::mem::take(&mut self.shared.sessions().keys);
        let mut left = Vec::new();
        for key in &keys {
            let record = load(reader, key).await.expect("everything works again");
            left.push(record.map(|record| record.payload));
        }
        History { notes, left, forgets: self.shared.plan.forgets }
    }
}

struct Client {
    number: u64,
    made: u64,
    store: Arc<dyn SessionStore>,
    shared: Arc<Shared>,
    rng: fastrand::Rng,
    notes: Notes,
}

impl Client {
    async fn run(mut self) -> Notes {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let (at, session, key) = self.choose();
            match self.rng.u32(0..100) {
                0..45 => self.change(at, session, &key).await,
                45..70 => {
                    let nap = Duration::from_millis(self.rng.u64(0..4));
                    self.change_under_lock(at, session, &key, LEASE, nap).await;
                }
                70..72 => {
                    let nap = SHORT_LEASE + Duration::from_millis(self.rng.u64(10..200));
                    self.change_under_lock(at, session, &key, SHORT_LEASE, nap).await;
                }
                72..75 => self.abandon_a_lock(session, &key).await,
                75..88 => self.read(session, &key).await.map_or((), drop),
                88..95 => self.touch(session, &key).await,
                _ => self.replace(at, session, &key).await,
            }
            sleep(Duration::from_millis(self.rng.u64(1..6))).await;
        }
        self.notes
    }

    fn choose(&mut self) -> (usize, usize, Key) {
        let sessions = self.shared.sessions();
        let at = self.rng.usize(0..sessions.seats.len());
        let session = sessions.seats[at].session;
        (at, session, sessions.keys[session].clone())
    }

    /// Asks once, and judges how it was answered.
    async fn ask<T>(
        &mut self,
        operation: Operation,
        asked: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        let result = asked.await;
        let took = began.elapsed();
        let Err(error) = &result else { return result };
        self.notes.longest = self.notes.longest.max(took);
        self.notes.error(operation, error);
        let plan = self.shared.plan;
        let wait = if operation == Operation::Lock { PATIENCE } else { Duration::ZERO };
        if took > plan.timeout + wait + SLACK {
            self.notes.wrong.push(format!("after {took:?}: {error}"));
        }
        let of_the_contract = matches!(
            (operation, error.kind()),
            (
                Operation::Save,
                ErrorKind::NotFound
                    | ErrorKind::Conflict
                    | ErrorKind::LockHeld
                    | ErrorKind::LockLost
            ) | (Operation::Touch, ErrorKind::NotFound)
                | (Operation::Renew, ErrorKind::LockLost)
        );
        if !of_the_contract && !(plan.tolerates)(operation, error.kind()) {
            self.notes.wrong.push(format!("{error:?}"));
        }
        result
    }

    /// Sends a write, and the same again as long as it is not known what came of it.
    async fn settle<T, F>(
        &mut self,
        operation: Operation,
        mut write: impl FnMut() -> F,
    ) -> (Outcome, Result<T>)
    where
        F: Future<Output = Result<T>>,
    {
        let (mut in_doubt, deadline) = (false, Instant::now() + SOON / 2);
        loop {
            let result = self.ask(operation, write()).await;
            let Err(error) = &result else { return (Outcome::Done, result) };
            in_doubt |= error.maybe_applied();
            if !in_doubt {
                let counts = u64::from(is_outage(error));
                self.shared.refused.fetch_add(counts, Ordering::Relaxed);
                return (Outcome::Refused, result);
            }
            if !is_outage(error) || Instant::now() > deadline {
                return (Outcome::Unknown, result);
            }
            self.notes.repeated += 1;
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn create(&mut self, key: Key) -> Option<usize> {
        let session = {
            let mut sessions = self.shared.sessions();
            sessions.keys.push(key.clone());
            sessions.keys.len() - 1
        };
        let (store, op, began) = (self.store.clone(), op(), Instant::now());
        let create = || store.create(&key, Write::new(Bytes::new(), HOUR), op, None);
        let (outcome, _) = self.settle(Operation::Create, create).await;
        self.notes.add(session, began, What::Created(outcome));
        (outcome == Outcome::Done).then_some(session)
    }

    async fn read(&mut self, session: usize, key: &Key) -> Option<Record> {
        let (store, began) = (self.store.clone(), Instant::now());
        let record = self.ask(Operation::Load, load(&*store, key)).await.ok()?;
        let payload = record.as_ref().map(|record| record.payload.clone());
        self.notes.add(session, began, What::Saw(payload));
        record
    }

    /// The next state after a record: its list, and one number more.
    fn next(&mut self, record: &Record) -> (u64, Write) {
        self.made += 1;
        let number = (self.number << 32) | self.made;
        let payload = [&record.payload[..], &number.to_be_bytes()].concat();
        (number, Write::new(payload, HOUR))
    }

    fn count(&self, at: usize) {
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        let client = usize::try_from(self.number).unwrap();
        self.shared.by_client[client].fetch_add(1, Ordering::Relaxed);
        self.shared.sessions().seats[at].commits += 1;
    }

    /// Reads, changes and saves, again with the newer record after a conflict.
    async fn change(&mut self, at: usize, session: usize, key: &Key) {
        let Some(mut record) = self.read(session, key).await else {
            return self.refill(at, session).await;
        };
        for _ in 0..5 {
            let (number, write) = self.next(&record);
            let (store, op, began) = (self.store.clone(), op(), Instant::now());
            let expected = Expected::Revision(record.revision);
            let save = || store.save(key, write.clone(), expected, op);
            let (outcome, saved) = self.settle(Operation::Save, save).await;
            self.notes.add(session, began, What::Committed(number, outcome));
            let Err(mut error) = saved else { return self.count(at) };
            match (error.kind(), error.take_current()) {
                (ErrorKind::Conflict, Some(current)) => {
                    self.notes.add(session, began, What::Saw(Some(current.payload.clone())));
                    record = current;
                }
                (ErrorKind::LockHeld, _) => {
                    let held = error.retry_after().unwrap_or_default();
                    sleep(held.min(Duration::from_millis(20))).await;
                }
                (ErrorKind::NotFound, _) => {
                    self.notes.add(session, began, What::Saw(None));
                    return self.refill(at, session).await;
                }
                _ => return,
            }
        }
    }

    async fn take(&mut self, session: usize, key: &Key, lease: Duration) -> Option<Taken> {
        let (store, began) = (self.store.clone(), Instant::now());
        let request = lock(lease, PATIENCE);
        let locked = store.lock(key, request);
        let locked = self.ask(Operation::Lock, locked).await.ok()?;
        self.notes.locks += 1;
        let payload = locked.record.as_ref().map(|record| record.payload.clone());
        self.notes.add(session, began, What::Saw(payload));
        let lease = locked.lease.expect("the store holds absent keys too");
        Some(Taken { lease, record: locked.record, asked: began, granted: Instant::now() })
    }

    /// Changes a session under its lock, on which the client may sleep beyond its lease.
    async fn change_under_lock(
        &mut self,
        at: usize,
        session: usize,
        key: &Key,
        lease: Duration,
        nap: Duration,
    ) {
        let Some(taken) = self.take(session, key, lease).await else { return };
        let store = self.store.clone();
        let Some(record) = &taken.record else {
            drop(self.ask(Operation::Release, store.release(key, &taken.lease)).await);
            return self.refill(at, session).await;
        };
        let then = if self.rng.u8(0..4) == 0 { Then::Keep } else { Then::Release };
        if then == Then::Keep {
            let renewed = self.ask(Operation::Renew, store.renew(key, &taken.lease, lease)).await;
            if renewed.is_err() {
                return;
            }
        }
        sleep(nap).await;
        let (number, write) = self.next(record);
        let (op, began) = (op(), Instant::now());
        let expected = Expected::Lease { lease: &taken.lease, revision: record.revision, then };
        let save = || store.save(key, write.clone(), expected, op);
        let (outcome, saved) = self.settle(Operation::Save, save).await;
        self.notes.add(session, began, What::Committed(number, outcome));
        match saved {
            Ok(_) => {
                self.count(at);
                self.notes.all.push(taken.held_until(session, began));
            }
            Err(error) => self.judge_a_holder(&taken, outcome, error.kind()),
        }
        if then == Then::Keep {
            drop(self.ask(Operation::Release, store.release(key, &taken.lease)).await);
        }
    }

    /// While it holds, a holder's commit does not fail but for an outage and a log-out.
    fn judge_a_holder(&mut self, taken: &Taken, outcome: Outcome, kind: ErrorKind) {
        let lapsed = taken.asked.elapsed() >= taken.lease.duration();
        let lost = kind == ErrorKind::LockLost && (lapsed || self.shared.plan.forgets);
        let fits = lost || !matches!(kind, ErrorKind::LockLost | ErrorKind::Conflict);
        if !fits && outcome == Outcome::Refused {
            self.notes.wrong.push(format!("a holder was refused: {kind:?}"));
        }
    }

    /// Somebody dies while he holds a lock.
    async fn abandon_a_lock(&mut self, session: usize, key: &Key) {
        if self.take(session, key, SHORT_LEASE).await.is_some() {
            self.notes.abandoned += 1;
        }
    }

    async fn touch(&mut self, session: usize, key: &Key) {
        let Some(record) = self.read(session, key).await else { return };
        let (store, began) = (self.store.clone(), Instant::now());
        let touch = store.touch(key, HOUR.into(), record.revision.incarnation(), op());
        if let Err(error) = self.ask(Operation::Touch, touch).await
            && error.kind() == ErrorKind::NotFound
        {
            self.notes.add(session, began, What::Saw(None));
        }
    }

    /// Logs out, tries late what must not bring the session back, and logs in anew.
    async fn replace(&mut self, at: usize, session: usize, key: &Key) {
        let Some(record) = self.read(session, key).await else { return };
        let (store, op, began) = (self.store.clone(), op(), Instant::now());
        let expected = match self.rng.bool() {
            true => Expected::Any,
            false => Expected::Incarnation(record.revision.incarnation()),
        };
        let delete = || store.delete(key, expected, op);
        let (outcome, _) = self.settle(Operation::Delete, delete).await;
        self.notes.add(session, began, What::Deleted(outcome));
        self.change_late(session, key, &record).await;
        if outcome == Outcome::Done {
            self.refill(at, session).await;
        }
    }

    async fn change_late(&mut self, session: usize, key: &Key, record: &Record) {
        let (number, write) = self.next(record);
        let (store, op, began) = (self.store.clone(), op(), Instant::now());
        let expected = Expected::Revision(record.revision);
        let save = || store.save(key, write.clone(), expected, op);
        let (outcome, _) = self.settle(Operation::Save, save).await;
        self.notes.add(session, began, What::Committed(number, outcome));
    }

    /// Puts a new session in the place of one that is gone.
    async fn refill(&mut self, at: usize, gone: usize) {
        if self.shared.sessions().seats[at].session != gone {
            return;
        }
        let Some(session) = self.create(new_key()).await else { return };
        let mut sessions = self.shared.sessions();
        if sessions.seats[at].session == gone {
            sessions.seats[at].session = session;
        }
    }
}

/// A lock that was won.
struct Taken {
    lease: Lease,
    record: Option<Record>,
    asked: Instant,
    granted: Instant,
}

impl Taken {
    fn held_until(&self, session: usize, handed: Instant) -> crate::notes::Note {
        crate::notes::Note { session, began: self.granted, ended: handed, what: What::Held }
    }
}
