//! What servers are told to do, as they tell it themselves.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use redis::{AsyncConnectionConfig, Client, RedisError, aio::MultiplexedConnection};
use tokio::{sync::Notify, time::timeout};

/// Commands that only read, or have nothing to do with keys.
const READS: &[&str] = &[
    "\"GET\"",
    "\"PTTL\"",
    "\"SUBSCRIBE\"",
    "\"SSUBSCRIBE\"",
    "\"UNSUBSCRIBE\"",
    "\"SUNSUBSCRIBE\"",
    "\"SCAN\"",
];
const HANG: Duration = Duration::from_secs(30);

/// A connection of the fixture's own: a server that is busy may take its time.
pub(crate) async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(Some(HANG))
        .set_connection_timeout(Some(HANG));
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// Watches over servers.
pub(crate) struct Monitors {
    servers: Vec<(MultiplexedConnection, Arc<Seen>)>,
}

/// What one server was seen to be told.
#[derive(Default)]
struct Seen {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    /// Writes by the part of the key before the first colon.
    writes: HashMap<String, u64>,
    marks: HashSet<String>,
}

impl Monitors {
    /// Begins to watch.
    pub(crate) async fn start(clients: Vec<Client>) -> Result<Self, RedisError> {
        let mut servers = Vec::new();
        for client in clients {
            let seen = Arc::new(Seen::default());
            let monitor = client.get_async_monitor().await?;
            let watched = Arc::clone(&seen);
            tokio::spawn(async move { watched.follow(monitor).await });
            servers.push((connect(&client).await?, seen));
        }
        Ok(Self { servers })
    }

    /// How many writes were sent for keys of a namespace, to all servers together.
    pub(crate) async fn writes(&self, namespace: &str) -> Result<u64, RedisError> {
        let mut sum = 0;
        for (connection, seen) in &self.servers {
            let mark = format!("mark-{:016x}", fastrand::u64(..));
            let mut connection = connection.clone();
            redis::cmd("ECHO").arg(&mark).exec_async(&mut connection).await?;
            seen.wait_for(&mark).await?;
            sum += seen.state().writes.get(namespace).copied().unwrap_or_default();
        }
        Ok(sum)
    }
}

impl std::fmt::Debug for Monitors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Monitors")
    }
}

impl Seen {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(&self, monitor: redis::aio::Monitor) {
        let mut lines = monitor.into_on_message::<String>();
        while let Some(line) = lines.next().await {
            self.note(&line);
        }
    }

    /// Reads `1700000000.123456 [0 127.0.0.1:50000] "EVALSHA" "1f0e..." "1" "conf17:AbC.." "..."`.
    fn note(&self, line: &str) {
        let Some((source, command)) = line.split_once("] ") else { return };
        let mut words = command.split(' ');
        let name = words.next().unwrap_or_default();
        if source.ends_with(" lua") || READS.contains(&name) {
            return;
        }
        if name == "\"ECHO\"" {
            self.state().marks.extend(words.next().map(|mark| mark.trim_matches('"').to_owned()));
            self.news.notify_waiters();
            return;
        }
        let key = words.find_map(|word| word.strip_prefix("\"conf"));
        if let Some((namespace, _)) = key.and_then(|key| key.split_once(':')) {
            *self.state().writes.entry(format!("conf{namespace}")).or_default() += 1;
        }
    }

    async fn wait_for(&self, mark: &str) -> Result<(), RedisError> {
        let seen = async {
            loop {
                let news = self.news.notified();
                if self.state().marks.remove(mark) {
                    return;
                }
                news.await;
            }
        };
        let told = timeout(HANG, seen).await;
        told.map_err(|_late| (redis::ErrorKind::Io, "the monitor does not tell everything").into())
    }
}
