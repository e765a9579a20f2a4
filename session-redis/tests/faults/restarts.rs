//! One server that crashes and comes back, or hangs.

use std::time::{Duration, Instant};

use session_core::{Expected, SessionStore};
use session_redis::RedisStore;
use test_load::{Load, Plan, create, eventually, fails_in_time, load, new_key, op, tell, write};
use test_servers::{
    TestResult,
    redis::{Options, Persistence, Server},
};

use crate::support::{PATIENT, open};

const TIMEOUT: Duration = Duration::from_secs(3);

async fn crash(case: &str, persistence: Persistence) -> TestResult {
    let server = Server::start(&Options::redis().persistence(persistence)).await?;
    let stores = [open(&server.url(), TIMEOUT).await, open(&server.url(), TIMEOUT).await];
    let plan = match persistence {
        Persistence::Always => Plan::rough(TIMEOUT),
        _ => Plan::lossy(TIMEOUT),
    };
    let load = Load::start(&stores, plan).await;
    load.more(300).await;
    server.kill();
    let crashed = Instant::now();
    server.start_again().await?;
    load.everywhere(5).await;
    let history = load.stop(&open(&server.url(), PATIENT).await).await;
    let tally = history.check(plan.forgets.then_some(crashed));
    match persistence {
        Persistence::None => assert!(tally.lost > 0, "nothing was forgotten: {tally}"),
        Persistence::Always => assert_eq!(tally.lost, 0),
        _ => {}
    }
    tell(case, tally);
    Ok(())
}

pub(crate) async fn what_was_fsynced_is_there_after_a_crash() -> TestResult {
    crash("crash, appendfsync always", Persistence::Always).await
}

pub(crate) async fn a_crash_may_cost_the_last_second() -> TestResult {
    crash("crash, appendfsync everysec", Persistence::EverySecond).await
}

/// Case Z13.
pub(crate) async fn without_persistence_sessions_are_absent() -> TestResult {
    crash("crash without persistence", Persistence::None).await
}

/// Case L16. The server has forgotten a commit, and has another one in its place.
pub(crate) async fn a_server_restored_from_a_snapshot_refuses_what_was_read_before() -> TestResult {
    let server = Server::start(&Options::redis()).await?;
    let store = open(&server.url(), PATIENT).await;
    let key = new_key();
    let first = create(&store, &key, b"1").await;
    server.command(&["SAVE"]).await?;
    let forgotten = store.save(&key, write(b"12"), Expected::Revision(first), op()).await?;
    server.kill();
    server.start_again().await?;
    let kept = store.save(&key, write(b"13"), Expected::Revision(first), op()).await?;
    let late = store.save(&key, write(b"124"), Expected::Revision(forgotten), op()).await;
    assert_eq!(late.unwrap_err().kind(), session_core::ErrorKind::Conflict);
    let record = load(&store, &key).await?.unwrap();
    assert_eq!((&*record.payload, record.revision), (&b"13"[..], kept));
    Ok(())
}

/// Nothing was answered, so nobody knows; sent again, each is done once.
pub(crate) async fn a_stopped_server_is_a_typed_error_and_what_was_sent_happens_once() -> TestResult
{
    let timeout = Duration::from_millis(1_500);
    let server = Server::start(&Options::redis()).await?;
    let (store, patient) = (open(&server.url(), timeout).await, open(&server.url(), PATIENT).await);
    let (key, unborn, doomed) = (new_key(), new_key(), new_key());
    let first = create(&patient, &key, b"1").await;
    create(&patient, &doomed, b"x").await;
    server.stop()?;
    let (saved, created) = (op(), op());
    let expected = Expected::Revision(first);
    let save = |store: RedisStore| {
        let key = key.clone();
        async move { store.save(&key, write(b"12"), expected, saved).await }
    };
    let create = |store: RedisStore| {
        let key = unborn.clone();
        async move { store.create(&key, write(b"new"), created, None).await }
    };
    let (save_error, create_error, delete_error, load_error) = tokio::join!(
        fails_in_time(timeout, save(store.clone())),
        fails_in_time(timeout, create(store.clone())),
        fails_in_time(timeout, store.delete(&doomed, Expected::Any, op())),
        fails_in_time(timeout, load(&store, &key)),
    );
    for error in [&save_error, &create_error, &delete_error] {
        assert!(error.maybe_applied(), "{error}");
    }
    assert!(!load_error.maybe_applied());
    server.resume()?;
    eventually("an answer", async || store.ping().await.is_ok()).await;
    let (second, born) = (save(patient.clone()).await?, create(patient.clone()).await?);
    assert_eq!(save(patient.clone()).await?, second);
    patient.delete(&doomed, Expected::Any, op()).await?;
    let record = load(&patient, &key).await?.unwrap();
    assert_eq!((&*record.payload, record.revision), (&b"12"[..], second));
    assert_eq!(load(&patient, &unborn).await?.unwrap().revision, born);
    assert_eq!(load(&patient, &doomed).await?, None);
    tell(
        "stopped",
        format!(
            "told {:?}",
            [save_error, create_error, delete_error, load_error].map(|e| e.kind())
        ),
    );
    Ok(())
}
