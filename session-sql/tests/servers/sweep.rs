//! Removing what has expired, beside live traffic and others who do the same.

use std::time::Duration;

use session_core::{Expected, Key, KeyDigest, LockRequest, SessionStore, SweepBudget, Then, Under};
use session_sql::SqlStore;
use test_servers::TestResult;
use tokio::{task::JoinSet, time::timeout};

use crate::support::{
    Direct, Ground, HOUR, Kind, SOON, World, create, eventually, load, new_key, op, say, write,
};

/// Rows with the numbers 1 to `rows`, of which each expired so many seconds ago.
async fn expired(world: &World, direct: &mut Direct, rows: usize) {
    let digit = "(SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 \
                 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 \
                 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    let now = world.kind.now();
    let (commits, data) = (world.kind.literal(&[7; 36]), world.kind.literal(&[7; 12]));
    let digest = match world.kind {
        Kind::Postgres => "lpad(n::text, 32, '0')::bytea",
        Kind::Sqlite => "CAST(printf('%032d', n) AS BLOB)",
        _ => "LPAD(n, 32, '0')",
    };
    let sql = format!(
        "INSERT INTO sessions (digest, commits, deadline, holder, lease_until, \
             absolute_deadline, principal, data) \
         SELECT {digest}, {commits}, {now} - n * 1000, NULL, 0, 9223372036854775807, NULL, {data} \
         FROM (SELECT 1 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n AS n \
             FROM {digit} a, {digit} b, {digit} c, {digit} d) numbers WHERE n <= {rows}"
    );
    direct.run(&sql).await;
}

fn digest(number: usize) -> [u8; 32] {
    format!("{number:032}").into_bytes().try_into().unwrap()
}

async fn rows_left(world: &World, direct: &mut Direct) -> i64 {
    let sql = format!("SELECT count(*) FROM sessions WHERE deadline <= {}", world.kind.now());
    direct.number(&sql).await
}

/// Sweeps to the end, and says how many went.
async fn sweep(store: SqlStore, budget: SweepBudget) -> usize {
    let (mut deleted, mut cursor) = (0, None);
    loop {
        let report = store.sweep(cursor.as_ref(), budget).await.unwrap();
        deleted += report.deleted;
        cursor = report.next;
        if cursor.is_none() {
            return deleted;
        }
    }
}

/// Saves one of the sessions after the other, until it is told to stop.
async fn save(
    store: SqlStore,
    keys: Vec<Key>,
    mut stop: tokio::sync::watch::Receiver<bool>,
) -> u64 {
    let mut saved = 0;
    for key in keys.iter().cycle() {
        if *stop.borrow_and_update() {
            break;
        }
        let record = load(&store, key).await.unwrap().expect("a live session was swept");
        let expected = Expected::Revision(record.revision);
        store.save(key, write(&[b'y'; 200]), expected, op()).await.unwrap();
        // One that ends at once, for the sweepers to find.
        let brief = session_core::Write::new("z", Duration::from_millis(1));
        store.create(&new_key(), brief, op(), None).await.unwrap();
        saved += 1;
    }
    saved
}

pub(crate) async fn two_sweepers_and_four_writers_do_not_disturb_each_other(
    ground: Ground,
) -> TestResult {
    const EXPIRED: usize = 10_000;
    const LIVE: usize = 1_000;
    let world = ground.world().await?;
    let mut direct = world.direct().await;
    expired(&world, &mut direct, EXPIRED).await;
    let mut keys = Vec::new();
    for _ in 0..LIVE {
        let key = new_key();
        create(&world.store, &key, b"live").await;
        keys.push(key);
    }
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut writers = JoinSet::new();
    for at in 0..4 {
        let keys = keys.iter().skip(at).step_by(4).cloned().collect();
        writers.spawn(save(world.store.clone(), keys, stopped.clone()));
    }
    let other = world.open().await;
    let budget = SweepBudget::default();
    let sweepers =
        async { tokio::join!(sweep(world.store.clone(), budget), sweep(other.clone(), budget)) };
    let (one, two) = timeout(SOON, sweepers).await?;
    stop.send(true)?;
    let saved: u64 = writers.join_all().await.into_iter().sum();
    assert!(saved > 0, "nobody wrote");
    let alive = format!("SELECT count(*) FROM sessions WHERE deadline > {}", world.kind.now());
    let only_live = async || usize::try_from(direct.number(&alive).await).unwrap() == LIVE;
    eventually("what ends at once has ended", only_live).await;
    let rest = sweep(world.store.clone(), budget).await;
    // And what the writers let expire.
    let gone = u64::try_from(one + two + rest)?;
    assert_eq!(gone, u64::try_from(EXPIRED)? + saved, "{one} + {two} + {rest}");
    assert_eq!(rows_left(&world, &mut direct).await, 0);
    let live = direct.number("SELECT count(*) FROM sessions").await;
    assert_eq!(usize::try_from(live)?, LIVE);
    let name = world.kind.name();
    say(&format!("{name}: swept by one {one}, by the other {two}, beside {saved} saves"));
    Ok(())
}

pub(crate) async fn the_oldest_go_first(ground: Ground) -> TestResult {
    let world = ground.world().await?;
    let mut direct = world.direct().await;
    expired(&world, &mut direct, 300).await;
    let budget = SweepBudget::new(100, SOON);
    let report = world.store.sweep(None, budget).await?;
    assert_eq!((report.scanned, report.deleted, report.next.is_some()), (100, 100, true));
    assert!(report.oldest_lag.is_some_and(|lag| lag >= Duration::from_secs(300)), "{report:?}");
    // Row n expired n seconds ago.
    let oldest = world.kind.literal(&digest(200));
    let older = format!("SELECT count(*) FROM sessions WHERE digest > {oldest}");
    assert_eq!(direct.number(&older).await, 0);
    assert_eq!(rows_left(&world, &mut direct).await, 200);
    Ok(())
}

/// A session that is being saved by somebody whose transaction takes its time.
pub(crate) async fn a_row_that_is_locked_is_passed_over(ground: Ground) -> TestResult {
    let world = ground.world().await?;
    let mut direct = world.direct().await;
    expired(&world, &mut direct, 1_200).await;
    let mut other = world.direct().await;
    // The oldest, with which each batch would begin, and one in the middle.
    let locked = [1_200, 600].map(|number| world.kind.literal(&digest(number)));
    other.run("BEGIN").await;
    for row in &locked {
        other.run(&format!("SELECT 1 FROM sessions WHERE digest = {row} FOR UPDATE")).await;
    }
    let swept = timeout(SOON / 2, sweep(world.store.clone(), SweepBudget::default())).await?;
    assert_eq!(swept, 1_198);
    // One of them comes to life.
    let now = world.kind.now();
    let live = &locked[1];
    other.run(&format!("UPDATE sessions SET deadline = {now} + 60000 WHERE digest = {live}")).await;
    other.run("COMMIT").await;
    assert_eq!(sweep(world.store.clone(), SweepBudget::default()).await, 1);
    assert_eq!(direct.number("SELECT count(*) FROM sessions").await, 1);
    let key = Key::from_digest(KeyDigest::from_bytes(digest(600)));
    world.store.delete(&key, Expected::Any, op()).await?;
    Ok(())
}

/// With so few rows, a database may prefer to go through all of them, whatever it was asked for first.
pub(crate) async fn a_row_that_is_locked_is_passed_over_among_few(ground: Ground) -> TestResult {
    let world = ground.world().await?;
    let mut direct = world.direct().await;
    let mut other = world.direct().await;
    for rows in 2..=5 {
        expired(&world, &mut direct, rows).await;
        let locked = world.kind.literal(&digest(rows));
        other.run("BEGIN").await;
        other.run(&format!("SELECT 1 FROM sessions WHERE digest = {locked} FOR UPDATE")).await;
        let swept = sweep(world.store.clone(), SweepBudget::default());
        let swept = timeout(SOON / 2, swept).await.map_err(|_elapsed| format!("among {rows}"))?;
        assert_eq!(swept, rows - 1, "among {rows}");
        other.run("COMMIT").await;
        assert_eq!(sweep(world.store.clone(), SweepBudget::default()).await, 1);
    }
    Ok(())
}

/// Each way in which a session ends, and each in which a lock without a session does.
async fn one_life(store: &SqlStore, way: usize) {
    let key = new_key();
    let brief = Duration::from_millis(20);
    let lease = |wait| LockRequest::new(op(), wait, Duration::ZERO);
    match way {
        0 => {
            create(store, &key, b"x").await;
            store.delete(&key, Expected::Any, op()).await.unwrap();
        }
        1 => {
            let write = session_core::Write::new("x", brief);
            store.create(&key, write, op(), None).await.unwrap();
        }
        2 => {
            let taken = store.lock(&key, lease(HOUR)).await.unwrap().lease.unwrap();
            store.release(&key, &taken).await.unwrap();
        }
        3 => drop(store.lock(&key, lease(brief)).await.unwrap()),
        4 => {
            let revision = create(store, &key, b"x").await;
            let taken = store.lock(&key, lease(HOUR)).await.unwrap().lease.unwrap();
            let expected = Expected::Lease { lease: &taken, revision, then: Then::Keep };
            store.delete(&key, expected, op()).await.unwrap();
            store.release(&key, &taken).await.unwrap();
        }
        5 => {
            let taken = store.lock(&key, lease(HOUR)).await.unwrap().lease.unwrap();
            let under = Some(Under::new(&taken, Then::Keep));
            let revision = store.create(&key, write(b"x"), op(), under).await.unwrap();
            let expected = Expected::Lease { lease: &taken, revision, then: Then::Release };
            let over = session_core::Write::new("x", Duration::ZERO);
            store.save(&key, over, expected, op()).await.unwrap();
        }
        _ => {
            let revision = create(store, &key, b"x").await;
            let taken = store.lock(&key, lease(HOUR)).await.unwrap().lease.unwrap();
            let expected = Expected::Lease { lease: &taken, revision, then: Then::Release };
            store.delete(&key, expected, op()).await.unwrap();
        }
    }
}

pub(crate) async fn sessions_that_come_and_go_leave_no_row_behind(ground: Ground) -> TestResult {
    let world = ground.world().await?;
    for life in 0..70 {
        one_life(&world.store, life % 7).await;
    }
    tokio::time::sleep(Duration::from_millis(30)).await;
    sweep(world.store.clone(), SweepBudget::default()).await;
    assert_eq!(world.direct().await.number("SELECT count(*) FROM sessions").await, 0);
    Ok(())
}
