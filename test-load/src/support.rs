//! What most tests of faults start from.

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

/// Longer than any test.
pub const HOUR: Duration = Duration::from_secs(3_600);
/// More than any step takes: a hang is a failure, slowness is not.
pub const SOON: Duration = Duration::from_secs(60);
/// How much longer than its deadline an operation may take on a busy machine.
pub const SLACK: Duration = Duration::from_secs(10);

/// What the choices of the load are made from; another one by `SESSION_FAULT_SEED`.
pub fn seed() -> u64 {
    env::var("SESSION_FAULT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_240_601)
}

/// Tells people what a case has counted.
pub fn tell(case: &str, what: impl Display) {
    say(format!("{case} (seed {}): {what}", seed()));
}

/// Prints a line that people read.
pub fn say(line: String) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
}

/// A key that nobody has.
pub fn new_key() -> Key {
    KeyHasher::plain().key(&SessionId::generate().unwrap())
}

/// A new token.
pub fn op() -> OpToken {
    OpToken::generate().unwrap()
}

/// A request for a lock.
pub fn lock(lease: Duration, wait: Duration) -> LockRequest {
    LockRequest::new(op(), lease, wait)
}

/// A payload that outlives the test.
pub fn write(payload: &[u8]) -> Write {
    Write::new(payload.to_vec(), HOUR)
}

/// Creates a session.
pub async fn create(store: &dyn SessionStore, key: &Key, payload: &[u8]) -> Revision {
    store.create(key, write(payload), op(), None).await.unwrap()
}

/// Reads a session.
///
/// # Errors
/// Those of the store.
pub async fn load(store: &dyn SessionStore, key: &Key) -> Result<Option<Record>> {
    store.load(key, ReadOptions::latest()).await
}

/// Whether the store could not be asked.
pub fn is_outage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

/// Waits until something holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(SOON, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}: not within {SOON:?}");
}

/// Asks until there is an answer: who could not be asked may be at work again.
pub async fn eventually_done<T>(mut ask: impl AsyncFnMut() -> Result<T>) -> T {
    let mut done = None;
    eventually("an answer", async || {
        done = match ask().await {
            Ok(answer) => Some(answer),
            Err(error) => {
                assert!(is_outage(&error), "{error}");
                None
            }
        };
        done.is_some()
    })
    .await;
    done.unwrap()
}

/// An operation that is expected to fail because the store cannot be asked, within its deadline.
pub async fn fails_in_time<T: std::fmt::Debug>(
    timeout: Duration,
    operation: impl Future<Output = Result<T>>,
) -> Error {
    let began = Instant::now();
    let error = operation.await.unwrap_err();
    assert!(is_outage(&error), "{error}");
    assert!(began.elapsed() < timeout + SLACK, "{:?}", began.elapsed());
    error
}
