//! Many requests on few connections.

use std::time::Duration;

use session_core::{Expected, Key, SessionStore, Then};
use session_sql::SqlStore;
use test_servers::TestResult;
use tokio::{task::JoinSet, time::timeout};

use crate::support::{
    Ground, Kind, SOON, World, create, eventually, load, new_key, op, request, write,
};

const REQUESTS: usize = 50;

/// Appends a byte under the lock.
async fn change(store: SqlStore, key: Key) {
    let locked = store.lock(&key, request(SOON)).await.unwrap();
    let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
    // The page is at work.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let payload = [&record.payload[..], b"+"].concat();
    let expected =
        Expected::Lease { lease: &lease, revision: record.revision, then: Then::Release };
    store.save(&key, write(&payload), expected, op()).await.unwrap();
    store.release(&key, &lease).await.unwrap();
}

async fn requests_on(world: &World, keys: usize) {
    let keys: Vec<Key> = (0..keys).map(|_| new_key()).collect();
    for key in &keys {
        create(&world.store, key, b"").await;
    }
    let mut requests = JoinSet::new();
    for at in 0..REQUESTS {
        requests.spawn(change(world.store.clone(), keys[at % keys.len()].clone()));
    }
    timeout(SOON, requests.join_all()).await.expect("somebody waits for himself");
    let mut changes = 0;
    for key in &keys {
        changes += load(&world.store, key).await.unwrap().unwrap().payload.len();
    }
    assert_eq!(changes, REQUESTS);
}

pub(crate) async fn one_connection_serves_fifty_requests(ground: Ground) -> TestResult {
    let world = ground.world_with(|builder| builder.max_connections(1)).await?;
    for keys in [1, 4, REQUESTS] {
        requests_on(&world, keys).await;
    }
    Ok(())
}

/// The only connection is free for others, and no transaction is open.
pub(crate) async fn who_waits_for_a_lock_holds_no_connection(ground: Ground) -> TestResult {
    let world = ground.world_with(|builder| builder.max_connections(1)).await?;
    let (store, other) = (&world.store, new_key());
    create(store, &other, b"x").await;
    let (mut waiters, mut held) = (JoinSet::new(), Vec::new());
    for _ in 0..10 {
        let key = new_key();
        create(store, &key, b"x").await;
        let lease = store.lock(&key, request(Duration::ZERO)).await?.lease.unwrap();
        let waiting = store.clone();
        held.push((key.clone(), lease));
        waiters.spawn(async move { waiting.lock(&key, request(SOON)).await });
    }
    for _ in 0..20 {
        assert!(load(store, &other).await?.is_some());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    no_transaction_is_open(&ground, &world).await?;
    assert!(waiters.try_join_next().is_none(), "nobody has given a lock back");
    for (key, lease) in &held {
        store.release(key, lease).await?;
    }
    while let Some(locked) = timeout(SOON, waiters.join_next()).await? {
        assert!(locked??.lease.is_some());
    }
    Ok(())
}

/// MySQL refuses to list statements as long as one of them, of whatever test, holds bytes that are
/// no text.
async fn ask(ground: &Ground, sql: &str) -> String {
    let (server, mut answer) = (ground.server().await.unwrap(), None);
    eventually("an answer", async || {
        answer = server.query(sql).await.ok();
        answer.is_some()
    })
    .await;
    answer.unwrap()
}

/// Of the store's connections, of which there is one.
async fn no_transaction_is_open(ground: &Ground, world: &World) -> TestResult {
    let database = &world.database;
    let (connections, open) = match ground.kind {
        Kind::Sqlite => return Ok(()),
        Kind::Postgres => {
            // But for the one that listens for all who wait.
            let from = format!(
                "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = '{database}' AND query NOT LIKE 'LISTEN %'"
            );
            (from.clone(), format!("{from} AND state LIKE 'idle in%'"))
        }
        _ => {
            let from = "SELECT count(*) FROM information_schema.processlist";
            (
                format!("{from} WHERE db = '{database}'"),
                format!(
                    "SELECT count(*) FROM information_schema.innodb_trx t \
                     JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
                     WHERE p.db = '{database}' AND p.command = 'Sleep'"
                ),
            )
        }
    };
    // The server may still be busy with the end of one that was given up.
    eventually("one connection", async || ask(ground, &connections).await == "1").await;
    assert_eq!(ask(ground, &open).await, "0");
    Ok(())
}

/// Whoever goes away in the middle of something takes no connection with him.
pub(crate) async fn requests_that_are_dropped_cost_no_connection(ground: Ground) -> TestResult {
    const CONNECTIONS: u32 = 3;
    let world = ground.world_with(|builder| builder.max_connections(CONNECTIONS)).await?;
    let (store, key) = (&world.store, new_key());
    create(store, &key, b"x").await;
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let patience = Duration::from_micros(rng.u64(0..1_500));
        // Most are not done by then.
        drop(timeout(patience, store.save(&key, write(b"y"), Expected::Any, op())).await);
        drop(timeout(patience, load(store, &key)).await);
    }
    let all = (0..CONNECTIONS).map(|_| async { load(store, &key).await.unwrap().is_some() });
    assert!(timeout(SOON, futures_util::future::join_all(all)).await?.into_iter().all(|is| is));
    eventually("no connection too many", async || {
        let sql = match ground.kind {
            Kind::Sqlite => return true,
            Kind::Postgres => format!(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'",
                world.database
            ),
            _ => format!(
                "SELECT count(*) FROM information_schema.processlist WHERE db = '{}'",
                world.database
            ),
        };
        ask(&ground, &sql).await.parse::<u32>().unwrap() <= CONNECTIONS
    })
    .await;
    Ok(())
}
