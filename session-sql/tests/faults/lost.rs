//! A network between the store and its server that loses, delays and cuts.

use std::time::{Duration, Instant};

use session_core::{
    CookieChange, ErrorKind, Expected, Key, Lease, Revision, SessionManager, SessionStore, Then,
    Under,
};
use session_sql::SqlStore;
use test_load::{
    HOUR, Load, Plan, create, eventually, eventually_done, fails_in_time, load, lock, new_key, op,
    seed, tell, write,
};
use test_servers::{
    TestResult,
    proxy::{Direction, Proxy},
    sql::{Flavor, Server},
};

use crate::support::{PATIENT, open, plan, start, unhurried, url_by, warm};

const TIMEOUT: Duration = Duration::from_secs(10);

/// A server, one store on it through a proxy, and one past it that nothing hurries.
struct World {
    server: Server,
    proxy: Proxy,
    store: SqlStore,
    other: SqlStore,
}

impl World {
    async fn start(flavor: Flavor, timeout: Duration) -> test_servers::Result<Self> {
        let server = start(flavor).await?;
        let proxy = Proxy::start(&server.address()).await?;
        let store = open(&url_by(&proxy, &server), timeout).await;
        let other = unhurried(&server.url()).await;
        warm(&store).await;
        Ok(Self { server, proxy, store, other })
    }

    /// Loses the reply to the next request for a key, and checks afterwards that it was lost.
    async fn loses<T>(
        &self,
        what: &str,
        key: &Key,
        operation: impl Future<Output = session_core::Result<T>>,
    ) -> T {
        let lost = self.proxy.lost();
        self.proxy.lose_reply_to(key.digest().as_bytes());
        let done = operation.await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(self.proxy.lost(), lost + 1, "{what}: no reply was lost");
        done
    }

    /// Loses all requests from now on, and says how many were lost before.
    fn swallow_requests(&self) -> u64 {
        let swallowed = self.proxy.swallowed();
        self.proxy.swallow(Direction::Requests);
        swallowed
    }

    /// Waits until another request was lost.
    async fn until_swallowed(&self, before: u64) {
        eventually("a lost request", async || self.proxy.swallowed() > before).await;
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

/// Case Z05.
pub(crate) async fn each_write_whose_reply_is_lost_happens_once(flavor: Flavor) -> TestResult {
    let world = World::start(flavor, TIMEOUT).await?;
    let (store, key) = (&world.store, new_key());
    let create = store.create(&key, write(b"1"), op(), None);
    let first = world.loses("create", &key, create).await;
    assert_eq!(load(store, &key).await?.unwrap().revision, first);

    let save = store.save(&key, write(b"12"), Expected::Revision(first), op());
    let second = world.loses("save", &key, save).await;
    let record = load(store, &key).await?.unwrap();
    assert_eq!((&*record.payload, record.revision), (&b"12"[..], second));

    let fourth = each_write_under_a_lock_happens_once(&world, &key, second).await;
    let touch = store.touch(&key, (HOUR * 2).into(), fourth.incarnation(), op());
    world.loses("touch", &key, touch).await;
    let record = world.loses("load", &key, load(store, &key)).await.unwrap();
    assert!(record.remaining > HOUR.into());
    assert_eq!((&*record.payload, record.revision), (&b"1234"[..], fourth));

    let delete = store.delete(&key, Expected::Revision(fourth), op());
    world.loses("delete", &key, delete).await;
    assert_eq!(load(store, &key).await?, None);
    let taken = world.loses("lock of nothing", &key, store.lock(&key, lock(HOUR, HOUR))).await;
    let lease = taken.lease.unwrap();
    let under = Some(Under::new(&lease, Then::Release));
    let create = store.create(&key, write(b"5"), op(), under);
    let fifth = world.loses("create under a lock", &key, create).await;
    assert_eq!(load(store, &key).await?.unwrap().revision, fifth);
    world.is_free(&key).await;

    let save = store.save(
        &key,
        write(b"6").with_lineage(session_core::Lineage::Restart),
        Expected::Any,
        op(),
    );
    let sixth = world.loses("save, restart", &key, save).await;
    assert_eq!(load(store, &key).await?.unwrap().revision, sixth);
    let log_out = store.delete(&key, Expected::Incarnation(sixth.incarnation()), op());
    world.loses("log-out", &key, log_out).await;
    assert_eq!(load(store, &key).await?, None);
    let lost = world.proxy.lost();
    tell(&format!("{} lost replies", flavor.name()), format!("{lost} lost, each done once"));
    Ok(())
}

/// From one revision to the next but one, and the lock is free then.
async fn each_write_under_a_lock_happens_once(
    world: &World,
    key: &Key,
    second: Revision,
) -> Revision {
    let store = &world.store;
    let taken = store.lock(key, lock(HOUR, Duration::ZERO));
    let locked = world.loses("lock", key, taken).await;
    let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
    assert_eq!(record.revision, second);
    world.is_held(key).await;
    world.loses("renew", key, store.renew(key, &lease, HOUR)).await;
    let expected = Expected::Lease { lease: &lease, revision: second, then: Then::Keep };
    let save = store.save(key, write(b"123"), expected, op());
    let third = world.loses("save, keep", key, save).await;
    world.is_held(key).await;
    let expected = Expected::Lease { lease: &lease, revision: third, then: Then::Release };
    let save = store.save(key, write(b"1234"), expected, op());
    let fourth = world.loses("save, release", key, save).await;
    world.is_free(key).await;

    let lease = world.locked(key).await;
    world.loses("release", key, store.release(key, &lease)).await;
    world.is_free(key).await;
    fourth
}

/// Case L11. The release is done, but its reply lost; before it is sent again, another one has it.
pub(crate) async fn a_reply_lost_to_a_successor_leaves_his_lock_alone(
    flavor: Flavor,
) -> TestResult {
    let world = World::start(flavor, TIMEOUT).await?;
    let key = new_key();
    create(&world.store, &key, b"x").await;
    let lease = world.locked(&key).await;
    let waits = world.other.lock(&key, lock(HOUR, TIMEOUT));
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

/// The request is lost, and before it is sent again somebody else commits: whoever is refused then
/// knows that nothing of his was done, and may merge.
pub(crate) async fn who_lost_a_request_and_the_race_is_told_for_certain(
    flavor: Flavor,
) -> TestResult {
    let world = World::start(flavor, TIMEOUT).await?;
    let key = new_key();
    let mut known = create(&world.store, &key, b"1").await;
    for commits in [1, 4, 5] {
        warm(&world.store).await;
        let swallowed = world.swallow_requests();
        let save = world.store.save(&key, write(b"lost"), Expected::Revision(known), op());
        let race = async {
            world.until_swallowed(swallowed).await;
            let mut revision = known;
            for _ in 0..commits {
                let expected = Expected::Revision(revision);
                revision = world.other.save(&key, write(b"won"), expected, op()).await.unwrap();
            }
            world.proxy.pass().await;
            revision
        };
        let (refused, revision) = tokio::join!(save, race);
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
        // Of more commits than four nobody knows whose they were.
        assert_eq!(refused.maybe_applied(), commits > 4, "after {commits} commits");
        assert_eq!(&*load(&world.other, &key).await?.unwrap().payload, b"won");
        known = revision;
    }
    Ok(())
}

pub(crate) async fn a_session_merges_although_requests_are_lost(flavor: Flavor) -> TestResult {
    let world = World::start(flavor, TIMEOUT).await?;
    let here = SessionManager::new(world.store.clone())?;
    let there = SessionManager::new(world.other.clone())?;
    let session = here.open(None);
    session.insert("n", 0).await?;
    session.save().await?;
    let CookieChange::Set { id, .. } = session.cookie_change() else { panic!("it has an id") };
    for n in 1..=3 {
        warm(&world.store).await;
        let session = here.open(Some(id.clone()));
        session.insert("here", n).await?;
        let swallowed = world.swallow_requests();
        let race = async {
            world.until_swallowed(swallowed).await;
            let other = there.open(Some(id.clone()));
            other.insert("there", n).await.unwrap();
            other.save().await.unwrap();
            world.proxy.pass().await;
        };
        let (saved, ()) = tokio::join!(session.save(), race);
        saved?;
        let both = there.open(Some(id.clone()));
        assert_eq!(both.get::<i32>("here").await?, Some(n));
        assert_eq!(both.get::<i32>("there").await?, Some(n));
    }
    Ok(())
}

/// Case Z04.
pub(crate) async fn a_black_hole_ends_by_the_deadline(flavor: Flavor) -> TestResult {
    let timeout = Duration::from_secs(2);
    let world = World::start(flavor, timeout).await?;
    let key = new_key();
    let mut known = create(&world.other, &key, b"1").await;
    for direction in [Direction::Requests, Direction::Replies] {
        warm(&world.store).await;
        world.proxy.swallow(direction);
        let token = op();
        let save = || world.store.save(&key, write(b"12"), Expected::Revision(known), token);
        let error = fails_in_time(timeout, save()).await;
        assert!(error.maybe_applied(), "{error}");
        let unsent = load(&world.store, &key);
        assert!(!fails_in_time(timeout, unsent).await.maybe_applied());
        world.proxy.pass().await;
        eventually("an answer", async || world.store.ping().await.is_ok()).await;
        let next = eventually_done(save).await;
        assert_ne!(next, known);
        assert_eq!(load(&world.other, &key).await?.unwrap().revision, next);
        known = next;
    }
    Ok(())
}

/// A save that is refused is two statements, each of which is in time.
pub(crate) async fn an_operation_has_one_deadline(flavor: Flavor) -> TestResult {
    let (timeout, latency) = (Duration::from_secs(24), Duration::from_secs(13));
    let world = World::start(flavor, TIMEOUT).await?;
    let url = url_by(&world.proxy, &world.server);
    let builder = SqlStore::builder(&url)?.timeout(timeout).response_timeout(timeout);
    let store = builder.connect_timeout(timeout).max_connections(1).open().await?;
    let key = new_key();
    let first = create(&store, &key, b"1").await;
    let second = world.other.save(&key, write(b"2"), Expected::Revision(first), op()).await?;
    let refused = || store.save(&key, write(b"3"), Expected::Revision(first), op());
    assert_eq!(refused().await.unwrap_err().kind(), ErrorKind::Conflict);
    world.proxy.latency(Direction::Requests, latency);
    let late = refused().await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout, "{late}");
    world.proxy.pass().await;
    assert_eq!(load(&store, &key).await?.unwrap().revision, second);
    world.proxy.latency(Direction::Requests, latency);
    assert_eq!(load(&store, &key).await?.unwrap().revision, second, "one statement is in time");
    Ok(())
}

/// Case Z01.
pub(crate) async fn a_refused_connection_is_told_fast(flavor: Flavor) -> TestResult {
    let timeout = Duration::from_secs(2);
    let world = World::start(flavor, timeout).await?;
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
    let url = url_by(&world.proxy, &world.server);
    fails_in_time(timeout, SqlStore::builder(&url)?.timeout(timeout).open()).await;
    world.proxy.pass().await;
    let record = eventually_done(|| load(&world.store, &key)).await.unwrap();
    assert_eq!(&*record.payload, b"1");
    let kind = error.kind();
    tell(&format!("{} refused", flavor.name()), format!("{kind:?} after {took:?} of {timeout:?}"));
    Ok(())
}

pub(crate) async fn a_slow_network_is_only_slow(flavor: Flavor) -> TestResult {
    let world = World::start(flavor, PATIENT).await?;
    world.proxy.latency(Direction::Both, Duration::from_millis(40));
    let stores = [world.store.clone(), world.other.clone()];
    let load = Load::start(&stores, Plan::quiet(PATIENT)).await;
    load.more(100).await;
    let tally = load.stop(&world.other).await.check(None);
    tell(&format!("{} latency 2 x 40 ms", flavor.name()), tally);
    Ok(())
}

pub(crate) async fn connections_cut_at_random_lose_and_double_nothing(
    flavor: Flavor,
) -> TestResult {
    const ROUNDS: u64 = 8;
    let world = World::start(flavor, PATIENT).await?;
    let stores = [world.store.clone(), world.other.clone()];
    let load = Load::start(&stores, plan(flavor)).await;
    let mut rng = fastrand::Rng::with_seed(seed());
    for round in 0..ROUNDS {
        load.more(rng.u64(1..12)).await;
        world.proxy.cut();
        for lost in [1, 2] {
            load.more(rng.u64(1..12)).await;
            // Of whatever comes next, on any connection.
            world.proxy.lose_reply_to(b"");
            let is_lost = async || world.proxy.lost() == 2 * round + lost;
            eventually("a lost reply", is_lost).await;
        }
    }
    load.everywhere(2).await;
    let tally = load.stop(&world.other).await.check(None);
    let lost = world.proxy.lost();
    tell(
        &format!("{} cuts", flavor.name()),
        format!("{ROUNDS} cuts, {lost} replies lost: {tally}"),
    );
    Ok(())
}
