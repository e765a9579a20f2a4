//! Hearing of locks that are free, while somebody here waits for one.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use session_core::{KeyDigest, LockQueue};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::link::{Feed, News};

/// How often it is looked whether somebody still waits, and whether the connection lives.
const CHECK: Duration = Duration::from_secs(5);
/// How long a sign of life may take.
const PING: Duration = Duration::from_secs(2);
/// The limit of the pause before the next try to listen.
const AGAIN: Duration = Duration::from_secs(1);

/// Wakes those who wait here when the database says that a lock is free. While somebody waits one task
/// listens, on a connection of its own.
pub(crate) struct Listener(Arc<Shared>);

struct Shared {
    news: Option<News>,
    queue: LockQueue,
    /// Whether every message comes.
    hears: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: usize,
    task: Option<AbortHandle>,
    /// There are no messages.
    deaf: bool,
}

impl Listener {
    pub(crate) fn new(news: Option<News>, queue: LockQueue) -> Self {
        let state = State { deaf: news.is_none(), ..State::default() };
        let hears = AtomicBool::new(false);
        Self(Arc::new(Shared { news, queue, hears, state: Mutex::new(state) }))
    }

    /// Listens as long as there is an ear.
    pub(crate) fn listen(&self) -> Ear {
        let mut state = self.0.state();
        state.waiting += 1;
        let idle = state.task.as_ref().is_none_or(AbortHandle::is_finished);
        if idle && !state.deaf {
            let task = tokio::spawn(listen(Arc::clone(&self.0)));
            state.task = Some(task.abort_handle());
        }
        Ear(Arc::clone(&self.0))
    }

    /// Whether a message comes for every lock that is free from now on.
    pub(crate) fn hears(&self) -> bool {
        self.0.hears.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({})", self.0.state().waiting)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(task) = &self.0.state().task {
            task.abort();
        }
    }
}

/// Of somebody who waits.
pub(crate) struct Ear(Arc<Shared>);

impl Drop for Ear {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody waits any more: whoever comes next begins anew.
    fn ends(&self) -> bool {
        let mut state = self.state();
        let ends = state.waiting == 0;
        if ends {
            state.task = None;
        }
        ends
    }
}

/// Listens until nobody waits any more.
async fn listen(shared: Arc<Shared>) {
    let Some(news) = &shared.news else { return };
    while !shared.ends() {
        match news.open().await {
            Ok(Some(feed)) => hear(&shared, feed).await,
            Ok(None) => {
                shared.state().deaf = true;
                return;
            }
            Err(fault) => tracing::debug!(?fault, "locks that are free are not heard of"),
        }
        sleep(AGAIN.mul_f64(fastrand::f64())).await;
    }
}

/// Passes messages on until the connection is lost, or nobody waits any more.
async fn hear(shared: &Shared, mut feed: Box<dyn Feed>) {
    let _hearing = Hearing::begin(&shared.hears);
    let mut check = Instant::now() + CHECK;
    loop {
        match timeout_at(check, feed.next()).await {
            Ok(Some(message)) => {
                if let Some(digest) = digest(&message) {
                    shared.queue.wake(&digest);
                }
            }
            Ok(None) => return,
            Err(_) => {
                let lives = timeout(PING, feed.lives()).await.unwrap_or(false);
                if !lives || shared.state().waiting == 0 {
                    return;
                }
                check = Instant::now() + CHECK;
            }
        }
    }
}

/// Lasts as long as messages come.
struct Hearing<'a>(&'a AtomicBool);

impl<'a> Hearing<'a> {
    fn begin(hears: &'a AtomicBool) -> Self {
        hears.store(true, Ordering::Release);
        Self(hears)
    }
}

impl Drop for Hearing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The digest that a message names in hexadecimal digits.
fn digest(message: &str) -> Option<KeyDigest> {
    let mut bytes = [0; 32];
    if message.len() != 2 * bytes.len() || !message.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(message.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(KeyDigest::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_digest_or_is_passed_over() {
        let hex = "0aff".repeat(16);
        let bytes = *digest(&hex).unwrap().as_bytes();
        assert_eq!(bytes[..4], [0x0a, 0xff, 0x0a, 0xff]);
        for other in ["", "0aff", "é".repeat(32).as_str(), &"0g".repeat(32), &"+f".repeat(32)] {
            assert_eq!(digest(other), None, "{other}");
        }
    }
}
