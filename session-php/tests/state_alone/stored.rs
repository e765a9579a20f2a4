//! Sessions over a store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::{
    Capabilities, ErrorKind, Expected, Incarnation, Key, KeyHasher, Lease, LockRequest, Locked,
    MemoryStore, OffsetClock, OpToken, Operation, PrincipalIndex, ReadOptions, Result, SessionId,
    SessionStore, SteadyClock, Support, Sweeping, Ttl, Write,
};
use session_php::{
    PhpVersion, Settings,
    state::{
        Failure, PhpSession, Problem, Request, Returned, StartOptions, Status, StoreHandler,
        StoreOptions, Undecodable,
    },
};

type Session = PhpSession<StoreHandler>;

const ID: &str = "0123456789abcdef0123456789abcdef";

fn settings() -> Settings {
    let mut settings = Settings::new(PhpVersion::V8_2);
    settings.gc_probability = 0;
    settings
}

/// A request with the cookie of `ID`, which waits for no lock.
fn request(store: &Arc<dyn SessionStore>) -> Session {
    let mut options = StoreOptions::default();
    options.wait = Duration::ZERO;
    let handler = StoreHandler::with_options(Arc::clone(store), options);
    PhpSession::new(handler, settings(), Request::with_cookies(format!("PHPSESSID={ID}")))
}

fn memory() -> (Arc<dyn SessionStore>, Arc<OffsetClock>) {
    let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
    let store = MemoryStore::builder().clock(Arc::clone(&clock)).build();
    (Arc::new(store), clock)
}

async fn stored(store: &Arc<dyn SessionStore>, id: &[u8]) -> Option<Vec<u8>> {
    let id = SessionId::parse(str::from_utf8(id).unwrap()).unwrap();
    let record = store.load(&KeyHasher::plain().key(&id), ReadOptions::latest()).await.unwrap();
    record.map(|record| record.payload.to_vec())
}

async fn put(store: &Arc<dyn SessionStore>, name: &str, value: i64) {
    let mut session = request(store);
    session.start().await.unwrap();
    session.data_mut().unwrap().insert(name, &value).unwrap();
    session.shutdown().await.unwrap();
}

fn cause(failure: &Failure) -> Option<ErrorKind> {
    Some(failure.diagnostic.as_ref()?.cause.as_ref()?.kind())
}

#[tokio::test]
async fn what_a_request_stores_the_next_one_reads() {
    let (store, _) = memory();
    let mut session = request(&store);
    session.start().await.unwrap();
    session.shutdown().await.unwrap();
    assert_eq!(stored(&store, ID.as_bytes()).await, Some(Vec::new()), "an empty session is there");
    put(&store, "a", 1).await;
    assert_eq!(stored(&store, ID.as_bytes()).await.unwrap(), b"a|i:1;");
    let mut session = request(&store);
    session.start().await.unwrap();
    assert_eq!(session.data().unwrap().get::<i64>("a").unwrap(), Some(1));
}

#[tokio::test]
async fn requests_of_one_session_take_turns() {
    let (store, _) = memory();
    for end in 0..6 {
        put(&store, "a", end).await;
        let (mut first, mut second) = (request(&store), request(&store));
        first.start().await.unwrap();
        let refused = second.start().await.unwrap_err();
        assert_eq!(cause(&refused), Some(ErrorKind::LockTimeout));
        let text = "session_start(): Failed to read session data: memory (path: )";
        assert_eq!(refused.to_string(), text);
        match end {
            0 => first.write_close().await.unwrap(),
            1 => first.abort().await.unwrap(),
            2 => first.destroy().await.unwrap(),
            3 => first.regenerate_id().await.unwrap(),
            4 => first.regenerate_id_and_delete().await.unwrap(),
            _ => {
                first.data_mut().unwrap().insert("a", &7).unwrap();
                first.shutdown().await.unwrap();
            }
        }
        second.start().await.unwrap();
        second.abort().await.unwrap();
    }
}

#[tokio::test]
async fn reading_and_closing_holds_no_lock() {
    let (store, _) = memory();
    put(&store, "a", 1).await;
    let mut reader = request(&store);
    reader.start_with(&StartOptions::read_and_close()).await.unwrap();
    assert_eq!(reader.status(), Status::None);
    put(&store, "a", 2).await;
    assert_eq!(reader.data().unwrap().get::<i64>("a").unwrap(), Some(1));
}

#[tokio::test]
async fn parallel_requests_lose_nothing() {
    let (store, _) = memory();
    let tasks = (0..4).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for _ in 0..50 {
                let handler = StoreHandler::new(Arc::clone(&store));
                let cookie = Request::with_cookies(format!("PHPSESSID={ID}"));
                let mut session = PhpSession::new(handler, settings(), cookie);
                session.start().await.unwrap();
                let data = session.data_mut().unwrap();
                let count = data.get::<i64>("n").unwrap().unwrap_or_default();
                data.insert("n", &(count + 1)).unwrap();
                tokio::task::yield_now().await;
                session.shutdown().await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(stored(&store, ID.as_bytes()).await.unwrap(), b"n|i:200;");
}

#[tokio::test]
async fn who_lost_the_lock_stores_nothing() {
    let (store, clock) = memory();
    put(&store, "a", 1).await;
    let mut slow = request(&store);
    slow.start().await.unwrap();
    slow.data_mut().unwrap().insert("a", &2).unwrap();
    clock.advance(Duration::from_secs(31));
    put(&store, "b", 3).await;
    let failure = slow.write_close().await.unwrap_err();
    assert_eq!(cause(&failure), Some(ErrorKind::LockLost));
    assert_eq!(failure.returned, Returned::True, "PHP only warns");
    let text = "session_write_close(): Failed to write session data (memory). Please verify that \
                the current setting of session.save_path is correct ()";
    assert_eq!(failure.to_string(), text);
    assert_eq!(stored(&store, ID.as_bytes()).await.unwrap(), b"a|i:1;b|i:3;");
}

#[tokio::test]
async fn a_renewed_lock_is_kept() {
    let (store, clock) = memory();
    put(&store, "a", 1).await;
    let mut slow = request(&store);
    slow.start().await.unwrap();
    clock.advance(Duration::from_secs(20));
    slow.handler().renew().await.unwrap();
    clock.advance(Duration::from_secs(20));
    let refused = request(&store).start().await.unwrap_err();
    assert_eq!(cause(&refused), Some(ErrorKind::LockTimeout));
    slow.write_close().await.unwrap();
    assert_eq!(slow.handler().renew().await.unwrap_err().kind(), ErrorKind::LockLost);
}

#[tokio::test]
async fn a_session_that_was_destroyed_meanwhile_does_not_come_back() {
    let (store, _) = memory();
    put(&store, "a", 1).await;
    for changes in [true, false] {
        put(&store, "a", 1).await;
        let mut session = request(&store);
        session.start().await.unwrap();
        if changes {
            session.data_mut().unwrap().insert("a", &2).unwrap();
        }
        let key = KeyHasher::plain().key(&SessionId::parse(ID).unwrap());
        store.delete(&key, Expected::Any, OpToken::generate().unwrap()).await.unwrap();
        let failure = session.shutdown().await.unwrap_err();
        assert_eq!(cause(&failure), Some(ErrorKind::NotFound));
        assert_eq!(stored(&store, ID.as_bytes()).await, None);
    }
}

#[tokio::test]
async fn an_unchanged_session_lives_on_from_its_last_request() {
    let (store, clock) = memory();
    put(&store, "a", 1).await;
    for _ in 0..3 {
        clock.advance(Duration::from_secs(1400));
        let mut session = request(&store);
        session.start().await.unwrap();
        session.shutdown().await.unwrap();
    }
    clock.advance(Duration::from_secs(1400));
    assert!(stored(&store, ID.as_bytes()).await.is_some());
    clock.advance(Duration::from_secs(41));
    assert!(stored(&store, ID.as_bytes()).await.is_none());
}

#[tokio::test]
async fn a_new_id_leaves_the_old_session_or_removes_it() {
    let (store, _) = memory();
    for delete in [false, true] {
        put(&store, "a", 1).await;
        let mut session = request(&store);
        session.start().await.unwrap();
        match delete {
            true => session.regenerate_id_and_delete().await.unwrap(),
            false => session.regenerate_id().await.unwrap(),
        }
        let new = session.id().unwrap().expose().to_vec();
        assert_ne!(new, ID.as_bytes());
        session.shutdown().await.unwrap();
        assert_eq!(stored(&store, &new).await.unwrap(), b"a|i:1;");
        assert_eq!(stored(&store, ID.as_bytes()).await.is_none(), delete);
    }
}

#[tokio::test]
async fn a_reset_does_not_wait_for_its_own_lock() {
    let (store, _) = memory();
    put(&store, "a", 1).await;
    let mut session = request(&store);
    session.start().await.unwrap();
    session.data_mut().unwrap().insert("a", &2).unwrap();
    let cookie = Request::with_cookies(format!("PHPSESSID={ID}"));
    let mut next = PhpSession::new(StoreHandler::new(Arc::clone(&store)), settings(), cookie);
    let waits = tokio::spawn(async move {
        next.start().await.unwrap();
        next.data().unwrap().get::<i64>("a").unwrap()
    });
    // It stands in the line for the lock now, and would get it if the lock was given back.
    tokio::task::yield_now().await;
    session.reset().await.unwrap();
    assert_eq!(session.data().unwrap().get::<i64>("a").unwrap(), Some(1));
    session.data_mut().unwrap().insert("a", &3).unwrap();
    session.shutdown().await.unwrap();
    assert_eq!(waits.await.unwrap(), Some(3));
}

#[tokio::test]
async fn strict_mode_takes_only_ids_of_sessions_that_are_stored() {
    let (store, _) = memory();
    let strict = StartOptions::default().setting("use_strict_mode", "1");
    let mut session = request(&store);
    session.start_with(&strict).await.unwrap();
    assert_ne!(session.id().unwrap().expose(), ID.as_bytes());
    put(&store, "a", 1).await;
    let mut session = request(&store);
    session.start_with(&strict).await.unwrap();
    assert_eq!(session.id().unwrap().expose(), ID.as_bytes());
}

#[tokio::test]
async fn ids_with_other_characters_are_refused_and_replaced_in_strict_mode() {
    let (store, _) = memory();
    let with = |id: &str| {
        let cookie = Request::with_cookies(format!("PHPSESSID={id}"));
        PhpSession::new(StoreHandler::new(Arc::clone(&store)), settings(), cookie)
    };
    for id in ["a.b", "%C3%BC", "%FF", &"x".repeat(257)] {
        let refused = with(id).start().await.unwrap_err();
        assert_eq!(cause(&refused), Some(ErrorKind::InvalidId));
        let strict = StartOptions::default().setting("use_strict_mode", "1");
        with(id).start_with(&strict).await.unwrap();
    }
}

#[tokio::test]
async fn garbage_is_what_is_past_its_end() {
    let (store, clock) = memory();
    put(&store, "a", 1).await;
    clock.advance(Duration::from_secs(1441));
    let mut session = request(&store);
    session.set_id("another").unwrap();
    session.start().await.unwrap();
    assert_eq!(session.gc().await.unwrap(), 1);
    for _ in 0..1_500 {
        let key = KeyHasher::plain().key(&SessionId::generate().unwrap());
        let write = Write::new("", Duration::from_secs(1));
        store.create(&key, write, OpToken::generate().unwrap(), None).await.unwrap();
    }
    clock.advance(Duration::from_secs(2));
    assert_eq!(session.gc().await.unwrap(), 1_500, "more than one step of a sweep");
}

#[tokio::test]
async fn what_cannot_be_decoded_is_destroyed_or_kept() {
    let (store, _) = memory();
    put(&store, "a", 1).await;
    let other = StartOptions::default().setting("serialize_handler", "php_serialize");
    let mut careful = request(&store).with_undecodable(Undecodable::Keep);
    let failure = careful.start_with(&other).await.unwrap_err();
    assert_eq!(failure.diagnostic.unwrap().problem, Problem::Undecoded);
    careful.shutdown().await.unwrap();
    assert_eq!(stored(&store, ID.as_bytes()).await.unwrap(), b"a|i:1;");
    let failure = request(&store).start_with(&other).await.unwrap_err();
    assert_eq!(failure.diagnostic.unwrap().problem, Problem::Decode);
    assert_eq!(stored(&store, ID.as_bytes()).await, None);
}

#[tokio::test]
async fn nothing_shown_has_the_id_in_it() {
    let (store, _) = memory();
    put(&store, "secret", 1).await;
    let mut session = request(&store);
    session.start().await.unwrap();
    session.data_mut().unwrap().insert("a", &"secret").unwrap();
    let mut refused = request(&store);
    refused.ini_set("session.save_path", "tcp://host?auth=secret").unwrap();
    let failure = refused.start().await.unwrap_err();
    let shown = format!("{session:?} {refused:?} {:?} {failure:?} {failure}", refused.settings());
    assert!(!shown.contains(ID) && !shown.contains("secret"), "{shown}");
}

/// A store that declares less than it could, and cannot lock.
#[derive(Debug)]
struct Less(MemoryStore, Capabilities);

fn less(declare: impl FnOnce(&mut Capabilities)) -> (Arc<dyn SessionStore>, Arc<OffsetClock>) {
    let mut capabilities = Capabilities::new("less");
    capabilities.locking = Support::No;
    declare(&mut capabilities);
    let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
    let store = MemoryStore::builder().clock(Arc::clone(&clock)).build();
    (Arc::new(Less(store, capabilities)), clock)
}

fn cannot<T>(operation: Operation) -> Result<T> {
    Err(session_core::Error::new(ErrorKind::Unsupported, "less", operation))
}

#[async_trait]
impl SessionStore for Less {
    session_core::forward!(self => self.0; create load save delete sweep ping enumeration);

    async fn lock(&self, _: &Key, _: LockRequest) -> Result<Locked> {
        cannot(Operation::Lock)
    }

    async fn renew(&self, _: &Key, _: &Lease, _: Duration) -> Result<()> {
        cannot(Operation::Renew)
    }

    async fn release(&self, _: &Key, _: &Lease) -> Result<()> {
        cannot(Operation::Release)
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        op: OpToken,
    ) -> Result<()> {
        match self.1.touch {
            Support::Yes => self.0.touch(key, ttl, incarnation, op).await,
            _ => cannot(Operation::Touch),
        }
    }

    fn capabilities(&self) -> &Capabilities {
        &self.1
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        None
    }
}

#[tokio::test]
async fn without_locks_the_second_to_write_is_refused() {
    let (store, _) = less(|_| {});
    for (round, refusal) in [ErrorKind::AlreadyExists, ErrorKind::Conflict].into_iter().enumerate()
    {
        let (mut first, mut second) = (request(&store), request(&store));
        first.start().await.unwrap();
        second.start().await.unwrap();
        first.data_mut().unwrap().insert("a", &round).unwrap();
        second.data_mut().unwrap().insert("b", &round).unwrap();
        first.shutdown().await.unwrap();
        let failure = second.shutdown().await.unwrap_err();
        assert_eq!(cause(&failure), Some(refusal));
    }
    assert_eq!(stored(&store, ID.as_bytes()).await.unwrap(), b"a|i:1;");
}

#[tokio::test]
async fn where_nothing_can_be_touched_an_unchanged_session_is_written() {
    let (store, clock) = less(|capabilities| capabilities.touch = Support::No);
    put(&store, "a", 1).await;
    clock.advance(Duration::from_secs(1400));
    let mut session = request(&store);
    session.start().await.unwrap();
    session.shutdown().await.unwrap();
    clock.advance(Duration::from_secs(1400));
    assert_eq!(stored(&store, ID.as_bytes()).await.unwrap(), b"a|i:1;");
}

#[tokio::test]
async fn where_the_server_removes_sessions_nothing_is_collected() {
    let (store, clock) = less(|capabilities| capabilities.sweeping = Sweeping::ByServer);
    put(&store, "a", 1).await;
    clock.advance(Duration::from_secs(1441));
    let mut session = request(&store);
    session.start().await.unwrap();
    let failure = session.gc().await.unwrap_err();
    assert_eq!(failure.returned, Returned::False);
    assert!(failure.diagnostic.is_none(), "PHP says nothing");
}
