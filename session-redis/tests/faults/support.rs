//! What most cases start from.

use std::{
    env,
    fmt::Display,
    io::Write as _,
    time::{Duration, Instant},
};

use session_core::{
    Error, ErrorKind, Key, KeyHasher, LockRequest, OpToken, ReadOptions, Record, Result, Revision,
    SessionId, SessionStore, Write,
};
use session_redis::{RedisStore, RedisStoreBuilder};
use test_servers::redis::Server;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
/// More than any step takes: a hang is a failure, slowness is not.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// How much longer than its deadline an operation may take on a busy machine.
pub(crate) const SLACK: Duration = Duration::from_secs(10);

/// What the choices of the load are made from; another one by `SESSION_FAULT_SEED`.
pub(crate) fn seed() -> u64 {
    env::var("SESSION_FAULT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_240_601)
}

/// Tells people what a case has counted.
pub(crate) fn tell(case: &str, what: impl Display) {
    say(format!("{case} (seed {}): {what}", seed()));
}

pub(crate) fn say(line: String) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
}

/// A store whose operations end by `timeout`, and that soon gives up a server that is silent.
pub(crate) fn builder(url: &str, timeout: Duration) -> RedisStoreBuilder {
    let builder = RedisStore::builder(url).unwrap().timeout(timeout);
    let short = Duration::from_millis(500).min(timeout);
    builder.response_timeout(short).connect_timeout(short)
}

pub(crate) async fn open(url: &str, timeout: Duration) -> RedisStore {
    builder(url, timeout).open().await.unwrap()
}

pub(crate) fn new_key() -> Key {
    KeyHasher::plain().key(&SessionId::generate().unwrap())
}

pub(crate) fn op() -> OpToken {
    OpToken::generate().unwrap()
}

pub(crate) fn lock(lease: Duration, wait: Duration) -> LockRequest {
    LockRequest::new(op(), lease, wait)
}

pub(crate) fn write(payload: &[u8]) -> Write {
    Write::new(payload.to_vec(), HOUR)
}

pub(crate) async fn create(store: &RedisStore, key: &Key, payload: &[u8]) -> Revision {
    store.create(key, write(payload), op(), None).await.unwrap()
}

pub(crate) async fn load(store: &RedisStore, key: &Key) -> Result<Option<Record>> {
    store.load(key, ReadOptions::latest()).await
}

/// Whether the store could not be asked.
pub(crate) fn is_outage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

/// What a primary must suffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Killed,
    Stopped,
}

/// Kills a primary when it has acknowledged commits that its replica will never get.
pub(crate) async fn kill_ahead_of(
    replica: &Server,
    primary: &Server,
    commits: impl AsyncFnOnce(),
) -> test_servers::Result<()> {
    replica.stop()?;
    primary.command(&["CLIENT", "KILL", "TYPE", "replica"]).await?;
    commits().await;
    primary.kill();
    replica.resume()
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(SOON, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}: not within {SOON:?}");
}

/// An operation that is expected to fail because the store cannot be asked, within its deadline.
pub(crate) async fn fails_in_time<T: std::fmt::Debug>(
    timeout: Duration,
    operation: impl Future<Output = Result<T>>,
) -> Error {
    let began = Instant::now();
    let error = operation.await.unwrap_err();
    assert!(is_outage(&error), "{error}");
    assert!(began.elapsed() < timeout + SLACK, "{:?}", began.elapsed());
    error
}
