//! A table that throttles, fails and loses answers, and clocks that are wrong.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::types::AttributeValue;
use session_core::{
    ErrorKind, Expected, Key, OffsetClock, Record, Result, SessionStore, SweepBudget, SystemClock,
    Then, Under, Write,
};
use session_dynamo::{DynamoStoreBuilder, Leases};
use test_load::{
    HOUR, Load, Plan, create, eventually, eventually_done, fails_in_time, load, lock, new_key, op,
    seed, tell, write,
};
use test_servers::{
    TestResult,
    dynamodb::{Fate, Front, Server},
};

use tokio::task::JoinSet;

use crate::support::{PATIENCE, World, builder, client};

/// From a table that lacks capacity.
pub(crate) const THROTTLED: Fate = Fate::Fail(400, "ProvisionedThroughputExceededException");

/// A clock that is moved by hand while a store has it.
fn by_hand() -> Arc<OffsetClock> {
    Arc::new(OffsetClock::new(SystemClock::default()))
}

/// The table throttles after so many writes, once, and for long enough that a record of an hour ends.
fn throttle_for_long(front: &Front, clock: &Arc<OffsetClock>, after: usize) {
    let (clock, writes) = (Arc::clone(clock), AtomicUsize::new(0));
    front.rule(move |request| {
        if request.operation == "GetItem" || writes.fetch_add(1, Ordering::SeqCst) != after {
            return Fate::Pass;
        }
        clock.advance(HOUR * 3 / 2);
        THROTTLED
    });
}

/// Applies these fates to the next requests, one after the other.
fn script(front: &Front, fates: &'static [Fate]) {
    let next = AtomicUsize::new(0);
    front.rule(move |_| *fates.get(next.fetch_add(1, Ordering::SeqCst)).unwrap_or(&Fate::Pass));
}

impl World {
    /// Loses the answers to the first attempts of an operation, each in another way.
    async fn loses<T>(&self, operation: impl Future<Output = Result<T>>) -> T {
        const LOST: &[Fate] = &[Fate::LoseAnswer, Fate::FailAfter(500, "InternalServerError")];
        self.front.forget();
        script(&self.front, LOST);
        let done = operation.await.expect("the store asks again");
        assert!(self.front.sent().len() > LOST.len(), "no answer was lost");
        self.front.pass();
        done
    }
}

/// Case Z05.
pub(crate) async fn each_write_whose_answer_is_lost_happens_once() -> TestResult {
    each_happens_once(World::start().await?).await
}

pub(crate) async fn each_write_whose_answer_is_lost_happens_once_aside() -> TestResult {
    each_happens_once(World::aside().await?).await
}

async fn each_happens_once(world: World) -> TestResult {
    let (store, key) = (&world.store, new_key());
    let first = world.loses(store.create(&key, write(b"1"), op(), None)).await;
    assert_eq!(load(store, &key).await?.unwrap().revision, first);

    let save = store.save(&key, write(b"12"), Expected::Revision(first), op());
    let second = world.loses(save).await;
    let record = load(store, &key).await?.unwrap();
    assert_eq!((&*record.payload, record.revision), (&b"12"[..], second));

    let locked = world.loses(store.lock(&key, lock(HOUR / 2, Duration::ZERO))).await;
    let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
    assert_eq!(record.revision, second);
    world.is_held(&key).await;
    world.loses(store.renew(&key, &lease, HOUR / 2)).await;
    let expected = Expected::Lease { lease: &lease, revision: second, then: Then::Keep };
    let third = world.loses(store.save(&key, write(b"123"), expected, op())).await;
    world.is_held(&key).await;
    let expected = Expected::Lease { lease: &lease, revision: third, then: Then::Release };
    let fourth = world.loses(store.save(&key, write(b"1234"), expected, op())).await;
    world.is_free(&key).await;

    let lease = world.locked(&key).await;
    world.loses(store.release(&key, &lease)).await;
    world.is_free(&key).await;

    let incarnation = fourth.incarnation();
    world.loses(store.touch(&key, (HOUR * 2).into(), incarnation, op())).await;
    let record = world.loses(load(store, &key)).await.unwrap();
    assert!(record.remaining > HOUR.into());
    assert_eq!((&*record.payload, record.revision), (&b"1234"[..], fourth));

    world.loses(store.delete(&key, Expected::Revision(fourth), op())).await;
    assert_eq!(load(store, &key).await?, None);
    let lease = world.locked(&key).await;
    let under = Some(Under::new(&lease, Then::Release));
    let fifth = world.loses(store.create(&key, write(b"5"), op(), under)).await;
    assert_eq!(load(store, &key).await?.unwrap().revision, fifth);
    world.is_free(&key).await;
    Ok(())
}

pub(crate) async fn throttling_is_waited_out_without_more_requests_than_needed() -> TestResult {
    let world = World::start().await?;
    let key = new_key();
    create(&world.store, &key, b"1").await;
    world.front.forget();
    script(&world.front, &[THROTTLED, THROTTLED, Fate::Fail(400, "ThrottlingException")]);
    let locked = world.store.lock(&key, lock(HOUR / 2, Duration::ZERO)).await?;
    assert!(locked.record.is_some());
    assert_eq!(world.front.sent().len(), 4, "attempts to lock");
    Ok(())
}

pub(crate) async fn a_table_that_throttles_for_ever_is_told_by_the_deadline() -> TestResult {
    let timeout = Duration::from_secs(2);
    let world = World::start_with(|builder| builder.timeout(timeout)).await?;
    let key = new_key();
    let first = create(&world.other, &key, b"1").await;
    world.front.rule(|_| THROTTLED);
    let save = async || {
        let save = world.store.save(&key, write(b"2"), Expected::Revision(first), op());
        let error = fails_in_time(timeout, save).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        error.maybe_applied()
    };
    // On a busy machine, an attempt may be under way when there is no time left.
    eventually("a save that was refused each time", async || !save().await).await;
    let asked = fails_in_time(timeout, world.store.lock(&key, lock(HOUR / 2, PATIENCE))).await;
    assert_eq!(asked.kind(), ErrorKind::Unavailable, "throttling is taken for a held lock");
    world.front.pass();
    assert_eq!(&*load(&world.other, &key).await?.unwrap().payload, b"1");
    Ok(())
}

/// Whether it is given up by the attempt, or by the operation.
pub(crate) async fn a_table_that_throttled_and_then_hangs_is_told_as_both() -> TestResult {
    let timeout = Duration::from_secs(5);
    for attempt in [PATIENCE, timeout / 5] {
        let limits =
            |builder: DynamoStoreBuilder| builder.timeout(timeout).attempt_timeout(attempt);
        let world = World::start_with(limits).await?;
        let key = new_key();
        let first = create(&world.other, &key, b"1").await;
        let asked = AtomicUsize::new(0);
        world.front.rule(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
            0..2 => THROTTLED,
            _ => Fate::Hold,
        });
        let save = world.store.save(&key, write(b"2"), Expected::Revision(first), op());
        let error = fails_in_time(timeout, save).await;
        assert_eq!(
            (error.kind(), error.maybe_applied()),
            (ErrorKind::Unavailable, true),
            "{error}"
        );
        assert!(error.to_string().contains("ProvisionedThroughputExceeded"), "{error}");
    }
    Ok(())
}

/// A write is repeated until it comes through, and a session has expired by then.
pub(crate) async fn what_expires_while_a_write_is_repeated_does_not_come_back() -> TestResult {
    let clock = by_hand();
    let world = World::start_with(|builder| builder.clock(Arc::clone(&clock))).await?;
    let (store, front) = (&world.store, &world.front);
    let longer = || Write::new("2", HOUR * 3);
    for case in ["save", "save over whatever there is", "touch", "touch under a long lease"] {
        front.pass();
        let key = new_key();
        let revision = create(store, &key, b"1").await;
        let later = (HOUR * 3).into();
        let error = match case {
            "save" => {
                throttle_for_long(front, &clock, 0);
                store.save(&key, longer(), Expected::Revision(revision), op()).await.err()
            }
            "save over whatever there is" => {
                throttle_for_long(front, &clock, 0);
                store.save(&key, longer(), Expected::Any, op()).await.err()
            }
            "touch" => {
                throttle_for_long(front, &clock, 0);
                store.touch(&key, later, revision.incarnation(), op()).await.err()
            }
            _ => {
                store.lock(&key, lock(HOUR * 9, Duration::ZERO)).await?;
                throttle_for_long(front, &clock, 1);
                store.touch(&key, later, revision.incarnation(), op()).await.err()
            }
        };
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::NotFound), "{case}");
        assert_eq!(load(store, &key).await?, None, "{case}");
    }
    Ok(())
}

/// The answer that grants a lock may come when the lease is over.
pub(crate) async fn a_lease_that_is_over_is_not_granted() -> TestResult {
    let clock = by_hand();
    let world = World::start_with(|builder| builder.clock(Arc::clone(&clock))).await?;
    let key = new_key();
    create(&world.store, &key, b"1").await;
    throttle_for_long(&world.front, &clock, 0);
    let lease = world.store.lock(&key, lock(HOUR / 2, PATIENCE)).await?.lease.unwrap();
    assert_eq!(world.front.count(|request| request.operation == "UpdateItem"), 4);
    world.store.renew(&key, &lease, HOUR / 2).await?;
    let refused = world.store.lock(&key, lock(HOUR / 2, Duration::ZERO)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockTimeout);
    Ok(())
}

pub(crate) async fn the_end_of_an_expired_record_is_not_that_of_a_lease() -> TestResult {
    let clock = by_hand();
    let world = World::start_with(|builder| builder.clock(Arc::clone(&clock))).await?;
    let (store, key) = (&world.store, new_key());
    let revision = create(store, &key, b"1").await;
    store.lock(&key, lock(HOUR * 9, Duration::ZERO)).await?;
    clock.advance(HOUR * 3 / 2);
    store.delete(&key, Expected::Incarnation(revision.incarnation()), op()).await?;
    let refused = store.lock(&key, lock(HOUR, Duration::ZERO)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockTimeout);
    Ok(())
}

/// Case Z04.
pub(crate) async fn a_black_hole_ends_by_the_deadline() -> TestResult {
    let timeout = Duration::from_secs(2);
    let world = World::start_with(|builder| {
        builder.timeout(timeout).attempt_timeout(Duration::from_millis(500))
    })
    .await?;
    let key = new_key();
    let first = create(&world.other, &key, b"1").await;
    world.front.rule(|_| Fate::HoldAnswer(HOUR));
    let token = op();
    let save = || world.store.save(&key, write(b"12"), Expected::Revision(first), token);
    let error = fails_in_time(timeout, save()).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.maybe_applied(), "{error}");
    fails_in_time(timeout, load(&world.store, &key)).await;
    let unread = world.store.save(&key, write(b"12"), Expected::Any, op());
    let error = fails_in_time(timeout, unread).await;
    assert!(!error.maybe_applied(), "nothing was written: {error}");
    world.front.pass();
    let second = eventually_done(save).await;
    let record = load(&world.other, &key).await?.unwrap();
    assert_eq!((record.revision, &*record.payload), (second, &b"12"[..]));
    Ok(())
}

/// The time for one attempt is for the head of an answer; the end of it is in the operation's.
pub(crate) async fn an_answer_without_an_end_is_given_up_at_the_deadline() -> TestResult {
    let timeout = Duration::from_secs(2);
    let set = |builder: DynamoStoreBuilder| builder.timeout(timeout).attempt_timeout(timeout / 4);
    let world = World::start_with(set).await?;
    let key = new_key();
    let first = create(&world.other, &key, b"1").await;
    world.front.rule(|_| Fate::HoldEnd(PATIENCE));
    let token = op();
    let save = || world.store.save(&key, write(b"12"), Expected::Revision(first), token);
    let error = fails_in_time(timeout, save()).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.maybe_applied(), "{error}");
    let error = fails_in_time(timeout, load(&world.store, &key)).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    world.front.pass();
    let second = eventually_done(save).await;
    let record = load(&world.other, &key).await?.unwrap();
    assert_eq!((record.revision, &*record.payload), (second, &b"12"[..]));
    Ok(())
}

/// One unit a second is used up by the first item that goes.
pub(crate) async fn a_sweep_keeps_its_pace_and_ends_with_its_budget() -> TestResult {
    for _ in 0..10 {
        if keeps_its_pace().await? {
            return Ok(());
        }
    }
    Err("two sweeps of half a second took longer than one each time".into())
}

/// Whether it was seen: where a second has passed between the sweeps, the next one may go on.
async fn keeps_its_pace() -> Result<bool, Box<dyn std::error::Error>> {
    let world = World::start_with(|builder| builder.sweep_rate(1).sweep_segments(1)).await?;
    for _ in 0..5 {
        let soon = Write::new("old", Duration::from_millis(1));
        world.other.create(&new_key(), soon, op(), None).await?;
    }
    tokio::time::sleep(Duration::from_millis(2)).await;
    let budget = SweepBudget::new(100, Duration::from_millis(500));
    let (started, began) = (Instant::now(), world.store.consumed());
    let first = tokio::time::timeout(PATIENCE, world.store.sweep(None, budget)).await??;
    assert_eq!(first.deleted, 1, "{first:?}");
    assert!(first.next.is_some());
    world.front.forget();
    let budget = SweepBudget::new(100, Duration::ZERO);
    let sweep = world.store.sweep(first.next.as_ref(), budget);
    let second = tokio::time::timeout(PATIENCE, sweep).await??;
    if started.elapsed() >= Duration::from_secs(1) {
        return Ok(false);
    }
    assert_eq!((second.deleted, second.next), (0, first.next), "it went on before its time");
    assert!(world.front.sent().is_empty());
    let used = world.store.consumed();
    assert!(used.write_units - began.write_units <= 1.0 && used.read_units > began.read_units);
    Ok(true)
}

pub(crate) async fn faults_at_random_lose_and_double_nothing() -> TestResult {
    faults_at_random(Leases::InItem).await
}

pub(crate) async fn faults_at_random_lose_and_double_nothing_aside() -> TestResult {
    faults_at_random(Leases::Aside).await
}

async fn faults_at_random(leases: Leases) -> TestResult {
    const PATIENT: Duration = Duration::from_secs(30);
    // Who writes alone and is dropped leaves his lock for as long as two attempts.
    let attempt = Duration::from_secs(if leases == Leases::Aside { 2 } else { 60 });
    let set = |builder: DynamoStoreBuilder| builder.timeout(PATIENT).attempt_timeout(attempt);
    let world = World::start_as(leases, set).await?;
    let rng = Mutex::new(fastrand::Rng::with_seed(seed()));
    world.front.rule(move |_| match rng.lock().unwrap().u32(0..40) {
        0..3 => THROTTLED,
        3 => Fate::Fail(500, "InternalServerError"),
        4..6 => Fate::FailAfter(500, "InternalServerError"),
        6..8 => Fate::LoseAnswer,
        8 => Fate::Cut,
        _ => Fate::Pass,
    });
    let stores = [world.store.clone(), world.other.clone()];
    let running = Load::start(&stores, Plan::rough(PATIENT)).await;
    // A commit is three requests aside.
    running.more(if leases == Leases::Aside { 100 } else { 300 }).await;
    running.everywhere(2).await;
    world.front.pass();
    let tally = running.stop(&world.other).await.check(None);
    tell("faults", format!("{} requests: {tally}", world.front.sent().len()));
    Ok(())
}

/// A wrong clock takes locks too early, and then a holder is refused: nothing is lost.
pub(crate) async fn clocks_that_are_far_apart_lose_nothing() -> TestResult {
    clocks_are_far_apart(Leases::InItem).await
}

pub(crate) async fn clocks_that_are_far_apart_lose_nothing_aside() -> TestResult {
    clocks_are_far_apart(Leases::Aside).await
}

async fn clocks_are_far_apart(leases: Leases) -> TestResult {
    const APART: Duration = Duration::from_secs(90);
    let world = World::start_as(leases, |builder| builder).await?;
    let ahead = OffsetClock::new(SystemClock::default());
    let behind = OffsetClock::new(SystemClock::default());
    ahead.advance(APART);
    behind.step_back(APART);
    let url = Server::shared().await?.url();
    let open = |clock| builder(&url, &world.table).leases(leases).clock(clock).open();
    let stores = [world.store.clone(), open(ahead).await?, open(behind).await?];
    count_at_odds(stores, &world.other).await
}

/// Each store counts in one session, with a lock and without; none of what was acknowledged is lost.
pub(crate) async fn count_at_odds<S: SessionStore>(
    stores: [S; 3],
    reader: &dyn SessionStore,
) -> TestResult {
    let key = new_key();
    create(reader, &key, b"0").await;
    let mut tasks = JoinSet::new();
    for store in stores {
        let key = key.clone();
        tasks.spawn(async move {
            let mut counted = (0, 0);
            for round in 0..30 {
                let done = match round % 3 {
                    0 => count_unlocked(&store, &key).await,
                    _ => count_locked(&store, &key).await,
                };
                match done {
                    Ok(()) => counted.0 += 1,
                    Err(error) => {
                        let expected =
                            [ErrorKind::Conflict, ErrorKind::LockHeld, ErrorKind::LockLost];
                        assert!(expected.contains(&error.kind()), "{error}");
                        counted.1 += 1;
                    }
                }
            }
            counted
        });
    }
    let (mut counted, mut refused) = (0, 0);
    while let Some(done) = tasks.join_next().await {
        let done = done?;
        (counted, refused) = (counted + done.0, refused + done.1);
    }
    assert_eq!(number(&load(reader, &key).await?.unwrap()), counted);
    tell("clocks", format!("{counted} counted, {refused} refused"));
    Ok(())
}

fn number(record: &Record) -> u32 {
    std::str::from_utf8(&record.payload).unwrap().parse().unwrap()
}

async fn count_unlocked(store: &dyn SessionStore, key: &Key) -> Result<()> {
    let record = load(store, key).await?.unwrap();
    let next = write((number(&record) + 1).to_string().as_bytes());
    store.save(key, next, Expected::Revision(record.revision), op()).await.map(drop)
}

async fn count_locked(store: &dyn SessionStore, key: &Key) -> Result<()> {
    let locked = store.lock(key, lock(Duration::from_secs(10), PATIENCE)).await?;
    let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
    let next = write((number(&record) + 1).to_string().as_bytes());
    let expected =
        Expected::Lease { lease: &lease, revision: record.revision, then: Then::Release };
    store.save(key, next, expected, op()).await.map(drop)
}

pub(crate) async fn an_item_that_is_not_ours_stays() -> TestResult {
    let world = World::start().await?;
    let client = client(&Server::shared().await?.url());
    let (id, format) = (AttributeValue::S("session:other".into()), AttributeValue::N("1".into()));
    let put = client.put_item().table_name(&world.table).item("id", id).item("f", format);
    put.send().await?;
    let report = world.store.sweep(None, SweepBudget::new(10, PATIENCE)).await?;
    assert_eq!((report.scanned, report.deleted, report.skipped), (1, 0, 0));
    let left = client.scan().table_name(&world.table).send().await?;
    assert_eq!(left.count(), 1, "an item of somebody else is removed");
    Ok(())
}

pub(crate) async fn an_item_that_changed_since_the_scan_stays() -> TestResult {
    let world = World::start().await?;
    let (key, soon) = (new_key(), Duration::from_millis(1));
    world.other.create(&key, Write::new("old", soon), op(), None).await?;
    eventually("the end of the old one", async || {
        load(&world.other, &key).await.unwrap().is_none()
    })
    .await;
    world.front.rule(|request| match request.operation.as_str() {
        "DeleteItem" => Fate::Hold,
        _ => Fate::Pass,
    });
    let store = world.store.clone();
    let sweep =
        tokio::spawn(async move { store.sweep(None, SweepBudget::new(10, PATIENCE)).await });
    let held = |request: &test_servers::dynamodb::Request| request.operation == "DeleteItem";
    eventually("the delete", async || world.front.count(held) == 1).await;
    create(&world.other, &key, b"new").await;
    world.front.pass();
    world.front.let_go();
    let report = sweep.await??;
    assert_eq!((report.deleted, report.skipped), (0, 1));
    assert_eq!(&*load(&world.other, &key).await?.unwrap().payload, b"new");
    Ok(())
}
