//! What a fleet does.

use std::time::Duration;

use session_core::{
    ErrorKind, Expected, Key, LockRequest, ReadOptions, Record, Result, SessionStore, SweepBudget,
    Then,
};
use session_sql::SqlStore;
use test_servers::{
    TestResult,
    sql::{Flavor, Server},
};
use tokio::{task::JoinSet, time::timeout};

use crate::support::{HOUR, SOON, Setup, load, new_key, op, request, write};

pub(crate) async fn every_verb_works(setup: Setup) -> TestResult {
    let place = setup.place(2).await?;
    let (one, other) = (place.open(1).await, place.open(1).await);
    assert_eq!(one.check().await?, []);
    one.ping().await?;
    let (key, expired) = (new_key(), new_key());
    // Every byte, and more of them than fit into one packet.
    let payload: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let first = one.create(&key, write(payload.clone()), op(), None).await?;
    assert_eq!(load(&other, &key).await.unwrap().payload, payload);
    let taken = other.create(&key, write("x"), op(), None).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);

    let second = other.save(&key, write("2"), Expected::Revision(first), op()).await?;
    let stale = one.save(&key, write("3"), Expected::Revision(first), op()).await.unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::Conflict);
    one.touch(&key, (HOUR * 2).into(), second.incarnation(), op()).await?;

    let lease = one.lock(&key, request(SOON)).await?.lease.unwrap();
    let held = other.lock(&key, request(Duration::from_millis(50))).await.unwrap_err();
    assert_eq!(held.kind(), ErrorKind::LockTimeout);
    one.renew(&key, &lease, HOUR).await?;
    one.release(&key, &lease).await?;
    let locked = other.lock(&key, request(SOON)).await?;
    other.release(&key, &locked.lease.unwrap()).await?;

    let brief = session_core::Write::new("gone", Duration::from_millis(1));
    one.create(&expired, brief, op(), None).await?;
    let swept = timeout(SOON, async {
        loop {
            let budget = SweepBudget::new(1_000, SOON);
            let report = other.sweep(None, budget).await.unwrap();
            if report.deleted > 0 {
                break report.deleted;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(swept.await?, 1);
    other.delete(&key, Expected::Any, op()).await?;
    assert!(load(&one, &key).await.is_none());
    Ok(())
}

/// It hands out sessions of the server for a transaction, or keeps nobody from telling it to: no
/// message would come for sure.
pub(crate) async fn who_waits_for_a_lock_asks_for_it(setup: Setup) -> TestResult {
    let place = setup.place(3).await?;
    let table = format!("t{:x}", fastrand::u64(..));
    let (one, other) = (place.open_table(1, &table).await, place.open_table(1, &table).await);
    let key = new_key();
    let lease = one.lock(&key, request(Duration::ZERO)).await?.lease.unwrap();
    let waits = {
        let (other, key) = (other.clone(), key.clone());
        tokio::spawn(async move { other.lock(&key, request(SOON)).await })
    };
    let log = async || Server::shared(Flavor::Postgres).await.unwrap().log();
    let looks = format!(
        "lease_until - floor(date_part('epoch', clock_timestamp()) * 1000)::bigint FROM {table} "
    );
    let polls = timeout(SOON, async {
        while log().await.matches(&looks).count() < 10 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    polls.await?;
    one.release(&key, &lease).await?;
    assert!(timeout(SOON, waits).await???.lease.is_some());
    let channel = format!("session_sql_{:08x}", crc32fast::hash(table.as_bytes()));
    let log = log().await;
    assert!(!log.contains(&format!("LISTEN \"{channel}\"")), "it listens");
    assert!(log.contains(&channel), "who frees a lock may tell others");
    Ok(())
}

fn number(record: &Record) -> u64 {
    std::str::from_utf8(&record.payload).unwrap().parse().unwrap()
}

/// Counts one up, under the lock.
async fn count_locked(store: &SqlStore, key: &Key) -> Result<()> {
    // A lock whose holder never heard of it is not waited for long.
    let request = LockRequest::new(op(), Duration::from_secs(3), SOON);
    let locked = store.lock(key, request).await?;
    let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
    let next = (number(&record) + 1).to_string();
    let expected =
        Expected::Lease { lease: &lease, revision: record.revision, then: Then::Release };
    store.save(key, write(next), expected, op()).await.map(drop)
}

/// Counts one up, unless somebody was faster.
async fn count_free(store: &SqlStore, key: &Key) -> Result<()> {
    let record = store.load(key, ReadOptions::latest()).await?.unwrap();
    let next = (number(&record) + 1).to_string();
    store.save(key, write(next), Expected::Revision(record.revision), op()).await.map(drop)
}

/// Counts one up, if need be once more. How often it is not known whether that was once too often.
async fn count(store: &SqlStore, [locked, free]: &[Key; 2], locks: bool) -> u64 {
    use ErrorKind::{Conflict, LockLost, Unavailable};
    let mut doubts = 0;
    loop {
        let done =
            if locks { count_locked(store, locked).await } else { count_free(store, free).await };
        let Err(error) = done else { return doubts };
        // On a busy machine a restart takes longer than calls wait for a server that is away.
        let passes = matches!(error.kind(), Conflict | LockLost | Unavailable);
        assert!(passes, "{error}: {:?}", std::error::Error::source(&error));
        doubts += u64::from(error.maybe_applied());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Counts `times` in four tasks on two stores, half of it under locks, each half on a key of its
/// own.
fn counting(stores: &[SqlStore; 2], keys: &[Key; 2], times: u64) -> JoinSet<u64> {
    let mut tasks = JoinSet::new();
    for store in stores {
        for locks in [true, false] {
            let (store, keys) = (store.clone(), keys.clone());
            tasks.spawn(async move {
                let mut doubts = 0;
                for _ in 0..times {
                    doubts += count(&store, &keys, locks).await;
                }
                doubts
            });
        }
    }
    tasks
}

async fn two_counters(store: &SqlStore) -> [Key; 2] {
    let keys = [new_key(), new_key()];
    for key in &keys {
        store.create(key, write("0"), op(), None).await.unwrap();
    }
    keys
}

async fn assert_counted(store: &SqlStore, keys: &[Key; 2], times: u64, doubts: u64) {
    for key in keys {
        let counted = number(&load(store, key).await.unwrap());
        assert!((times..=times + doubts).contains(&counted), "{counted}, {doubts} in doubt");
    }
}

pub(crate) async fn many_on_two_connections_lose_nothing(setup: Setup) -> TestResult {
    const TIMES: u64 = 50;
    let place = setup.place(2).await?;
    let clients = setup.clients(2) / 2;
    let stores = [place.open(clients).await, place.open(clients).await];
    let keys = two_counters(&stores[0]).await;
    // What others do meanwhile takes connections from under them.
    let bystander = new_key();
    let mut others = counting(&stores, &keys, TIMES);
    for store in &stores {
        let (store, key) = (store.clone(), bystander.clone());
        others.spawn(async move {
            for _ in 0..TIMES {
                assert!(load(&store, &key).await.is_none());
                store.delete(&key, Expected::Any, op()).await.unwrap();
            }
            0
        });
    }
    let doubts: u64 = timeout(SOON * 2, others.join_all()).await?.into_iter().sum();
    assert_eq!(doubts, 0, "no connection was lost");
    assert_counted(&stores[0], &keys, 2 * TIMES, 0).await;
    Ok(())
}

pub(crate) async fn a_restart_is_survived(setup: Setup) -> TestResult {
    const TIMES: u64 = 50;
    let place = setup.place(2).await?;
    let stores = [place.open(1).await, place.open(1).await];
    let keys = two_counters(&stores[0]).await;
    let tasks = counting(&stores, &keys, TIMES);
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        place.bouncer.restart().await?;
    }
    let doubts = timeout(SOON * 2, tasks.join_all()).await?.into_iter().sum();
    assert_counted(&stores[0], &keys, 2 * TIMES, doubts).await;
    Ok(())
}
