//! Futures that are dropped at any moment.

use std::{collections::HashSet, time::Duration};

use session_core::{Expected, Key, SessionStore, Then};
use session_sql::SqlStore;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use test_load::{SOON, create, eventually, load, lock, new_key, op, seed, tell, write};
use test_servers::{
    TestResult,
    sql::{Flavor, Server},
};
use tokio::{task::JoinSet, time::timeout};

use crate::support::{builder, opened, start};

const CONNECTIONS: u32 = 4;
const CLIENTS: u64 = 12;
const STEPS: u64 = 60;
const LEASE: Duration = Duration::from_millis(300);

/// What one client did: the numbers of commits that were acknowledged, and of those that were dropped.
#[derive(Default)]
struct Done {
    acknowledged: Vec<u64>,
    dropped: Vec<u64>,
    /// Calls that were dropped in the middle, and that came to an end.
    calls: (u64, u64),
}

/// Does things without the patience to see them done.
async fn impatient(store: SqlStore, keys: Vec<Key>, number: u64) -> Done {
    let mut rng = fastrand::Rng::with_seed(seed() ^ (number << 8));
    let mut done = Done::default();
    for step in 0..STEPS {
        let key = &keys[rng.usize(0..keys.len())];
        let commit = number << 32 | step;
        // Half of all is seen through.
        let patience = |rng: &mut fastrand::Rng| match rng.bool() {
            true => SOON,
            false => Duration::from_micros(rng.u64(0..6_000)),
        };
        let locked = if rng.bool() {
            let request = lock(LEASE, LEASE);
            let Ok(locked) = timeout(patience(&mut rng), store.lock(key, request)).await else {
                done.calls.0 += 1;
                continue;
            };
            locked.ok()
        } else {
            None
        };
        let record = match &locked {
            Some(locked) => locked.record.clone(),
            None => match timeout(patience(&mut rng), load(&store, key)).await {
                Ok(record) => record.unwrap(),
                Err(_) => {
                    done.calls.0 += 1;
                    continue;
                }
            },
        };
        let record = record.expect("nobody deletes it");
        let payload = [&record.payload[..], &commit.to_be_bytes()].concat();
        let lease = locked.and_then(|locked| locked.lease);
        let revision = record.revision;
        let expected = match &lease {
            Some(lease) => Expected::Lease { lease, revision, then: Then::Release },
            None => Expected::Revision(revision),
        };
        match timeout(patience(&mut rng), store.save(key, write(&payload), expected, op())).await {
            Ok(Ok(_)) => done.acknowledged.push(commit),
            Ok(Err(_)) => done.calls.1 += 1,
            Err(_) => {
                done.dropped.push(commit);
                done.calls.0 += 1;
            }
        }
    }
    done
}

fn numbers(payload: &[u8]) -> Vec<u64> {
    payload.chunks(8).map(|bytes| u64::from_be_bytes(bytes.try_into().unwrap())).collect()
}

pub(crate) async fn futures_that_are_dropped_take_no_connection_and_no_commit(
    flavor: Flavor,
) -> TestResult {
    let server = start(flavor).await?;
    let url = server.url();
    let store = opened(
        builder(&url, SOON)
            .connect_timeout(SOON / 2)
            .response_timeout(SOON / 2)
            .max_connections(CONNECTIONS),
    )
    .await;
    let keys: Vec<Key> = (0..6).map(|_| new_key()).collect();
    for key in &keys {
        create(&store, key, b"").await;
    }
    let mut clients = JoinSet::new();
    for number in 1..=CLIENTS {
        clients.spawn(impatient(store.clone(), keys.clone(), number));
    }
    let clients = timeout(SOON * 2, clients.join_all()).await?;
    let mut kept = Vec::new();
    for key in &keys {
        kept.extend(numbers(&load(&store, key).await?.unwrap().payload));
    }
    let once: HashSet<u64> = kept.iter().copied().collect();
    assert_eq!(once.len(), kept.len(), "a commit was made twice");
    let acknowledged: Vec<u64> =
        clients.iter().flat_map(|done| done.acknowledged.iter().copied()).collect();
    assert!(acknowledged.iter().all(|commit| once.contains(commit)), "a commit was lost");
    let dropped: HashSet<u64> =
        clients.iter().flat_map(|done| done.dropped.iter().copied()).collect();
    let known: HashSet<u64> = acknowledged.iter().copied().chain(dropped.iter().copied()).collect();
    assert!(once.is_subset(&known), "a commit that was refused was made");
    assert!(!dropped.is_empty() && !acknowledged.is_empty());

    all_connections_work_at_a_time(&server, &store, &keys).await?;
    let calls: u64 = clients.iter().map(|done| done.calls.0).sum();
    tell(
        &format!("{} dropped futures", flavor.name()),
        format!(
            "{calls} calls dropped; commits acknowledged {}, dropped {} of which {} were made",
            acknowledged.len(),
            dropped.len(),
            once.intersection(&dropped).count()
        ),
    );
    Ok(())
}

/// Each waits for a row of its own, which somebody else has locked.
async fn all_connections_work_at_a_time(
    server: &Server,
    store: &SqlStore,
    keys: &[Key],
) -> TestResult {
    sqlx::any::install_default_drivers();
    let most = usize::try_from(CONNECTIONS)?;
    let mut other = AnyConnection::connect(&server.url()).await?;
    let run = async |other: &mut AnyConnection, sql: &str| {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(other).await.map(drop)
    };
    run(&mut other, "BEGIN").await?;
    run(&mut other, "SELECT 1 FROM sessions FOR UPDATE").await?;
    let mut saves = JoinSet::new();
    for key in keys.iter().cycle().take(most) {
        let (store, key) = (store.clone(), key.clone());
        saves.spawn(async move { store.save(&key, write(b"last"), Expected::Any, op()).await });
    }
    let waiting = if server.flavor().is_mysql() {
        "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"
    } else {
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'app'"
    };
    eventually("statements on all connections", async || {
        let answer = server.query(waiting).await.unwrap();
        answer.rsplit('\t').next().unwrap().parse::<usize>().unwrap() >= most
    })
    .await;
    run(&mut other, "ROLLBACK").await?;
    for saved in timeout(SOON, saves.join_all()).await? {
        saved?;
    }
    Ok(())
}
