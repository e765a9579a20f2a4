//! A network between the store and its server that loses, delays and cuts.

use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use session_core::{ErrorKind, Expected, Key, Lease, SessionStore, Then, Under};
use session_redis::RedisStore;
use test_load::{
    HOUR, Load, Plan, create, eventually, eventually_done, fails_in_time, load, lock, new_key, op,
    seed, tell, write,
};
use test_servers::{
    TestResult,
    proxy::{Direction, Proxy},
    redis::{Options, Server},
};

use crate::support::{PATIENT, open};

/// A server, one store on it through a proxy, and a patient one past it.
struct World {
    _server: Server,
    proxy: Proxy,
    store: RedisStore,
    other: RedisStore,
}

impl World {
    async fn start(timeout: Duration) -> test_servers::Result<Self> {
        Self::with(&Options::redis(), timeout).await
    }

    async fn with(options: &Options, timeout: Duration) -> test_servers::Result<Self> {
        let server = Server::start(options).await?;
        let proxy = Proxy::start(&server.address()).await?;
        let store = open(&format!("redis://{}", proxy.address()), timeout).await;
        let other = open(&server.url(), PATIENT).await;
        warm(&other).await;
        Ok(Self { _server: server, proxy, store, other })
    }

    /// Loses the reply to the next request for a key, and checks afterwards that it was lost.
    async fn loses<T>(
        &self,
        key: &Key,
        operation: impl Future<Output = session_core::Result<T>>,
    ) -> T {
        let lost = self.proxy.lost();
        self.proxy.lose_reply_to(BASE64URL_NOPAD.encode(key.digest().as_bytes()).as_bytes());
        let done = operation.await.expect("the store asks again");
        assert_eq!(self.proxy.lost(), lost + 1, "no reply was lost");
        done
    }

    async fn locked(&self, key: &Key) -> Lease {
        self.store.lock(key, lock(HOUR, Duration::ZERO)).await.unwrap().lease.unwrap()
    }

    /// Nobody holds it: somebody else can take it, and gives it back.
    async fn is_free(&self, key: &Key) {
        let taken = self.other.lock(key, lock(HOUR, Duration::ZERO)).await.expect("it is free");
        self.other.release(key, &taken.lease.unwrap()).await.unwrap();
    }

    async fn is_held(&self, key: &Key) {
        let refused = self.other.lock(key, lock(HOUR, Duration::ZERO)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::LockTimeout);
    }
}

/// Lets the server know all scripts, lest what it is missing is the text of one.
async fn warm(store: &RedisStore) {
    let key = new_key();
    let first = create(store, &key, b"").await;
    store.touch(&key, HOUR.into(), first.incarnation(), op()).await.unwrap();
    let taken = store.lock(&key, lock(HOUR, Duration::ZERO)).await.unwrap();
    let lease = taken.lease.unwrap();
    store.renew(&key, &lease, HOUR).await.unwrap();
    store.save(&key, write(b"1"), Expected::Any, op()).await.unwrap();
    store.release(&key, &lease).await.unwrap();
    store.delete(&key, Expected::Any, op()).await.unwrap();
}

/// Case Z05.
pub(crate) async fn each_write_whose_reply_is_lost_happens_once() -> TestResult {
    let world = World::start(PATIENT).await?;
    let (store, key) = (&world.store, new_key());
    let first = world.loses(&key, store.create(&key, write(b"1"), op(), None)).await;
    assert_eq!(load(store, &key).await?.unwrap().revision, first);

    let save = store.save(&key, write(b"12"), Expected::Revision(first), op());
    let second = world.loses(&key, save).await;
    let record = load(store, &key).await?.unwrap();
    assert_eq!((&*record.payload, record.revision), (&b"12"[..], second));

    let locked = world.loses(&key, store.lock(&key, lock(HOUR, Duration::ZERO))).await;
    let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
    assert_eq!(record.revision, second);
    world.is_held(&key).await;
    world.loses(&key, store.renew(&key, &lease, HOUR)).await;
    let expected = Expected::Lease { lease: &lease, revision: second, then: Then::Keep };
    let third = world.loses(&key, store.save(&key, write(b"123"), expected, op())).await;
    world.is_held(&key).await;
    let expected = Expected::Lease { lease: &lease, revision: third, then: Then::Release };
    let fourth = world.loses(&key, store.save(&key, write(b"1234"), expected, op())).await;
    world.is_free(&key).await;

    let lease = world.locked(&key).await;
    world.loses(&key, store.release(&key, &lease)).await;
    world.is_free(&key).await;

    let incarnation = fourth.incarnation();
    world.loses(&key, store.touch(&key, (HOUR * 2).into(), incarnation, op())).await;
    let record = world.loses(&key, load(store, &key)).await.unwrap();
    assert!(record.remaining > HOUR.into());
    assert_eq!((&*record.payload, record.revision), (&b"1234"[..], fourth));

    world.loses(&key, store.delete(&key, Expected::Revision(fourth), op())).await;
    assert_eq!(load(store, &key).await?, None);
    let lease = world.locked(&key).await;
    let under = Some(Under::new(&lease, Then::Release));
    let fifth = world.loses(&key, store.create(&key, write(b"5"), op(), under)).await;
    assert_eq!(load(store, &key).await?.unwrap().revision, fifth);
    world.is_free(&key).await;
    tell("lost replies", format!("{} lost, each done once", world.proxy.lost()));
    Ok(())
}

/// Case Z05, where the server compares: the second time the value is another one.
pub(crate) async fn a_save_without_a_script_whose_reply_is_lost_happens_once() -> TestResult {
    let world = World::with(&Options::valkey(), PATIENT).await?;
    let (store, key) = (&world.store, new_key());
    create(store, &key, b"1").await;
    let read = load(store, &key).await?.unwrap().revision;
    let save = store.save(&key, write(b"12"), Expected::Revision(read), op());
    let saved = world.loses(&key, save).await;
    let record = load(store, &key).await?.unwrap();
    assert_eq!((&*record.payload, record.revision), (&b"12"[..], saved));

    // Somebody else saves before it is sent again, and then it is not known any more.
    let save = async {
        world.proxy.swallow(Direction::Replies);
        store.save(&key, write(b"123"), Expected::Revision(saved), op()).await
    };
    let others = async {
        let moved = async || load(&world.other, &key).await.unwrap().unwrap().revision != saved;
        eventually("the save", moved).await;
        for _ in 0..5 {
            let expected = load(&world.other, &key).await.unwrap().unwrap().revision;
            let next = write(b"other");
            world.other.save(&key, next, Expected::Revision(expected), op()).await.unwrap();
        }
        world.proxy.pass().await;
    };
    let (saved, ()) = tokio::join!(save, others);
    let error = saved.unwrap_err();
    assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::Conflict, true), "{error}");
    Ok(())
}

/// Case L11. The release is done, but its reply lost; before it is sent again, another one has it.
pub(crate) async fn a_reply_lost_to_a_successor_leaves_his_lock_alone() -> TestResult {
    let world = World::start(PATIENT).await?;
    let key = new_key();
    create(&world.store, &key, b"x").await;
    let lease = world.locked(&key).await;
    let waits = world.other.lock(&key, lock(HOUR, PATIENT));
    let releases = async {
        world.proxy.swallow(Direction::Replies);
        let release = world.store.release(&key, &lease);
        let passes = async {
            // It takes the lock only once the release is done.
            let taken = waits.await.unwrap().lease.unwrap();
            world.proxy.pass().await;
            taken
        };
        let (released, taken) = tokio::join!(release, passes);
        released.map(|()| taken)
    };
    let taken = releases.await?;
    world.other.renew(&key, &taken, HOUR).await?;
    Ok(())
}

/// Case Z04.
pub(crate) async fn a_black_hole_ends_by_the_deadline() -> TestResult {
    let timeout = Duration::from_secs(2);
    let world = World::start(timeout).await?;
    let key = new_key();
    let first = create(&world.other, &key, b"1").await;
    for direction in [Direction::Requests, Direction::Replies] {
        world.proxy.swallow(direction);
        let token = op();
        let save = || world.store.save(&key, write(b"12"), Expected::Any, token);
        let error = fails_in_time(timeout, save()).await;
        assert!(error.maybe_applied(), "{error}");
        fails_in_time(timeout, load(&world.store, &key)).await;
        world.proxy.pass().await;
        let second = eventually_done(save).await;
        assert_ne!(second, first);
        assert_eq!(load(&world.other, &key).await?.unwrap().revision, second);
    }
    Ok(())
}

/// Case Z01.
pub(crate) async fn a_refused_connection_is_told_fast() -> TestResult {
    let timeout = Duration::from_secs(2);
    let world = World::start(timeout).await?;
    let key = new_key();
    create(&world.other, &key, b"1").await;
    world.proxy.refuse().await;
    world.proxy.cut();
    let began = Instant::now();
    let error = fails_in_time(timeout, load(&world.store, &key)).await;
    let took = began.elapsed();
    // Nothing is listening: nothing was sent, so nothing was done.
    let unsent = world.store.save(&key, write(b"2"), Expected::Any, op());
    assert!(!fails_in_time(timeout, unsent).await.maybe_applied());
    let url = format!("redis://{}", world.proxy.address());
    let opens = RedisStore::builder(&url)?.timeout(timeout).open();
    fails_in_time(timeout, opens).await;
    world.proxy.pass().await;
    let record = eventually_done(|| load(&world.store, &key)).await.unwrap();
    assert_eq!(&*record.payload, b"1");
    tell("refused", format!("{:?} after {took:?} of {timeout:?}", error.kind()));
    Ok(())
}

pub(crate) async fn a_slow_network_is_only_slow() -> TestResult {
    let world = World::start(PATIENT).await?;
    world.proxy.latency(Direction::Both, Duration::from_millis(40));
    let stores = [world.store.clone(), world.other.clone()];
    let load = Load::start(&stores, Plan::quiet(PATIENT)).await;
    load.more(150).await;
    let tally = load.stop(&world.other).await.check(None);
    tell("latency 2 x 40 ms", tally);
    Ok(())
}

pub(crate) async fn connections_cut_at_random_lose_and_double_nothing() -> TestResult {
    const ROUNDS: u64 = 8;
    let world = World::start(PATIENT).await?;
    let stores = [world.store.clone(), world.other.clone()];
    let load = Load::start(&stores, Plan::quiet(PATIENT)).await;
    let mut rng = fastrand::Rng::with_seed(seed());
    for round in 0..ROUNDS {
        load.more(rng.u64(1..12)).await;
        world.proxy.cut();
        for lost in [1, 2] {
            load.more(rng.u64(1..12)).await;
            world.proxy.lose_reply_to(b"session:");
            let is_lost = async || world.proxy.lost() == 2 * round + lost;
            eventually("a lost reply", is_lost).await;
        }
    }
    load.everywhere(2).await;
    let tally = load.stop(&world.other).await.check(None);
    tell("cuts", format!("{ROUNDS} cuts, {} replies lost: {tally}", world.proxy.lost()));
    Ok(())
}
