//! Whose clock counts: the server's, whatever its time zone is, and whatever the client's clock says.

use std::{
    env,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use session_core::{
    ErrorKind, Expected, Key, KeyDigest, LockRequest, OpToken, SessionStore, SweepBudget, Ttl,
    Write,
};
use session_sql::SqlStore;
use test_servers::{TestResult, sql::Server};
use tokio::process::Command;

use crate::support::{
    Ground, HOUR, SOON, World, create, eventually, load, new_key, op, open, request, say, write,
};

/// Where another process finds the database.
const URL: &str = "SESSION_SERVERS_CLOCK_URL";
const MINUTE: Duration = Duration::from_secs(60);
const OFF: Duration = Duration::from_secs(600);

/// What the two processes know of.
fn key(number: u8) -> Key {
    Key::from_digest(KeyDigest::from_bytes([number; 32]))
}

fn token(number: u8) -> OpToken {
    OpToken::from_bytes([number; 16])
}

/// A lock that is held by the process of the test.
const HELD: u8 = 1;
/// One whose lease is over.
const LAPSED: u8 = 2;
/// A session that has expired.
const EXPIRED: u8 = 3;
/// What the other process leaves behind: a session, and one with a lock.
const MADE: u8 = 4;
const TAKEN: u8 = 5;

#[expect(clippy::disallowed_methods, reason = "it is this clock that is wrong")]
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Whether it is this long, give or take what a busy machine takes.
fn is_about(left: Ttl, wanted: Duration) -> bool {
    left <= wanted.into() && left > (wanted - MINUTE / 2).into()
}

/// Why no process can be given another clock.
pub(crate) fn missing() -> Option<String> {
    let there = std::process::Command::new("faketime").arg("--version").output().is_ok();
    (!there).then(|| "faketime is not installed; `cargo xtask setup` installs it".to_owned())
}

pub(crate) async fn a_client_whose_clock_is_wrong_sees_the_same_deadlines(
    ground: Ground,
) -> TestResult {
    for sign in ['+', '-'] {
        let world = ground.world().await?;
        what_the_other_process_finds(&world).await?;
        let offset = format!("{sign}{}s", OFF.as_secs());
        let mut command = Command::new("faketime");
        command.args(["--exclude-monotonic", "-f", &offset]).arg(env::current_exe()?);
        let before = seconds();
        let output = command.env(URL, &world.url).kill_on_drop(true).output();
        let output = tokio::time::timeout(SOON, output).await??;
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sign}: {said}\n{errors}");
        let its_time: u64 = said.trim().parse()?;
        assert!(its_time.abs_diff(before) > OFF.as_secs() - 120, "its clock is right");
        what_the_other_process_left(&world).await?;
    }
    Ok(())
}

async fn what_the_other_process_finds(world: &World) -> TestResult {
    let store = &world.store;
    for number in [HELD, LAPSED] {
        store.create(&key(number), Write::new("x", OFF / 2), op(), None).await?;
    }
    // Both would be the other way round by a clock that is ten minutes off.
    let held = LockRequest::new(token(HELD), OFF / 2, Duration::ZERO);
    store.lock(&key(HELD), held).await?;
    let lapsed = LockRequest::new(token(LAPSED), Duration::from_millis(1), Duration::ZERO);
    store.lock(&key(LAPSED), lapsed).await?;
    let brief = Write::new("x", Duration::from_millis(1));
    store.create(&key(EXPIRED), brief, op(), None).await?;
    let now = world.kind.now();
    let over = format!(
        "SELECT count(*) FROM sessions WHERE deadline < {now} OR holder IS NOT NULL AND lease_until < {now}"
    );
    let mut direct = world.direct().await;
    eventually("two are over", async || direct.number(&over).await == 2).await;
    Ok(())
}

/// The other process, if this is the one.
pub(crate) fn played_by_this_process() -> Option<ExitCode> {
    let url = env::var(URL).ok()?;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(other_process(&url)).unwrap();
    say(&seconds().to_string());
    Some(ExitCode::SUCCESS)
}

async fn other_process(url: &str) -> TestResult {
    let store = open(url, |builder| builder).await;
    let record = load(&store, &key(HELD)).await?.expect("it lives");
    assert!(is_about(record.remaining, OFF / 2), "{:?}", record.remaining);
    let refused = store.lock(&key(HELD), request(Duration::ZERO)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockTimeout, "{refused}");
    let retry = refused.retry_after().unwrap();
    assert!(is_about(retry.into(), OFF / 2), "{retry:?}");
    let expected = Expected::Revision(record.revision);
    let refused = store.save(&key(HELD), write(b"y"), expected, op()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockHeld, "{refused}");

    let lapsed = store.lock(&key(LAPSED), request(Duration::ZERO)).await?;
    assert!(lapsed.lease.is_some());
    assert_eq!(load(&store, &key(EXPIRED)).await?, None);
    store.sweep(None, SweepBudget::default()).await?;
    store.create(&key(EXPIRED), write(b"new"), op(), None).await?;

    let made = store.create(&key(MADE), Write::new("x", MINUTE), op(), None).await?;
    store.touch(&key(MADE), (2 * MINUTE).into(), made.incarnation(), op()).await?;
    store.create(&key(TAKEN), Write::new("x", MINUTE), op(), None).await?;
    let taken = LockRequest::new(token(TAKEN), 2 * MINUTE, Duration::ZERO);
    store.lock(&key(TAKEN), taken).await?;
    Ok(())
}

async fn what_the_other_process_left(world: &World) -> TestResult {
    let store = &world.store;
    let remaining = async |number| load(store, &key(number)).await.unwrap().unwrap().remaining;
    assert!(is_about(remaining(MADE).await, 2 * MINUTE));
    assert!(is_about(remaining(TAKEN).await, MINUTE));
    assert!(remaining(EXPIRED).await > (HOUR / 2).into());
    let refused = store.lock(&key(TAKEN), request(Duration::ZERO)).await.unwrap_err();
    assert!(is_about(refused.retry_after().unwrap().into(), 2 * MINUTE), "{refused:?}");
    // Nothing was swept that lives.
    assert!(is_about(remaining(HELD).await, OFF / 2));
    Ok(())
}

/// Where PostgreSQL and SQLite are, no time zone has a part in it.
pub(crate) async fn deadlines_do_not_know_time_zones(ground: Ground) -> TestResult {
    let world = ground.world().await?;
    let key = new_key();
    world.store.create(&key, Write::new("x", MINUTE), op(), None).await?;
    let sql = format!("SELECT deadline - {} FROM sessions", world.kind.now());
    let left = world.direct().await.number(&sql).await;
    assert!((30_000..=60_000).contains(&left), "{left}");
    let client = i64::try_from(seconds())?;
    let deadline = world.direct().await.number("SELECT deadline FROM sessions").await / 1_000;
    assert!((client + 30..=client + 61).contains(&deadline), "{deadline} at {client}");
    Ok(())
}

/// A time zone whose clocks are put back by an hour in a moment, as in the night of an autumn day.
async fn autumn(server: &Server, in_a_moment: u64) -> TestResult {
    let at = seconds() + in_a_moment;
    let sql = format!(
        "INSERT INTO mysql.time_zone (Time_zone_id, Use_leap_seconds) VALUES (77, 'N'); \
         INSERT INTO mysql.time_zone_name (Name, Time_zone_id) VALUES ('Test/Autumn', 77); \
         INSERT INTO mysql.time_zone_transition_type VALUES \
             (77, 0, 7200, 1, 'SUMMER'), (77, 1, 3600, 0, 'WINTER'); \
         INSERT INTO mysql.time_zone_transition VALUES (77, {}, 0), (77, {at}, 1); \
         SET GLOBAL time_zone = 'Test/Autumn';",
        at - 10_000
    );
    server.execute(&sql).await?;
    Ok(())
}

pub(crate) async fn clocks_that_are_put_back_change_no_deadline(ground: Ground) -> TestResult {
    // A busy machine may not have all in place before.
    for in_a_moment in [8, 16, 16] {
        if are_put_back(&ground, in_a_moment).await? {
            return Ok(());
        }
    }
    Err("the clocks were put back too soon each time".into())
}

/// False where not all was in place before.
async fn are_put_back(
    ground: &Ground,
    in_a_moment: u64,
) -> Result<bool, Box<dyn std::error::Error>> {
    let server = Server::start(&ground.kind.options().unwrap()).await?;
    autumn(&server, in_a_moment).await?;
    let store: SqlStore = open(&server.url(), |builder| builder).await;
    let ahead_by = async || server.query("SELECT TIMEDIFF(NOW(), UTC_TIMESTAMP())").await;
    let (lives, ends, locked) = (new_key(), new_key(), new_key());
    create(&store, &lives, b"x").await;
    store.create(&ends, Write::new("x", Duration::from_millis(2_500)), op(), None).await?;
    let lease = LockRequest::new(op(), Duration::from_millis(2_500), Duration::ZERO);
    store.lock(&locked, lease).await?;
    let before = load(&store, &lives).await?.unwrap().remaining;
    if ahead_by().await? != "02:00:00" {
        return Ok(false);
    }
    let is_winter = async || ahead_by().await.is_ok_and(|hours| hours == "01:00:00");
    eventually("the clocks are put back", is_winter).await;
    let after = load(&store, &lives).await?.unwrap().remaining;
    assert!(after < before && is_about(after, HOUR), "{before:?}, then {after:?}");
    // In an hour, if it were by the clock on the wall.
    eventually("the end", async || load(&store, &ends).await.unwrap().is_none()).await;
    assert!(store.lock(&locked, request(SOON)).await?.lease.is_some());
    assert_eq!(store.sweep(None, SweepBudget::default()).await?.deleted, 1);
    Ok(true)
}
