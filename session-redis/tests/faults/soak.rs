//! Many sessions that come and go, in a process of their own, whose memory nobody else uses.

use std::{env, fs, process::ExitCode, time::Duration};

use session_core::{Expected, SessionStore, Then, Write};
use session_redis::RedisStore;
use test_load::{HOUR, SOON, create, eventually, lock, new_key, op, tell, write};
use test_servers::{
    TestResult,
    redis::{Options, Server},
};
use tokio::{process::Command, task::JoinSet};

use crate::support::{PATIENT, open};

/// Where the server of a soak is.
const URL: &str = "SESSION_FAULT_SOAK_URL";
const CLIENTS: u64 = 8;
/// Sessions of one client, in one round.
const SESSIONS: u64 = 150;
const WARM_UP: u64 = 2;
const ROUNDS: u64 = 4;
/// What a process may grow by; a session that left 200 bytes behind would take a megabyte.
const ALLOWED: u64 = 800 * 1024;

/// Case Z23.
pub(crate) async fn sessions_that_come_and_go_leave_nothing_behind() -> TestResult {
    let server = Server::start(&Options::redis()).await?;
    let output = Command::new(env::current_exe()?).env(URL, server.url()).output().await?;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let empty = async || server.command(&["DBSIZE"]).await.unwrap() == "0";
    eventually("no key", empty).await;
    let clients = server.info().await?["connected_clients"].clone();
    assert_eq!(clients, "1", "somebody is still connected");
    tell("soak", said.trim());
    Ok(())
}

/// The other process, if this is the one.
pub(crate) fn played_by_this_process() -> Option<ExitCode> {
    let url = env::var(URL).ok()?;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(soak(&url));
    Some(ExitCode::SUCCESS)
}

async fn soak(url: &str) {
    let store = open(url, PATIENT).await;
    for _ in 0..WARM_UP {
        round(&store).await;
    }
    // What the test itself needs for the first time is not the store's.
    channels(url).await;
    resident();
    let before = resident();
    for _ in 0..ROUNDS {
        round(&store).await;
    }
    eventually("no channel", async || channels(url).await == 0).await;
    let (after, cycles) = (resident(), ROUNDS * CLIENTS * SESSIONS);
    assert!(after <= before + ALLOWED, "{before} bytes before, {after} after {cycles} cycles");
    test_load::say(format!("{cycles} cycles: {before} bytes before, {after} after"));
}

async fn round(store: &RedisStore) {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let store = store.clone();
        clients.spawn(async move {
            for at in 0..SESSIONS {
                one_life(&store, at).await;
            }
        });
    }
    tokio::time::timeout(SOON, clients.join_all()).await.expect("a round takes seconds");
}

/// A session that is created, changed, waited for, and ends in one of four ways.
async fn one_life(store: &RedisStore, at: u64) {
    let key = new_key();
    let revision = create(store, &key, &[b'x'; 512]).await;
    let taken = store.lock(&key, lock(HOUR, Duration::ZERO)).await.unwrap();
    let lease = taken.lease.unwrap();
    let (waiting, wanted) = (store.clone(), key.clone());
    let waiter = tokio::spawn(async move { waiting.lock(&wanted, lock(HOUR, SOON)).await });
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
    let revision = store.save(&key, write(&[b'y'; 512]), expected, op()).await.unwrap();
    let lease = waiter.await.unwrap().unwrap().lease.unwrap();
    let soon = |time| Write::new("z", Duration::from_millis(time));
    let (revision, then) = (revision, Then::Release);
    let expected = Expected::Lease { lease: &lease, revision, then };
    match at % 4 {
        0 => store.delete(&key, Expected::Any, op()).await.unwrap(),
        1 => store.delete(&key, expected, op()).await.unwrap(),
        2 => drop(store.save(&key, soon(0), expected, op()).await.unwrap()),
        _ => drop(store.save(&key, soon(20), expected, op()).await.unwrap()),
    }
}

/// How many channels somebody listens to.
async fn channels(url: &str) -> usize {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let command = redis::cmd("PUBSUB").arg("CHANNELS").to_owned();
    command.query_async::<Vec<String>>(&mut connection).await.unwrap().len()
}

/// The bytes of memory that this process has.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}
