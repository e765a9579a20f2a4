//! Waiting for a lock where a message says that it is free.

use std::time::{Duration, Instant};

use session_core::{ErrorKind, Expected, Key, SessionStore, Then};
use session_sql::SqlStore;
use sqlx::postgres::PgListener;
use test_servers::TestResult;
use tokio::{
    runtime::Handle,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::support::{Direct, Ground, SOON, create, eventually, new_key, op, open, request, write};

/// Of the table `sessions`.
const CHANNEL: &str = "session_sql_9a609d13";
/// How often who is told asks all the same.
const FALLBACK: Duration = Duration::from_millis(500);

const LISTENERS: &str = "SELECT count(*) FROM pg_stat_activity \
     WHERE datname = current_database() AND query LIKE 'LISTEN %'";

async fn until_listening(direct: &mut Direct, count: i64) {
    eventually("they listen", async || direct.number(LISTENERS).await == count).await;
}

/// Takes the lock when it is free.
fn waiting(store: &SqlStore, key: &Key) -> JoinHandle<session_core::Result<()>> {
    let (store, key) = (store.clone(), key.clone());
    tokio::spawn(async move {
        let locked = store.lock(&key, request(SOON)).await?;
        store.release(&key, &locked.lease.unwrap()).await
    })
}

/// Takes the lock, works, and commits with release.
async fn work(store: SqlStore, key: Key) {
    let locked = store.lock(&key, request(SOON)).await.unwrap();
    let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
    tokio::time::sleep(Duration::from_millis(30)).await;
    let then = Then::Release;
    let expected = Expected::Lease { lease: &lease, revision: record.revision, then };
    store.save(&key, write(b"x"), expected, op()).await.unwrap();
}

async fn burst(stores: &[SqlStore], key: &Key) {
    let mut requests = JoinSet::new();
    for at in 0..6 {
        requests.spawn(work(stores[at % stores.len()].clone(), key.clone()));
    }
    timeout(SOON, requests.join_all()).await.expect("somebody waits for nobody");
}

/// Each release is one statement, which has the heads of three lines ask; the next of the line whose
/// head got the lock asks as well, twice where the message comes when it has.
pub(crate) async fn a_burst_of_requests_is_told_and_does_not_poll(ground: Ground) -> TestResult {
    const REQUESTS: u64 = 6;
    let server = ground.counting().await?;
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(open(&server.url(), |builder| builder).await);
    }
    let mut direct = Direct::to(&server.url()).await;
    let (key, other) = (new_key(), new_key());
    create(&stores[0], &key, b"x").await;
    // As long as somebody waits for the other lock, all of them listen.
    let lease = stores[0].lock(&other, request(Duration::ZERO)).await?.lease.unwrap();
    let waiters: Vec<_> = stores.iter().map(|store| waiting(store, &other)).collect();
    until_listening(&mut direct, 3).await;
    let looks = || server.log().matches("SELECT lease_until - ").count();
    // Who began to wait before it heard looks once more.
    eventually("nobody looks", async || {
        let looked = looks();
        tokio::time::sleep(2 * FALLBACK).await;
        looks() == looked
    })
    .await;
    burst(&stores, &key).await;
    let (looked, before, began) = (looks(), server.statements().await?, Instant::now());
    burst(&stores, &key).await;
    let counted = server.statements().await?.since(&before);
    let fallbacks = 2 * (began.elapsed().as_millis() / FALLBACK.as_millis() + 1);
    let most = REQUESTS * 6 + 3 * u64::try_from(fallbacks)?;
    // A connection that is opened meanwhile asks whether it is alone.
    let asked = counted.total() - counted.calls("select");
    assert!(asked <= most, "more than {most}: {counted:?}");
    assert_eq!(looks(), looked, "nobody polls: {counted:?}");
    stores[0].release(&other, &lease).await?;
    for waiter in waiters {
        timeout(SOON, waiter).await???;
    }
    Ok(())
}

pub(crate) async fn who_is_not_told_any_more_polls_and_listens_again(ground: Ground) -> TestResult {
    let server = ground.counting().await?;
    let url = server.url();
    let (holder, waiter) = (open(&url, |builder| builder).await, open(&url, |b| b).await);
    let mut direct = Direct::to(&url).await;
    let key = new_key();
    let user = url.split(['/', ':']).nth(3).expect("a user").to_owned();
    for _ in 0..2 {
        let lease = holder.lock(&key, request(Duration::ZERO)).await?.lease.unwrap();
        let waits = waiting(&waiter, &key);
        until_listening(&mut direct, 1).await;
        // Nobody can log in, and who listens is gone.
        server.execute(&format!("ALTER ROLE {user} CONNECTION LIMIT 0")).await?;
        direct.run(&LISTENERS.replace("count(*)", "pg_terminate_backend(pid)")).await;
        let before = server.statements().await?;
        eventually("it polls", async || {
            server.statements().await.unwrap().since(&before).calls("select") > 10
        })
        .await;
        assert!(!waits.is_finished());
        server.execute(&format!("ALTER ROLE {user} CONNECTION LIMIT -1")).await?;
        until_listening(&mut direct, 1).await;
        // The last message that somebody may miss.
        direct.run(&LISTENERS.replace("count(*)", "pg_terminate_backend(pid)")).await;
        holder.release(&key, &lease).await?;
        timeout(SOON, waits).await???;
    }
    Ok(())
}

pub(crate) async fn nobody_listens_where_nobody_waits(ground: Ground) -> TestResult {
    let world = ground.world().await?;
    let (mut direct, key) = (world.direct().await, new_key());
    let other = world.open().await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let lease = world.store.lock(&key, request(Duration::ZERO)).await?.lease.unwrap();
    let late = other.lock(&key, request(Duration::ZERO)).await.unwrap_err();
    assert_eq!((late.kind(), tasks()), (ErrorKind::LockTimeout, before), "it did not wait");
    let dropped = waiting(&other, &key);
    let waits = waiting(&other, &key);
    until_listening(&mut direct, 1).await;
    dropped.abort();
    world.store.release(&key, &lease).await?;
    timeout(SOON, waits).await???;
    until_listening(&mut direct, 0).await;
    eventually("no task is left", async || tasks() == before).await;
    // Nor where the store is gone before.
    let lease = world.store.lock(&key, request(Duration::ZERO)).await?.lease.unwrap();
    let waits = waiting(&other, &key);
    until_listening(&mut direct, 1).await;
    waits.abort();
    drop(waits.await);
    drop(other);
    until_listening(&mut direct, 0).await;
    eventually("no task is left", async || tasks() == before).await;
    world.store.release(&key, &lease).await?;
    Ok(())
}

/// All commits that tell take turns.
pub(crate) async fn a_lock_that_nobody_waits_for_is_freed_quietly(ground: Ground) -> TestResult {
    let world = ground.world().await?;
    let (store, other) = (&world.store, world.open().await);
    let mut listener = PgListener::connect(&world.url).await?;
    listener.listen(CHANNEL).await?;
    for keep in [true, false] {
        let key = new_key();
        let mut revision = create(store, &key, b"x").await;
        let lease = store.lock(&key, request(Duration::ZERO)).await?.lease.unwrap();
        if keep {
            let expected = Expected::Lease { lease: &lease, revision, then: Then::Keep };
            revision = store.save(&key, write(b"x"), expected, op()).await?;
        }
        let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
        revision = store.save(&key, write(b"x"), expected, op()).await?;
        let lease = store.lock(&key, request(Duration::ZERO)).await?.lease.unwrap();
        store.release(&key, &lease).await?;
        store.save(&key, write(b"x"), Expected::Revision(revision), op()).await?;
        store.delete(&key, Expected::Any, op()).await?;
    }
    // Of each way to free a lock that is waited for.
    for way in 0..4 {
        let key = new_key();
        let revision = create(store, &key, b"x").await;
        let lease = store.lock(&key, request(Duration::ZERO)).await?.lease.unwrap();
        let waits = waiting(&other, &key);
        let mut direct = world.direct().await;
        let marked = "SELECT count(*) FROM sessions WHERE wanted_until > 0";
        eventually("it asks to be told", async || direct.number(marked).await == 1).await;
        let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
        match way {
            0 => store.release(&key, &lease).await?,
            1 => drop(store.save(&key, write(b"x"), expected, op()).await?),
            2 => store.delete(&key, expected, op()).await?,
            _ => store.delete(&key, Expected::Any, op()).await?,
        }
        let told = timeout(SOON, listener.recv()).await??;
        let hex = data_encoding::HEXLOWER.encode(key.digest().as_bytes());
        assert_eq!(
            told.payload(),
            hex,
            "the first message is of the first lock that is waited for"
        );
        timeout(SOON, waits).await???;
        store.delete(&key, Expected::Any, op()).await?;
    }
    Ok(())
}
