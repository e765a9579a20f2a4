//! The bare statements: each on one of as many connections as our store has, or through the pool of
//! the client crate.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use sqlx::{MySql, MySqlConnection, PgConnection, Pool, Postgres, Sqlite, SqliteConnection};
use tokio::sync::Mutex;

use super::{CONNECTIONS, Engine, client::Client, place::Place};
use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    setup::{Setup, TTL},
};

pub(super) async fn contenders(place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    let url = place.url();
    match place.engine {
        Engine::MariaDb | Engine::MySql => {
            both::<MySqlConnection, Pool<MySql>>(place.engine, &url, setup).await
        }
        Engine::Postgres => both::<PgConnection, Pool<Postgres>>(place.engine, &url, setup).await,
        Engine::Sqlite => both::<SqliteConnection, Pool<Sqlite>>(place.engine, &url, setup).await,
    }
}

async fn both<C: Client, P: Client>(
    engine: Engine,
    url: &str,
    setup: &Setup,
) -> Result<Vec<Contender>> {
    let texts = Texts::of(engine);
    let (digests, payload) = (digests(setup), setup.payload.to_vec());
    let mut own = C::open(url, CONNECTIONS).await?;
    let first = own.first_mut().ok_or("no connection")?;
    for text in texts.schema {
        first.define(text).await?;
    }
    for digest in digests.iter() {
        first.write(texts.insert, &payload, deadline(), digest).await?;
    }
    let slots = |clients: Vec<_>| clients.into_iter().map(Mutex::new).collect();
    let base = Base {
        slots: slots(own),
        digests,
        payload: payload.into(),
        texts,
        writer: engine == Engine::Sqlite,
    };
    let pool = Base {
        slots: P::open(url, MOST_TASKS).await?.into_iter().map(Mutex::new).collect(),
        digests: Arc::clone(&base.digests),
        payload: Arc::clone(&base.payload),
        texts,
        writer: false,
    };
    let names = ["SELECT", "UPDATE", "INSERT", "SELECT, UPDATE", "UPDATE of deadline"];
    let mut all = base.contenders(Role::Bare, names);
    let names = [
        "sqlx Pool SELECT",
        "sqlx Pool UPDATE",
        "sqlx Pool INSERT",
        "sqlx Pool SELECT, UPDATE",
        "sqlx Pool UPDATE of deadline",
    ];
    all.extend(pool.contenders(Role::Client, names));
    Ok(all)
}

/// A clone of the pool for each task.
const MOST_TASKS: usize = 256;

fn digests(setup: &Setup) -> Arc<[[u8; 32]]> {
    (0..setup.sessions).map(|_| digest()).collect()
}

fn digest() -> [u8; 32] {
    std::array::from_fn(|_| fastrand::u8(..))
}

/// By the clock of this machine.
#[expect(clippy::disallowed_methods, reason = "a bare client has no other clock")]
fn deadline() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from((now + TTL).as_millis()).unwrap_or(i64::MAX)
}

#[derive(Debug, Clone, Copy)]
struct Texts {
    schema: &'static [&'static str],
    select: &'static str,
    update: &'static str,
    insert: &'static str,
    touch: &'static str,
}

const MYSQL: Texts = Texts {
    schema: &[
        "CREATE TABLE IF NOT EXISTS bare (digest BINARY(32) NOT NULL PRIMARY KEY, deadline BIGINT NOT NULL, \
               payload LONGBLOB NOT NULL, KEY bare_deadline (deadline)) ENGINE = InnoDB",
    ],
    select: "SELECT payload FROM bare WHERE digest = ?",
    update: "UPDATE bare SET payload = ?, deadline = ? WHERE digest = ?",
    insert: "INSERT INTO bare (payload, deadline, digest) VALUES (?, ?, ?)",
    touch: "UPDATE bare SET deadline = ? WHERE digest = ?",
};

const POSTGRES: Texts = Texts {
    schema: &[
        "CREATE TABLE IF NOT EXISTS bare (digest bytea NOT NULL PRIMARY KEY, deadline bigint NOT NULL, \
         payload bytea NOT NULL)",
        "CREATE INDEX IF NOT EXISTS bare_deadline ON bare (deadline)",
    ],
    select: "SELECT payload FROM bare WHERE digest = $1",
    update: "UPDATE bare SET payload = $1, deadline = $2 WHERE digest = $3",
    insert: "INSERT INTO bare (payload, deadline, digest) VALUES ($1, $2, $3)",
    touch: "UPDATE bare SET deadline = $1 WHERE digest = $2",
};

const SQLITE: Texts = Texts {
    schema: &[
        "CREATE TABLE IF NOT EXISTS bare (digest BLOB NOT NULL PRIMARY KEY, deadline INTEGER NOT NULL, \
         payload BLOB NOT NULL) STRICT",
        "CREATE INDEX IF NOT EXISTS bare_deadline ON bare (deadline)",
    ],
    ..MYSQL
};

impl Texts {
    fn of(engine: Engine) -> Self {
        match engine {
            Engine::MariaDb | Engine::MySql => MYSQL,
            Engine::Postgres => POSTGRES,
            Engine::Sqlite => SQLITE,
        }
    }
}

struct Base<C> {
    slots: Arc<[Mutex<C>]>,
    digests: Arc<[[u8; 32]]>,
    payload: Arc<[u8]>,
    texts: Texts,
    /// Whether only the first connection writes, as SQLite wants it.
    writer: bool,
}

impl<C> Clone for Base<C> {
    fn clone(&self) -> Self {
        Self {
            slots: Arc::clone(&self.slots),
            digests: Arc::clone(&self.digests),
            payload: Arc::clone(&self.payload),
            ..*self
        }
    }
}

impl<C: Client> Base<C> {
    fn contenders(&self, role: Role, names: [&'static str; 5]) -> Vec<Contender> {
        use Operation::{Create, Locked, Read, Touch, Write};
        let kinds = [Read, Write, Create, Locked, Touch];
        let one = |(name, operation)| {
            let base = self.clone();
            let make = move |share| Steps { base: base.clone(), operation, share };
            Contender::new(name, role, operation, make)
        };
        names.into_iter().zip(kinds).map(one).collect()
    }
}

struct Steps<C> {
    base: Base<C>,
    operation: Operation,
    share: Share,
}

impl<C: Client> Steps<C> {
    async fn read(&self, digest: &[u8]) -> Result<()> {
        let Base { slots, texts, payload, .. } = &self.base;
        let mut client = slots[self.share.index % slots.len()].lock().await;
        if client.read(texts.select, digest).await? != payload.len() {
            return Err("another payload".into());
        }
        Ok(())
    }

    async fn write(&self, digest: &[u8], operation: Operation) -> Result<()> {
        let Base { slots, texts, payload, writer, .. } = &self.base;
        let slot = if *writer { 0 } else { self.share.index % slots.len() };
        let mut client = slots[slot].lock().await;
        let written = match operation {
            Operation::Touch => client.touch(texts.touch, deadline(), digest).await?,
            Operation::Create => client.write(texts.insert, payload, deadline(), digest).await?,
            _ => client.write(texts.update, payload, deadline(), digest).await?,
        };
        // MySQL counts none where the deadline is the same already.
        if written > 1 { Err("another row".into()) } else { Ok(()) }
    }
}

impl<C: Client> Work for Steps<C> {
    async fn step(&mut self) -> Result<()> {
        let digests = &self.base.digests;
        let (any, own) = (&digests[self.share.any()], &digests[self.share.any_own()]);
        match self.operation {
            Operation::Read => self.read(any).await,
            Operation::Write => self.write(own, Operation::Write).await,
            Operation::Create => self.write(&digest(), Operation::Create).await,
            Operation::Touch => self.write(own, Operation::Touch).await,
            Operation::Locked => {
                self.read(own).await?;
                self.write(own, Operation::Write).await
            }
        }
    }
}
