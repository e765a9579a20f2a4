//! One server that crashes and comes back, or hangs.

use std::time::{Duration, Instant};

use session_core::{Expected, SessionStore};
use session_sql::SqlStore;
use test_load::{
    Load, Plan, create, eventually, eventually_done, fails_in_time, load, new_key, op, tell, write,
};
use test_servers::{
    TestResult,
    sql::{Flavor, Server},
};

use crate::support::{open, options, start, unhurried, warm};

const TIMEOUT: Duration = Duration::from_secs(3);

async fn under_load(case: &str, server: &Server, kill: bool) -> TestResult {
    let stores = [open(&server.url(), TIMEOUT).await, open(&server.url(), TIMEOUT).await];
    let load = Load::start(&stores, Plan::rough(TIMEOUT)).await;
    load.more(200).await;
    if kill {
        server.kill();
    }
    let down = Instant::now();
    server.restart().await?;
    let up = Instant::now();
    load.everywhere(3).await;
    let again = up.elapsed();
    let history = load.stop(&unhurried(&server.url()).await).await;
    let tally = if kill && shows_before_it_keeps(server.flavor()) {
        history.check_what_was_acknowledged(down)
    } else {
        history.check(None)
    };
    tell(
        &format!("{} {case}", server.flavor().name()),
        format!("every session goes on {again:?} after the start: {tally}"),
    );
    Ok(())
}

/// InnoDB lets others see a commit before its log is on disk, and acknowledges it after that.
fn shows_before_it_keeps(flavor: Flavor) -> bool {
    matches!(flavor, Flavor::MariaDb | Flavor::MySql)
}

pub(crate) async fn what_was_acknowledged_is_there_after_a_crash(flavor: Flavor) -> TestResult {
    let server = Server::start(&options(flavor).durable()).await?;
    under_load("kill -9", &server, true).await
}

pub(crate) async fn an_orderly_restart_loses_nothing(flavor: Flavor) -> TestResult {
    under_load("restart", &start(flavor).await?, false).await
}

/// Nothing was answered, so nobody knows; sent again, each is done once.
pub(crate) async fn a_stopped_server_is_a_typed_error_and_what_was_sent_happens_once(
    flavor: Flavor,
) -> TestResult {
    let timeout = Duration::from_millis(1_500);
    let server = start(flavor).await?;
    let store = open(&server.url(), timeout).await;
    let other = unhurried(&server.url()).await;
    for _ in 0..ATTEMPTS {
        if stopped(&server, &store, &other, timeout).await? {
            return Ok(());
        }
    }
    Err("the writes never had a connection each".into())
}

/// How often the server is stopped: on a busy machine connections may have been given up before.
const ATTEMPTS: usize = 5;

/// False where not all writes were sent, for want of a connection.
async fn stopped(
    server: &Server,
    store: &SqlStore,
    other: &SqlStore,
    timeout: Duration,
) -> Result<bool, Box<dyn std::error::Error>> {
    let (key, unborn, doomed) = (new_key(), new_key(), new_key());
    let first = create(other, &key, b"1").await;
    create(other, &doomed, b"x").await;
    futures_util::future::join_all((0..4).map(|_| warm(store))).await;
    server.pause()?;
    let (saved, created) = (op(), op());
    let expected = Expected::Revision(first);
    let save = async || store.save(&key, write(b"12"), expected, saved).await;
    let create = async || store.create(&unborn, write(b"new"), created, None).await;
    let (save_error, create_error, delete_error, load_error) = tokio::join!(
        fails_in_time(timeout, save()),
        fails_in_time(timeout, create()),
        fails_in_time(timeout, store.delete(&doomed, Expected::Any, op())),
        fails_in_time(timeout, load(store, &key)),
    );
    assert!(!load_error.maybe_applied());
    server.resume()?;
    eventually("an answer", async || store.ping().await.is_ok()).await;
    let second = eventually_done(save).await;
    assert_ne!(second, first);
    let record = load(other, &key).await?.unwrap();
    assert_eq!((&*record.payload, record.revision), (&b"12"[..], second));
    let made = eventually_done(create).await;
    assert_eq!(load(other, &unborn).await?.unwrap().revision, made);
    eventually_done(|| store.delete(&doomed, Expected::Any, op())).await;
    assert_eq!(load(other, &doomed).await?, None);
    Ok([save_error, create_error, delete_error].iter().all(session_core::Error::maybe_applied))
}
