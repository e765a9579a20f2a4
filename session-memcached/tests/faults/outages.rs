//! Servers that are away, or that do not answer.

use std::time::{Duration, Instant};

use session_core::{ErrorKind, Expected, Key, SessionStore};
use test_load::{
    Load, Plan, create, eventually, eventually_done, fails_in_time, load, new_key, op, tell, write,
};
use test_servers::{
    TestResult,
    memcached::{Options, Server},
};

use crate::support::{PATIENT, open, open_patiently};

/// Case Z14.
pub(crate) async fn one_of_three_that_is_killed_costs_its_share_only() -> TestResult {
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Server::start(&Options::new()).await?);
    }
    let addresses: Vec<String> = servers.iter().map(Server::address).collect();
    let store = open_patiently(&format!("memcached://{}", addresses.join(",")), PATIENT).await;
    let keys: Vec<Key> = (0..90).map(|_| new_key()).collect();
    for key in &keys {
        create(&store, key, b"1").await;
    }
    servers[1].kill();
    let (mut away, mut slowest) = (Vec::new(), Duration::ZERO);
    for key in &keys {
        let began = Instant::now();
        match load(&store, key).await {
            Ok(record) => assert_eq!(&*record.unwrap().payload, b"1"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                away.push(key);
            }
        }
        slowest = slowest.max(began.elapsed());
    }
    assert!((5..60).contains(&away.len()), "{} of 90 are away", away.len());
    assert!(slowest < PATIENT / 2, "{slowest:?}");
    // A service that starts now finds the other two.
    let late = open_patiently(&format!("memcached://{}", addresses.join(",")), PATIENT).await;
    assert!(late.ping().await.is_err());
    servers[1].start_again().await?;
    eventually("all servers", async || store.ping().await.is_ok()).await;
    for key in &away {
        assert_eq!(load(&store, key).await?, None);
        let save = store.save(key, write(b"2"), Expected::Any, op()).await;
        assert_eq!(save.unwrap_err().kind(), ErrorKind::NotFound);
        create(&store, key, b"anew").await;
    }
    tell("one of three", format!("{} of 90 sessions lost, {slowest:?} at most", away.len()));
    Ok(())
}

/// Case Z14.
pub(crate) async fn with_a_failover_the_next_server_takes_over() -> TestResult {
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Server::start(&Options::new()).await?);
    }
    let addresses: Vec<String> = servers.iter().map(Server::address).collect();
    let url = format!("memcached://{}?session.failover=next", addresses.join(","));
    let store = open_patiently(&url, PATIENT).await;
    let keys: Vec<Key> = (0..60).map(|_| new_key()).collect();
    for key in &keys {
        create(&store, key, b"1").await;
    }
    servers[1].kill();
    let mut moved = Vec::new();
    for key in &keys {
        if load(&store, key).await?.is_none() {
            let revision = create(&store, key, b"elsewhere").await;
            store.save(key, write(b"2"), Expected::Revision(revision), op()).await?;
            assert_eq!(&*load(&store, key).await?.unwrap().payload, b"2");
            moved.push(key);
        }
    }
    assert!((3..40).contains(&moved.len()), "{} of 60 are elsewhere", moved.len());
    servers[1].start_again().await?;
    eventually("all servers", async || store.ping().await.is_ok()).await;
    for key in &keys {
        // What was made meanwhile is out of sight.
        let there = load(&store, key).await?.is_some();
        assert_eq!(there, !moved.contains(&key));
    }
    tell("failover", format!("{} of 60 sessions were elsewhere", moved.len()));
    Ok(())
}

pub(crate) async fn a_stopped_server_is_a_typed_error_and_what_was_sent_happens_once() -> TestResult
{
    let timeout = Duration::from_secs(2);
    let server = Server::start(&Options::new()).await?;
    let store = open(&server.url(), timeout).await;
    let patient = open_patiently(&server.url(), PATIENT).await;
    let key = new_key();
    let first = create(&patient, &key, b"1").await;
    eventually_done(|| load(&store, &key)).await;
    server.stop()?;
    let token = op();
    let save = || store.save(&key, write(b"12"), Expected::Revision(first), token);
    let error = fails_in_time(timeout, save()).await;
    assert!(error.maybe_applied(), "{error}");
    let began = Instant::now();
    fails_in_time(timeout, load(&store, &key)).await;
    let took = began.elapsed();
    server.resume()?;
    let second = eventually_done(save).await;
    let record = load(&patient, &key).await?.unwrap();
    assert_eq!((&*record.payload, record.revision), (&b"12"[..], second));
    tell("stopped", format!("{:?}, then {took:?}", error.kind()));
    Ok(())
}

pub(crate) async fn restarts_under_load_lose_sessions_and_nothing_else() -> TestResult {
    let server = Server::start(&Options::new()).await?;
    let stores = [
        open_patiently(&server.url(), PATIENT).await,
        open_patiently(&server.url(), PATIENT).await,
    ];
    let load = Load::start(&stores, Plan::lossy(PATIENT)).await;
    for _ in 0..4 {
        load.more(60).await;
        server.kill();
        server.start_again().await?;
    }
    let since = Instant::now();
    load.more(60).await;
    let last = open_patiently(&server.url(), PATIENT).await;
    let tally = load.stop(&last).await.check(Some(since));
    tell("restarts", tally);
    Ok(())
}
