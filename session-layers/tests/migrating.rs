//! What servers at different stages of a move do to each other's sessions.

#![cfg(feature = "migrating")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::{
    Capabilities, Enumeration, Error, ErrorKind, Expected, Incarnation, Key, KeyHasher, Lease,
    LockRequest, Locked, MemoryStore, Meta, OpToken, Operation, PrincipalIndex, ReadOptions,
    Record, Result, Session, SessionId, SessionManager, SessionStore, Support, Timestamp, Write,
    forward,
};
use session_files::php::{PhpLayout, PhpStore};
use session_layers::{Migrating, Phase};
use tokio::sync::Notify;

const HOUR: Duration = Duration::from_secs(3_600);
const LEASE: Duration = Duration::from_secs(60);
/// A bound against hanging.
const PATIENCE: Duration = Duration::from_secs(30);

type Layer<O, N> = Migrating<O, N>;

fn op() -> OpToken {
    OpToken::generate().unwrap()
}

fn new_key() -> Key {
    KeyHasher::plain().key(&SessionId::generate().unwrap())
}

fn layer<O: SessionStore, N: SessionStore>(old: O, new: N, phase: Phase) -> Layer<O, N> {
    Migrating::new(old, new, phase).unwrap()
}

/// Two stores, and a server of each phase.
struct Fleet {
    old: MemoryStore,
    new: MemoryStore,
    prepared: Layer<MemoryStore, MemoryStore>,
    moving: Layer<MemoryStore, MemoryStore>,
}

impl Fleet {
    fn new() -> Self {
        let (old, new) = (MemoryStore::new(), MemoryStore::new());
        let server = |phase| layer(old.clone(), new.clone(), phase);
        Self { prepared: server(Phase::Prepare), moving: server(Phase::Move), old, new }
    }
}

async fn put(store: &dyn SessionStore, key: &Key, payload: &'static str) -> Record {
    store.create(key, Write::new(payload, HOUR), op(), None).await.unwrap();
    found(store, key).await.unwrap()
}

async fn found(store: &dyn SessionStore, key: &Key) -> Option<Record> {
    store.load(key, ReadOptions::latest()).await.unwrap()
}

async fn update(
    store: &dyn SessionStore,
    key: &Key,
    seen: &Record,
    to: &'static str,
) -> Result<()> {
    let expected = Expected::Revision(seen.revision);
    store.save(key, Write::new(to, HOUR), expected, op()).await.map(drop)
}

async fn lock(store: &dyn SessionStore, key: &Key, wait: Duration) -> Result<Locked> {
    store.lock(key, LockRequest::new(op(), LEASE, wait)).await
}

fn kind<T: std::fmt::Debug>(outcome: Result<T>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

#[tokio::test]
async fn a_read_moves_nothing_and_a_change_does() {
    let (fleet, key) = (Fleet::new(), new_key());
    let seen = put(&fleet.prepared, &key, "one").await;
    assert_eq!(found(&fleet.old, &key).await.unwrap().payload, "one");
    assert_eq!(found(&fleet.moving, &key).await, Some(seen.clone()));
    assert_eq!(found(&fleet.new, &key).await, None);
    update(&fleet.moving, &key, &seen, "two").await.unwrap();
    assert_eq!(found(&fleet.old, &key).await, None);
    for store in [&fleet.prepared as &dyn SessionStore, &fleet.moving, &fleet.new] {
        assert_eq!(found(store, &key).await.unwrap().payload, "two");
    }
    let seen = found(&fleet.prepared, &key).await.unwrap();
    update(&fleet.prepared, &key, &seen, "three").await.unwrap();
    assert_eq!(found(&fleet.new, &key).await.unwrap().payload, "three");
}

#[tokio::test]
async fn a_session_that_moves_keeps_its_life_its_limit_and_its_epoch() {
    let (fleet, key) = (Fleet::new(), new_key());
    let principal = KeyHasher::plain().principal("ada");
    for _ in 0..3 {
        fleet.old.bump_epoch(&principal).await.unwrap();
    }
    let end = Timestamp::from_millis(u64::MAX / 2);
    let meta = Meta::new().with_principal(Some(principal), 3).with_absolute_deadline(Some(end));
    fleet.old.create(&key, Write::new("x", HOUR).with_meta(meta), op(), None).await.unwrap();
    let locked = lock(&fleet.moving, &key, Duration::ZERO).await.unwrap();
    let record = found(&fleet.new, &key).await.unwrap();
    assert_eq!((record.payload.as_ref(), record.meta), (&b"x"[..], meta));
    assert!(record.remaining.duration().unwrap() <= HOUR);
    assert!(record.remaining.duration().unwrap() > HOUR / 2);
    assert_eq!(record.revision, locked.record.unwrap().revision);
    // Where the old store is gone, the session is still one that a revocation ends.
    assert_eq!(fleet.new.epoch(&principal).await.unwrap(), 3);
    let moving = fleet.moving.principal_index().unwrap();
    assert_eq!(moving.bump_epoch(&principal).await.unwrap(), 4);
    assert_eq!(fleet.new.epoch(&principal).await.unwrap(), 4);
    assert_eq!(moving.revoke(&principal, None).await.unwrap(), 1);
    assert_eq!(found(&fleet.moving, &key).await, None);
}

#[tokio::test]
async fn a_server_without_the_layer_does_not_find_what_has_moved() {
    let (fleet, key) = (Fleet::new(), new_key());
    let seen = put(&fleet.old, &key, "one").await;
    update(&fleet.moving, &key, &seen, "two").await.unwrap();
    assert_eq!(found(&fleet.old, &key).await, None);
    assert_eq!(kind(update(&fleet.old, &key, &seen, "three").await), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_log_out_ends_a_session_wherever_it_is() {
    for moved in [false, true] {
        let fleet = Fleet::new();
        for store in [&fleet.prepared as &dyn SessionStore, &fleet.moving] {
            let key = new_key();
            let seen = put(&fleet.prepared, &key, "one").await;
            if moved {
                lock(&fleet.moving, &key, Duration::ZERO).await.unwrap();
            }
            store.delete(&key, Expected::Any, op()).await.unwrap();
            for place in [&fleet.old as &dyn SessionStore, &fleet.new, &fleet.moving] {
                assert_eq!(found(place, &key).await, None);
            }
            assert_eq!(kind(update(store, &key, &seen, "two").await), ErrorKind::NotFound);
        }
    }
}

#[tokio::test]
async fn a_lock_in_the_old_store_is_waited_for() {
    let (fleet, key) = (Fleet::new(), new_key());
    let seen = put(&fleet.prepared, &key, "one").await;
    let held = lock(&fleet.prepared, &key, Duration::ZERO).await.unwrap();
    assert_eq!(kind(update(&fleet.moving, &key, &seen, "two").await), ErrorKind::LockHeld);
    assert_eq!(kind(lock(&fleet.moving, &key, Duration::ZERO).await), ErrorKind::LockTimeout);
    assert_eq!(found(&fleet.new, &key).await, None);
    let waits = async { lock(&fleet.moving, &key, PATIENCE).await.unwrap() };
    let works = async {
        let (lease, revision) = (held.lease.as_ref().unwrap(), seen.revision);
        let then = session_core::Then::Release;
        let expected = Expected::Lease { lease, revision, then };
        fleet.prepared.save(&key, Write::new("held", HOUR), expected, op()).await.unwrap();
    };
    let (locked, ()) = tokio::join!(waits, works);
    assert_eq!(locked.record.unwrap().payload, "held");
    assert_eq!(found(&fleet.old, &key).await, None);
}

#[tokio::test]
async fn what_a_dead_server_left_is_never_looked_at() {
    let (fleet, [one, two]) = (Fleet::new(), [new_key(), new_key()]);
    for key in [&one, &two] {
        put(&fleet.old, key, "left").await;
        put(&fleet.new, key, "moved").await;
        assert_eq!(found(&fleet.moving, key).await.unwrap().payload, "moved");
        assert_eq!(found(&fleet.prepared, key).await.unwrap().payload, "moved");
    }
    fleet.moving.delete(&one, Expected::Any, op()).await.unwrap();
    assert_eq!(found(&fleet.moving, &one).await, None);
    assert_eq!(fleet.moving.carry_over(None, 10).await.unwrap().moved, 0);
    assert_eq!(found(&fleet.old, &two).await, None);
    assert_eq!(found(&fleet.moving, &two).await.unwrap().payload, "moved");
}

#[tokio::test]
async fn a_walk_moves_all_that_nobody_holds() {
    let fleet = Fleet::new();
    let keys: Vec<Key> = (0..5).map(|_| new_key()).collect();
    for key in &keys {
        put(&fleet.prepared, key, "x").await;
    }
    let held = lock(&fleet.prepared, &keys[0], Duration::ZERO).await.unwrap();
    let walk = async || {
        let (mut cursor, mut moved, mut held) = (None, 0, 0);
        loop {
            let step = fleet.moving.carry_over(cursor.as_ref(), 2).await.unwrap();
            (moved, held) = (moved + step.moved, held + step.held);
            let Some(next) = step.next else { return (moved, held) };
            cursor = Some(next);
        }
    };
    assert_eq!(walk().await, (4, 1));
    fleet.prepared.release(&keys[0], &held.lease.unwrap()).await.unwrap();
    assert_eq!(walk().await, (1, 0));
    assert_eq!(walk().await, (0, 0));
    assert_eq!(fleet.new.keys(None, 10).await.unwrap().keys.len(), 5);
    assert_eq!(kind(fleet.prepared.carry_over(None, 2).await), ErrorKind::Unsupported);
}

/// Lets one kind of operation wait at the gate, once.
#[derive(Debug)]
struct Gate {
    inner: MemoryStore,
    at: Operation,
    arrived: Notify,
    go: Notify,
}

impl Gate {
    fn new(inner: &MemoryStore, at: Operation) -> Arc<Self> {
        let inner = inner.clone();
        Arc::new(Self { inner, at, arrived: Notify::new(), go: Notify::new() })
    }

    async fn gated<T: Send>(
        &self,
        operation: Operation,
        _key: Option<&Key>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        if operation == self.at {
            self.arrived.notify_one();
            self.go.notified().await;
        }
        call.await
    }
}

#[async_trait]
impl SessionStore for Gate {
    forward!(self => self.inner; capabilities principal_index enumeration);
    forward!(self => self.inner, around gated;
        create load save touch delete lock renew release sweep ping);
}

/// Ends a session while another server is in the middle of moving it.
async fn log_out_during(at: Operation, expected: fn(&Record) -> Expected<'static>) {
    let (fleet, key) = (Fleet::new(), new_key());
    let seen = put(&fleet.prepared, &key, "one").await;
    let gate = Gate::new(if at == Operation::Create { &fleet.new } else { &fleet.old }, at);
    let stuck: Arc<dyn SessionStore> = match at {
        Operation::Create => Arc::new(layer(fleet.old.clone(), Arc::clone(&gate), Phase::Move)),
        _ => Arc::new(layer(Arc::clone(&gate), fleet.new.clone(), Phase::Move)),
    };
    let moves = {
        let (key, seen) = (key.clone(), seen.clone());
        tokio::spawn(async move { update(&*stuck, &key, &seen, "two").await })
    };
    gate.arrived.notified().await;
    let log_out = async {
        let mut expected = expected(&seen);
        // As the handle does it: another incarnation is looked at, and ended.
        while let Err(error) = fleet.moving.delete(&key, expected, op()).await {
            assert_eq!(error.kind(), ErrorKind::Conflict);
            let Some(found) = found(&fleet.moving, &key).await else { break };
            expected = Expected::Incarnation(found.revision.incarnation());
        }
    };
    let lets_go = async {
        tokio::task::yield_now().await;
        gate.go.notify_one();
    };
    tokio::time::timeout(PATIENCE, async { tokio::join!(log_out, lets_go) }).await.unwrap();
    drop(moves.await.unwrap());
    for place in [&fleet.old as &dyn SessionStore, &fleet.new] {
        assert_eq!(found(place, &key).await, None, "{at:?}");
    }
}

#[tokio::test]
async fn a_log_out_during_a_move_is_not_undone() {
    for at in [Operation::Create, Operation::Delete] {
        log_out_during(at, |_| Expected::Any).await;
        log_out_during(at, |seen| Expected::Incarnation(seen.revision.incarnation())).await;
    }
}

/// A store that locks nothing, as PHP's in Redis are unless they are told to.
#[derive(Debug)]
struct Unlocked<S>(S, Capabilities);

impl<S: SessionStore> Unlocked<S> {
    fn new(store: S) -> Arc<Self> {
        let mut capabilities = store.capabilities().clone();
        capabilities.locking = Support::No;
        Arc::new(Self(store, capabilities))
    }
}

fn no_locks<T>(operation: Operation) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "unlocked", operation))
}

#[async_trait]
impl<S: SessionStore> SessionStore for Unlocked<S> {
    forward!(self => self.0; create load save touch delete sweep ping principal_index enumeration);

    async fn lock(&self, _: &Key, _: LockRequest) -> Result<Locked> {
        no_locks(Operation::Lock)
    }

    async fn renew(&self, _: &Key, _: &Lease, _: Duration) -> Result<()> {
        no_locks(Operation::Renew)
    }

    async fn release(&self, _: &Key, _: &Lease) -> Result<()> {
        no_locks(Operation::Release)
    }

    fn capabilities(&self) -> &Capabilities {
        &self.1
    }
}

#[tokio::test]
async fn a_change_during_a_move_is_moved_too() {
    let (fleet, key) = (Fleet::new(), new_key());
    let seen = put(&fleet.old, &key, "one").await;
    let gate = Gate::new(&fleet.old, Operation::Delete);
    let moving = layer(Unlocked::new(Arc::clone(&gate)), fleet.new.clone(), Phase::Move);
    let moves = {
        let (key, seen) = (key.clone(), seen.clone());
        tokio::spawn(async move { update(&moving, &key, &seen, "late").await })
    };
    gate.arrived.notified().await;
    // Whoever looked for it before it was copied writes to the old store.
    update(&fleet.old, &key, &seen, "two").await.unwrap();
    gate.go.notify_one();
    assert_eq!(kind(moves.await.unwrap()), ErrorKind::Conflict);
    assert_eq!(found(&fleet.moving, &key).await.unwrap().payload, "two");
    assert_eq!(found(&fleet.new, &key).await, None);
}

async fn counts<O: SessionStore + Clone>(old: O, began: &MemoryStore, new: &MemoryStore) {
    const TIMES: u64 = 20;
    let server = |phase| SessionManager::new(layer(old.clone(), new.clone(), phase)).unwrap();
    let servers = [server(Phase::Prepare), server(Phase::Move), server(Phase::Prepare)];
    for _ in 0..8 {
        let begun = SessionManager::new(began.clone()).unwrap().open(None);
        begun.insert("n", 0_u64).await.unwrap();
        begun.save().await.unwrap();
        let session_core::CookieChange::Set { id, .. } = begun.cookie_change() else {
            unreachable!("a session without an id");
        };
        let workers = servers.clone().map(|server| {
            let id = id.clone();
            tokio::spawn(async move {
                for _ in 0..TIMES {
                    add_one(&server.open(Some(id.clone()))).await;
                }
            })
        });
        for worker in workers {
            worker.await.unwrap();
        }
        let counted = servers[0].open(Some(id)).get::<u64>("n").await.unwrap();
        assert_eq!(counted, Some(3 * TIMES));
    }
    assert_eq!(began.keys(None, 10).await.unwrap().keys.len(), 0);
}

async fn add_one(session: &Session) {
    let add = session.update(|data| data.insert("n", data.get::<u64>("n")?.unwrap_or(1_000) + 1));
    tokio::time::timeout(PATIENCE, add).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_update_is_lost_while_sessions_move() {
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    counts(old.clone(), &old, &new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_update_is_lost_where_the_old_store_locks_nothing() {
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    counts(Unlocked::new(old.clone()), &old, &new).await;
}

#[tokio::test]
async fn sessions_of_php_move_byte_for_byte_and_new_ones_get_ids_of_either_form() {
    let folder = tempfile::tempdir().unwrap();
    let php = PhpStore::open(PhpLayout::new(folder.path())).await.unwrap();
    let store = layer(php, MemoryStore::new(), Phase::Move);
    let id = SessionId::parse("0123456789abcdef0123456789abcdef").unwrap();
    let file = folder.path().join("sess_0123456789abcdef0123456789abcdef");
    std::fs::write(&file, "user|s:3:\"ada\";n|i:1;").unwrap();
    let key = KeyHasher::plain().key(&id);
    let seen = found(&store, &key).await.unwrap();
    store.touch(&key, HOUR.into(), Incarnation::NONE, op()).await.unwrap();
    assert!(file.exists());
    assert_eq!(store.carry_over(None, 10).await.unwrap().moved, 1);
    assert!(!file.exists());
    assert_eq!(found(&store, &key).await.unwrap().payload, seen.payload);
    // A native id, which PHP's files have no name for.
    put(&store, &new_key(), "x").await;
    assert_eq!(store.carry_over(None, 10).await.unwrap().moved, 0);
}

#[test]
fn a_new_store_that_cannot_keep_a_move_safe_is_refused() {
    let store = MemoryStore::new();
    let refused = Migrating::new(store.clone(), Unlocked::new(store), Phase::Move);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
}
