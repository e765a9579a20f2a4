//! Statements of a request, counted on the server.

use std::time::Duration;

use session_core::{
    CookieChange, Expected, KeyHasher, Session, SessionId, SessionManager, SessionStore, Then,
};
use session_sql::SqlStore;
use test_servers::{TestResult, sql::Statements};

use crate::support::{
    Counting, Ground, HOUR, Kind, SOON, create, eventually, load, new_key, op, open, request, write,
};

/// What shows that more was sent than the statements of the store: transactions, settings, pings,
/// and the making of statements anew.
const OVERHEAD: [&str; 8] =
    ["begin", "commit", "rollback", "set_option", "set", "admin_commands", "stmt_prepare", ""];

/// A server that counts, on which everything was done once.
struct Counted<'a> {
    kind: Kind,
    server: Counting<'a>,
    store: SqlStore,
}

impl<'a> Counted<'a> {
    async fn start(ground: &'a Ground) -> test_servers::Result<Self> {
        let server = ground.counting().await?;
        let store = open(&server.url(), |builder| builder).await;
        every_verb(&store).await;
        Ok(Self { kind: ground.kind, server, store })
    }

    /// How often a statement was parsed by PostgreSQL, which does not count it.
    fn parsed(&self) -> usize {
        self.server.log().matches(" ms  parse ").count()
    }

    /// Checks how many statements the server was sent meanwhile, and that they are all.
    async fn costs<T>(
        &self,
        what: &str,
        statements: u64,
        work: impl Future<Output = T>,
    ) -> test_servers::Result<T> {
        let (before, parsed) = (self.server.statements().await?, self.parsed());
        let done = work.await;
        let counted = self.server.statements().await?.since(&before);
        ensure(what, statements, &counted);
        assert_eq!(self.parsed(), parsed, "{what}: a statement was prepared anew");
        Ok(done)
    }

    async fn session(&self, touch_after: Duration) -> (SessionManager, SessionId) {
        let sessions = SessionManager::builder(self.store.clone()).touch_after(touch_after);
        let sessions = sessions.build().unwrap();
        let session = sessions.open(None);
        session.insert("n", 1).await.unwrap();
        session.save().await.unwrap();
        let CookieChange::Set { id, .. } = session.cookie_change() else {
            panic!("a new session has an id");
        };
        (sessions, id)
    }
}

/// MySQL counts an execution of a prepared statement, and the statement besides.
fn ensure(what: &str, statements: u64, counted: &Statements) {
    let all: u64 = counted.all_calls().values().sum();
    let executed = counted.calls("stmt_execute");
    let sent = if executed > 0 { all - executed } else { all };
    assert_eq!(sent, statements, "{what}: {counted:?}");
    for kind in OVERHEAD {
        assert_eq!(counted.calls(kind), 0, "{what}: {kind}: {counted:?}");
    }
}

/// Lets the connection know every statement.
async fn every_verb(store: &SqlStore) {
    let key = new_key();
    let first = create(store, &key, b"1").await;
    assert!(load(store, &key).await.unwrap().is_some());
    let second = store.save(&key, write(b"2"), Expected::Revision(first), op()).await.unwrap();
    store.touch(&key, (HOUR * 2).into(), second.incarnation(), op()).await.unwrap();
    let lease = store.lock(&key, request(Duration::ZERO)).await.unwrap().lease.unwrap();
    store.renew(&key, &lease, HOUR).await.unwrap();
    let expected = Expected::Lease { lease: &lease, revision: second, then: Then::Keep };
    let third = store.save(&key, write(b"3"), expected, op()).await.unwrap();
    let expected = Expected::Lease { lease: &lease, revision: third, then: Then::Release };
    let fourth = store.save(&key, write(b"4"), expected, op()).await.unwrap();
    store.release(&key, &lease).await.unwrap();
    store.delete(&key, Expected::Revision(fourth), op()).await.unwrap();
    store.delete(&key, Expected::Incarnation(fourth.incarnation()), op()).await.unwrap();
    store.delete(&key, Expected::Any, op()).await.unwrap();
}

pub(crate) async fn each_verb_is_one_statement(ground: Ground) -> TestResult {
    let counted = Counted::start(&ground).await?;
    let (store, key) = (&counted.store, new_key());
    let first = counted.costs("create", 1, create(store, &key, b"1")).await?;
    assert!(counted.costs("load", 1, load(store, &key)).await??.is_some());
    assert!(counted.costs("load", 1, load(store, &new_key())).await??.is_none());
    let save = store.save(&key, write(b"2"), Expected::Revision(first), op());
    let second = counted.costs("save", 1, save).await??;
    let touch = store.touch(&key, (HOUR * 2).into(), second.incarnation(), op());
    counted.costs("touch", 1, touch).await??;
    let locks = if counted.kind == Kind::MySql { 2 } else { 1 };
    let locked = counted.costs("lock", locks, store.lock(&key, request(Duration::ZERO))).await??;
    let lease = locked.lease.unwrap();
    counted.costs("renew", 1, store.renew(&key, &lease, HOUR)).await??;
    let expected = Expected::Lease { lease: &lease, revision: second, then: Then::Keep };
    let save = store.save(&key, write(b"3"), expected, op());
    let third = counted.costs("save under a lock", 1, save).await??;
    counted.costs("release", 1, store.release(&key, &lease)).await??;
    let delete = store.delete(&key, Expected::Revision(third), op());
    counted.costs("delete", 1, delete).await??;
    let more = [new_key(), new_key()];
    let first = create(store, &more[0], b"1").await;
    create(store, &more[1], b"1").await;
    let logout = store.delete(&more[0], Expected::Incarnation(first.incarnation()), op());
    counted.costs("delete of an incarnation", 1, logout).await??;
    counted.costs("delete of any", 1, store.delete(&more[1], Expected::Any, op())).await??;
    Ok(())
}

/// What has expired, and was not swept, is still in the place of the new one.
pub(crate) async fn a_creation_in_the_place_of_what_has_expired(ground: Ground) -> TestResult {
    let counted = Counted::start(&ground).await?;
    let store = &counted.store;
    let [warm, key] = [new_key(), new_key()];
    let brief = || session_core::Write::new("x", Duration::from_millis(1));
    for key in [&warm, &key] {
        store.create(key, brief(), op(), None).await?;
    }
    for key in [&warm, &key] {
        eventually("it expires", async || load(store, key).await.unwrap().is_none()).await;
    }
    create(store, &warm, b"x").await;
    let statements = if counted.kind == Kind::Postgres { 1 } else { 2 };
    counted.costs("create", statements, create(store, &key, b"x")).await?;
    Ok(())
}

/// Two statements, one more where none of them can both lock and read.
pub(crate) async fn a_locked_cycle_is_as_few_as_the_engine_allows(ground: Ground) -> TestResult {
    let counted = Counted::start(&ground).await?;
    let (store, key) = (&counted.store, new_key());
    let mut revision = create(store, &key, b"1").await;
    let statements = if counted.kind == Kind::MySql { 3 } else { 2 };
    for _ in 0..5 {
        let cycle = async {
            let locked = store.lock(&key, request(Duration::ZERO)).await.unwrap();
            let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
            assert_eq!(record.revision, revision);
            let then = Then::Release;
            let expected = Expected::Lease { lease: &lease, revision: record.revision, then };
            store.save(&key, write(b"2"), expected, op()).await.unwrap()
        };
        revision = counted.costs("a locked cycle", statements, cycle).await?;
    }
    Ok(())
}

pub(crate) async fn requests_cost_what_the_store_does_for_them(ground: Ground) -> TestResult {
    let counted = Counted::start(&ground).await?;
    let (sessions, id) = counted.session(SOON).await;
    let open = || -> Session { sessions.open(Some(id.clone())) };

    let session = open();
    let read = async { session.get::<u32>("n").await.unwrap() };
    assert_eq!(counted.costs("a read", 1, read).await?, Some(1));
    let saved = counted.costs("a session that was only read", 0, session.save());
    saved.await??;

    let change = async {
        let session = open();
        let n: u32 = session.get("n").await.unwrap().unwrap();
        session.insert("n", n + 1).await.unwrap();
        session.save().await.unwrap();
    };
    counted.costs("a change", 2, change).await?;

    let update = async {
        let session = open();
        session.update(|data| data.insert("n", 3)).await.unwrap();
    };
    counted.costs("an update", 2, update).await?;

    let locked = async {
        let session = open();
        let mut locked = session.lock(SOON).await.unwrap();
        let n: u32 = locked.get("n").unwrap().unwrap();
        locked.insert("n", n + 1).unwrap();
        locked.commit().await.unwrap();
        session.save().await.unwrap();
    };
    let cycle = if counted.kind == Kind::MySql { 3 } else { 2 };
    counted.costs("a locked change", cycle, locked).await?;

    counted.costs("an untouched session", 0, async { open().save().await }).await??;
    counted.costs("nobody's session", 0, async { sessions.open(None).save().await }).await??;

    let key = KeyHasher::plain().key(&id);
    let record = load(&counted.store, &key).await?.unwrap();
    assert!(!record.payload.is_empty());
    let log_out = async {
        let session = open();
        session.get::<u32>("n").await.unwrap();
        session.delete().await.unwrap();
    };
    counted.costs("a log-out", 2, log_out).await?;
    Ok(())
}

pub(crate) async fn a_touch_is_one_more(ground: Ground) -> TestResult {
    let counted = Counted::start(&ground).await?;
    let (sessions, id) = counted.session(Duration::ZERO).await;
    let touched = async {
        let session = sessions.open(Some(id.clone()));
        session.get::<u32>("n").await.unwrap();
        session.save().await.unwrap();
    };
    counted.costs("a read and a touch", 2, touched).await?;
    Ok(())
}
