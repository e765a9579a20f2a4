//! Ways of waiting for a lock where the server helps, with statements of their own. Where one is
//! better, the store should do as it does.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use session_core::{Key, KeyDigest, LockQueue};
use sqlx::{MySqlConnection, PgConnection, postgres::PgListener};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::JoinHandle,
    time::sleep,
};

use super::{Engine, client::Client, place::Place, waiting::PATIENCE};
use crate::measure::Result;

/// The connections of one process.
const CONNECTIONS: usize = 10;
/// How long a waiter trusts that it will be told.
const FALLBACK: Duration = Duration::from_millis(500);

/// The ways that the engine of a place has, each with a line for every process.
pub(super) async fn models(
    place: &Place,
    processes: usize,
) -> Result<Vec<(&'static str, Vec<Line>)>> {
    let told = ("told by LISTEN/NOTIFY", &TOLD);
    let advisory = ("advisory lock for the head", &ADVISORY);
    let named = ("GET_LOCK for the head", &NAMED);
    let ways: &[(&'static str, &'static Texts)] = match place.engine {
        Engine::MariaDb | Engine::MySql => &[named],
        Engine::Postgres => &[told, advisory],
        Engine::Sqlite => &[],
    };
    let mut models = Vec::new();
    for (name, texts) in ways {
        let mut lines = Vec::new();
        for _ in 0..processes {
            lines.push(Line::open(place, texts).await?);
        }
        models.push((*name, lines));
    }
    Ok(models)
}

/// The statements of one way; each takes a number and the digest, but for the schema.
#[derive(Debug)]
struct Texts {
    schema: &'static str,
    begin: &'static str,
    /// Answers whether the lock is taken.
    lock: &'static str,
    /// Writes and gives the lock back.
    save: &'static str,
    /// Waits at the server for the place before all others, and gives it up.
    line: Option<(&'static str, &'static str)>,
    /// Whether releases are told.
    told: bool,
}

macro_rules! pg_now {
    () => {
        "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

macro_rules! my_now {
    () => {
        "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)"
    };
}

const TOLD: Texts = Texts {
    schema: "CREATE TABLE IF NOT EXISTS leases (digest bytea NOT NULL PRIMARY KEY, holder bigint, \
             lease_until bigint NOT NULL, wanted bigint NOT NULL, payload bytea NOT NULL)",
    begin: "INSERT INTO leases VALUES ($2, NULL, $1, 0, decode(repeat('07', 1024), 'hex'))",
    // Who does not get it leaves word for so long.
    lock: concat!(
        "UPDATE leases SET holder = CASE WHEN lease_until <= ",
        pg_now!(),
        " THEN $1 ELSE holder END, \
         wanted = CASE WHEN lease_until <= ",
        pg_now!(),
        " THEN wanted ELSE ",
        pg_now!(),
        " + 1000 END, \
         lease_until = CASE WHEN lease_until <= ",
        pg_now!(),
        " THEN ",
        pg_now!(),
        " + 10000 ELSE lease_until END \
         WHERE digest = $2 RETURNING CASE WHEN holder = $1 THEN 1 ELSE 0 END::bigint"
    ),
    save: concat!(
        "WITH freed AS (UPDATE leases SET holder = NULL, lease_until = 0 WHERE digest = $2 AND holder = $1 \
         RETURNING digest, wanted) SELECT count(CASE WHEN wanted > ",
        pg_now!(),
        " THEN \
         pg_notify('freed', encode(digest, 'hex'))::text END) FROM freed"
    ),
    line: None,
    told: true,
};

const ADVISORY: Texts = Texts {
    lock: concat!(
        "WITH got AS (UPDATE leases SET holder = $1, lease_until = ",
        pg_now!(),
        " + 10000 \
         WHERE digest = $2 AND lease_until <= ",
        pg_now!(),
        " RETURNING 1) SELECT count(*) FROM got"
    ),
    save: "WITH freed AS (UPDATE leases SET holder = NULL, lease_until = 0 WHERE digest = $2 AND holder = $1 \
           RETURNING 1) SELECT count(*) FROM freed",
    line: Some((
        "SELECT 1::bigint FROM (SELECT pg_advisory_lock(hashtextextended(encode($2, 'hex'), $1 * 0))) AS got",
        "SELECT 1::bigint FROM (SELECT pg_advisory_unlock(hashtextextended(encode($2, 'hex'), $1 * 0))) AS gone",
    )),
    told: false,
    ..TOLD
};

const NAMED: Texts = Texts {
    schema: "CREATE TABLE IF NOT EXISTS leases (digest BINARY(32) NOT NULL PRIMARY KEY, holder BIGINT, \
             lease_until BIGINT NOT NULL, wanted BIGINT NOT NULL, payload LONGBLOB NOT NULL) ENGINE = InnoDB",
    begin: "INSERT INTO leases (lease_until, digest, wanted, payload) VALUES (?, ?, 0, REPEAT('7', 1024))",
    lock: concat!(
        "UPDATE leases SET holder = ?, lease_until = ",
        my_now!(),
        " + 10000 \
         WHERE digest = ? AND lease_until <= ",
        my_now!()
    ),
    save: "UPDATE leases SET lease_until = 0 WHERE holder = ? AND digest = ?",
    line: Some((
        "SELECT CAST(GET_LOCK(LEFT(HEX(RIGHT(CONCAT(?, ?), 32)), 60), 60) AS SIGNED)",
        "SELECT CAST(RELEASE_LOCK(LEFT(HEX(RIGHT(CONCAT(?, ?), 32)), 60)) AS SIGNED)",
    )),
    told: false,
};

/// What one process has: connections, a line of its own requests, and who listens.
#[derive(Debug)]
pub(super) struct Line {
    texts: &'static Texts,
    connections: Connections,
    queue: Arc<LockQueue>,
    listener: Option<JoinHandle<()>>,
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

impl Line {
    async fn open(place: &Place, texts: &'static Texts) -> Result<Self> {
        let connections = Connections::open(place).await?;
        connections.any().await?.define(texts.schema).await?;
        let queue = Arc::new(LockQueue::new(64));
        let listener =
            if texts.told { Some(listen(&place.url(), Arc::clone(&queue)).await?) } else { None };
        Ok(Self { texts, connections, queue, listener })
    }

    pub(super) async fn begin(&self, key: &Key) -> Result<()> {
        let digest = key.digest().as_bytes();
        self.connections.any().await?.touch(self.texts.begin, 0, digest).await?;
        Ok(())
    }

    /// Takes the lock, works, and commits with release; returns the wait.
    pub(super) async fn request(&self, key: &Key, hold: Duration) -> Result<Duration> {
        let began = Instant::now();
        let token = fastrand::i64(1..);
        self.lock(key, token).await?;
        let waited = began.elapsed();
        sleep(hold).await;
        let digest = key.digest().as_bytes();
        if !self.connections.any().await?.does(self.texts.save, token, digest).await? {
            return Err("the lock was lost".into());
        }
        self.queue.wake(key.digest());
        Ok(waited)
    }

    async fn lock(&self, key: &Key, token: i64) -> Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let turn = self.queue.enter(key.digest(), deadline).await;
        let turn = turn.map_err(|_queue| "no place in the line")?;
        let digest = key.digest().as_bytes();
        if self.connections.any().await?.does(self.texts.lock, token, digest).await? {
            return Ok(());
        }
        let Some((enter, leave)) = self.texts.line else {
            loop {
                turn.wait(FALLBACK).await;
                if self.connections.any().await?.does(self.texts.lock, token, digest).await? {
                    return Ok(());
                }
            }
        };
        // Only the first of all processes looks, and therefore often.
        let mut pinned = self.connections.any().await?;
        pinned.ask(enter, 0, digest).await?;
        while !pinned.does(self.texts.lock, token, digest).await? {
            turn.wait(Duration::from_millis(10).mul_f64(fastrand::f64())).await;
        }
        pinned.ask(leave, 0, digest).await?;
        Ok(())
    }
}

/// Tells a line what other processes have freed.
async fn listen(url: &str, queue: Arc<LockQueue>) -> Result<JoinHandle<()>> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen("freed").await?;
    Ok(tokio::spawn(async move {
        while let Ok(told) = listener.recv().await {
            if let Some(digest) = digest(told.payload()) {
                queue.wake(&digest);
            }
        }
    }))
}

fn digest(hex: &str) -> Option<KeyDigest> {
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(KeyDigest::from_bytes(bytes))
}

/// A few connections, shared.
#[derive(Debug)]
struct Connections {
    idle: Mutex<Vec<Connection>>,
    slots: Semaphore,
}

#[derive(Debug)]
enum Connection {
    MySql(MySqlConnection),
    Postgres(PgConnection),
}

/// One of them, in use.
struct Used<'a> {
    all: &'a Connections,
    connection: Option<Connection>,
    _slot: SemaphorePermit<'a>,
}

impl Connections {
    async fn open(place: &Place) -> Result<Self> {
        let (url, mut idle) = (place.url(), Vec::new());
        if place.engine.is_mysql() {
            let all = MySqlConnection::open(&url, CONNECTIONS).await?;
            idle.extend(all.into_iter().map(Connection::MySql));
        } else {
            let all = PgConnection::open(&url, CONNECTIONS).await?;
            idle.extend(all.into_iter().map(Connection::Postgres));
        }
        Ok(Self { slots: Semaphore::new(idle.len()), idle: Mutex::new(idle) })
    }

    async fn any(&self) -> Result<Used<'_>> {
        let slot = self.slots.acquire().await?;
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Used { all: self, connection, _slot: slot })
    }
}

impl Used<'_> {
    async fn define(&mut self, text: &str) -> Result<()> {
        match self.connection.as_mut().ok_or("no connection")? {
            Connection::MySql(own) => own.define(text).await,
            Connection::Postgres(own) => own.define(text).await,
        }
    }

    async fn touch(&mut self, text: &'static str, number: i64, digest: &[u8]) -> Result<u64> {
        match self.connection.as_mut().ok_or("no connection")? {
            Connection::MySql(own) => own.touch(text, number, digest).await,
            Connection::Postgres(own) => own.touch(text, number, digest).await,
        }
    }

    async fn ask(&mut self, text: &'static str, number: i64, digest: &[u8]) -> Result<i64> {
        match self.connection.as_mut().ok_or("no connection")? {
            Connection::MySql(own) => own.ask(text, number, digest).await,
            Connection::Postgres(own) => own.ask(text, number, digest).await,
        }
    }

    /// Whether a statement wrote, or says that it did.
    async fn does(&mut self, text: &'static str, number: i64, digest: &[u8]) -> Result<bool> {
        match self.connection.as_mut().ok_or("no connection")? {
            Connection::MySql(own) => Ok(own.touch(text, number, digest).await? > 0),
            Connection::Postgres(own) => {
                // A count of what was told is none where nobody waits.
                let told = text == TOLD.save;
                Ok(own.ask(text, number, digest).await? > 0 || told)
            }
        }
    }
}

impl Drop for Used<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.all.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}
