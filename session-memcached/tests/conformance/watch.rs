//! What servers are told to write, as they tell it themselves.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use test_servers::{
    Result,
    memcached::{Client, Server},
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

const HANG: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_secs(1);

/// Watches over a server.
#[derive(Debug)]
pub(crate) struct Watch(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Writes by the part of the key before the first colon.
    writes: HashMap<String, u64>,
    marks: HashSet<String>,
}

impl Watch {
    /// Begins to watch.
    pub(crate) async fn start(server: &Server) -> Result<Self> {
        let mut client = server.client().await?;
        client.line("watch mutations\r\n").await?;
        let seen = Arc::new(Seen::default());
        let watched = Arc::clone(&seen);
        tokio::spawn(async move { watched.follow(client).await });
        Ok(Self(seen))
    }

    /// How many writes were sent for keys of a namespace.
    pub(crate) async fn writes(&self, server: &Server, namespace: &str) -> Result<u64> {
        let mark = format!("mark-{:016x}", fastrand::u64(..));
        let deadline = Instant::now() + HANG;
        loop {
            server.command(&format!("set {mark} 0 1 1\r\nx\r\n")).await?;
            // The server leaves lines out that nobody reads in time.
            if timeout(AGAIN, self.0.wait_for(&mark)).await.is_ok() {
                break;
            }
            assert!(Instant::now() < deadline, "the server does not tell everything");
        }
        Ok(self.0.state().writes.get(namespace).copied().unwrap_or_default())
    }
}

impl Seen {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(&self, mut client: Client) {
        while let Ok(line) = client.next_line().await {
            self.note(&line);
        }
    }

    /// Reads `ts=1.2 gid=3 type=item_store key=conf17%3AAbC status=stored cmd=set ..`.
    fn note(&self, line: &str) {
        let Some(key) = line.split(' ').find_map(|word| word.strip_prefix("key=")) else { return };
        if key.starts_with("mark-") {
            self.state().marks.insert(key.to_owned());
            self.news.notify_waiters();
        } else if let Some((namespace, _)) = key.split_once([':', '%']) {
            *self.state().writes.entry(namespace.to_owned()).or_default() += 1;
        }
    }

    async fn wait_for(&self, mark: &str) {
        loop {
            let news = self.news.notified();
            if self.state().marks.remove(mark) {
                return;
            }
            news.await;
        }
    }
}
