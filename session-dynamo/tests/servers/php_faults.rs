//! PHP's layout while answers are lost and clocks are wrong. There is no room for the token of a write:
//! a write whose answer is lost happens at most once, but may be told as in doubt.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use session_core::{
    Clock, ErrorKind, Expected, Key, OffsetClock, Operation, Result, SessionStore, SystemClock,
    Then, Under,
};
use session_dynamo::{
    DynamoConfig, DynamoStoreBuilder,
    php::{PhpData, PhpLayout, PhpLock, PhpStore},
};
use test_load::{HOUR, Load, Plan, load, lock, new_key, op, seed, tell, write};
use test_servers::{
    TestResult,
    dynamodb::{Fate, Front, Server},
};

use crate::{
    faults::{THROTTLED, count_at_odds},
    support::{WorldOf, builder, new_table},
};

type World = WorldOf<PhpStore>;

async fn open(builder: DynamoStoreBuilder) -> PhpStore {
    let layout = PhpLayout::new(DynamoConfig::default())
        .with_data_type(PhpData::Binary)
        .with_lock(PhpLock::new());
    PhpStore::open_with(builder, layout).await.unwrap()
}

impl World {
    async fn start() -> test_servers::Result<Self> {
        Self::start_with(|builder| builder).await
    }

    /// With other settings of the store behind the proxy.
    async fn start_with(
        set: impl FnOnce(DynamoStoreBuilder) -> DynamoStoreBuilder,
    ) -> test_servers::Result<Self> {
        let server = Server::shared().await?;
        let (front, table) = (Front::start(&server.address()).await?, new_table());
        builder(&server.url(), &table).create_table().await.unwrap();
        let store = open(set(builder(&front.url(), &table))).await;
        let other = open(builder(&server.url(), &table)).await;
        Ok(Self { front, store, other, table })
    }

    /// A store on the table with this clock.
    async fn open_by(&self, clock: impl Clock) -> test_servers::Result<PhpStore> {
        let url = Server::shared().await?.url();
        Ok(open(builder(&url, &self.table).clock(clock)).await)
    }

    /// Loses the answers to the first writes of an operation, each in another way.
    async fn loses<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        const LOST: &[Fate] = &[Fate::LoseAnswer, Fate::FailAfter(500, "InternalServerError")];
        let next = AtomicUsize::new(0);
        self.front.forget();
        self.front.rule(move |request| match request.operation.as_str() {
            "GetItem" => Fate::Pass,
            _ => *LOST.get(next.fetch_add(1, Ordering::SeqCst)).unwrap_or(&Fate::Pass),
        });
        let done = operation.await;
        let writes = self.front.count(|request| request.operation != "GetItem");
        assert!(writes > LOST.len(), "no answer was lost");
        self.front.pass();
        done
    }

    /// As [`loses`](Self::loses), of an operation that finds its own work in the way.
    async fn leaves_in_doubt<T: std::fmt::Debug>(
        &self,
        kind: ErrorKind,
        operation: impl Future<Output = Result<T>>,
    ) {
        let error = self.loses(operation).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.maybe_applied(), "{error}");
    }

    async fn holds(&self, key: &Key, payload: &[u8]) -> TestResult {
        assert_eq!(&*load(&self.other, key).await?.unwrap().payload, payload);
        Ok(())
    }
}

pub(crate) async fn a_write_whose_answer_is_lost_happens_once_and_is_in_doubt() -> TestResult {
    let world = World::start().await?;
    let (store, key) = (&world.store, new_key());
    let create = store.create(&key, write(b"1"), op(), None);
    world.leaves_in_doubt(ErrorKind::AlreadyExists, create).await;
    world.holds(&key, b"1").await?;

    let revision = load(store, &key).await?.unwrap().revision;
    let save = store.save(&key, write(b"12"), Expected::Revision(revision), op());
    world.leaves_in_doubt(ErrorKind::Conflict, save).await;
    world.holds(&key, b"12").await?;

    let lease = world.locked(&key).await;
    let revision = load(store, &key).await?.unwrap().revision;
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Keep };
    let save = store.save(&key, write(b"123"), expected, op());
    world.leaves_in_doubt(ErrorKind::Conflict, save).await;
    world.holds(&key, b"123").await?;
    world.is_held(&key).await;

    let revision = load(store, &key).await?.unwrap().revision;
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
    let save = store.save(&key, write(b"1234"), expected, op());
    world.leaves_in_doubt(ErrorKind::LockLost, save).await;
    world.holds(&key, b"1234").await?;
    world.is_free(&key).await;

    let absent = new_key();
    let lease = world.locked(&absent).await;
    let under = Some(Under::new(&lease, Then::Release));
    let create = store.create(&absent, write(b"5"), op(), under);
    world.leaves_in_doubt(ErrorKind::AlreadyExists, create).await;
    world.holds(&absent, b"5").await?;
    world.is_free(&absent).await;
    Ok(())
}

/// What finds its work done, and has nothing more to do.
pub(crate) async fn what_may_be_done_twice_is_no_matter_of_doubt() -> TestResult {
    let world = World::start().await?;
    let (store, key) = (&world.store, new_key());
    let revision = store.create(&key, write(b"1"), op(), None).await?;
    let locked = world.loses(store.lock(&key, lock(HOUR / 2, Duration::ZERO))).await?;
    let lease = locked.lease.unwrap();
    world.is_held(&key).await;
    world.loses(store.renew(&key, &lease, HOUR)).await?;
    world.is_held(&key).await;
    world.loses(store.release(&key, &lease)).await?;
    world.is_free(&key).await;
    world.loses(store.touch(&key, (HOUR * 2).into(), revision.incarnation(), op())).await?;
    let record = load(&world.other, &key).await?.unwrap();
    assert!(record.remaining > HOUR.into());
    assert_eq!(&*record.payload, b"1");
    world.loses(store.delete(&key, Expected::Revision(revision), op())).await?;
    assert_eq!(load(&world.other, &key).await?, None);
    Ok(())
}

pub(crate) async fn faults_at_random_lose_and_double_nothing() -> TestResult {
    const PATIENT: Duration = Duration::from_secs(30);
    let world = World::start_with(|builder| builder.timeout(PATIENT)).await?;
    let mut plan = Plan::rough(PATIENT);
    plan.tolerates = |operation, kind| {
        let finds_itself = operation == Operation::Create && kind == ErrorKind::AlreadyExists;
        finds_itself || (Plan::rough(PATIENT).tolerates)(operation, kind)
    };
    let running = Load::start(&[world.store.clone(), world.other.clone()], plan).await;
    let rng = Mutex::new(fastrand::Rng::with_seed(seed()));
    world.front.rule(move |_| match rng.lock().unwrap().u32(0..40) {
        0..3 => THROTTLED,
        3 => Fate::Fail(500, "InternalServerError"),
        4..6 => Fate::FailAfter(500, "InternalServerError"),
        6..8 => Fate::LoseAnswer,
        8 => Fate::Cut,
        _ => Fate::Pass,
    });
    running.more(200).await;
    running.everywhere(2).await;
    world.front.pass();
    let tally = running.stop(&world.other).await.check(None);
    tell("php faults", format!("{} requests: {tally}", world.front.sent().len()));
    assert!(tally.unknown > 0, "no answer to a commit was lost: {tally}");
    Ok(())
}

/// Far beyond what the setting allows for: locks are taken too early, and then a holder is refused.
pub(crate) async fn clocks_that_are_far_apart_lose_nothing() -> TestResult {
    const APART: Duration = Duration::from_secs(90);
    let world = World::start().await?;
    let [ahead, behind] = [(); 2].map(|()| OffsetClock::new(SystemClock::default()));
    ahead.advance(APART);
    behind.step_back(APART);
    let stores = [world.other.clone(), world.open_by(ahead).await?, world.open_by(behind).await?];
    count_at_odds(stores, &world.other).await
}

/// As far as the setting allows for, a lock is seen by all for as long as its holder may use it.
pub(crate) async fn clocks_that_are_apart_as_allowed_take_no_lock() -> TestResult {
    let skew = Duration::from_secs(20);
    let world = World::start_with(|builder| builder.clock_skew(skew)).await?;
    let key = new_key();
    world.store.create(&key, write(b"1"), op(), None).await?;
    let locked = world.store.lock(&key, lock(Duration::from_secs(10), Duration::ZERO)).await?;
    let ahead = OffsetClock::new(SystemClock::default());
    ahead.advance(skew);
    let refused = world.open_by(ahead).await?.lock(&key, lock(HOUR, Duration::ZERO)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::LockTimeout);
    let (lease, revision) = (locked.lease.unwrap(), locked.record.unwrap().revision);
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
    world.store.save(&key, write(b"2"), expected, op()).await?;
    Ok(())
}
