//! The statements of our store without our store: what is left is the way from a call to a statement,
//! and back.

use std::sync::Arc;

use session_core::{KeyHasher, OpToken, SessionId, SessionStore, Write};
use sqlx::{MySqlConnection, PgConnection, SqliteConnection};
use tokio::sync::Mutex;

use super::{
    CONNECTIONS, Engine,
    client::{Client, Value},
    ours,
    place::Place,
};
use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    setup::{Setup, TTL},
};

/// The incarnation, and the number of a commit with four bytes of its token.
const REVISION: usize = 24;
/// A revision, and the rest of the token.
const COMMIT: usize = 36;
/// The checksum and the epoch, which stand before the payload.
const BEFORE: usize = 12;
const NEVER: i64 = i64::MAX;

pub(super) async fn contenders(place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    match place.engine {
        Engine::MariaDb | Engine::MySql => on::<MySqlConnection>(place, setup).await,
        Engine::Postgres => on::<PgConnection>(place, setup).await,
        Engine::Sqlite => on::<SqliteConnection>(place, setup).await,
    }
}

async fn on<C: Client>(place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    let store = ours::open(place).await?;
    let mut rows = Vec::with_capacity(setup.sessions);
    for _ in 0..setup.sessions {
        let key = KeyHasher::plain().key(&SessionId::generate()?);
        let write = Write::new(setup.payload.clone(), TTL);
        let revision = store.create(&key, write, OpToken::generate()?, None).await?;
        let version = u64::try_from(revision.version())?.to_be_bytes();
        let commits = [revision.incarnation().as_bytes().as_slice(), &version].concat();
        rows.push(Row { digest: *key.digest().as_bytes(), commits: Mutex::new(commits) });
    }
    let [load, save] = store.texts().map(|(text, names)| Text { text: text.leak(), names });
    let base = Base {
        slots: slots::<C>(place, limit(place.engine)).await?,
        rows: rows.into(),
        data: [&[7; BEFORE], &setup.payload[..]].concat().into(),
        texts: [load, save].into(),
        writer: place.engine == Engine::Sqlite,
    };
    let one = |name: &'static str, operation, base: &Base<C>| {
        let base = base.clone();
        let make = move |share| Steps { base: base.clone(), operation, share };
        Contender::new(name, Role::Same, operation, make)
    };
    let mut all = vec![
        one("our statement of a load", Operation::Read, &base),
        one("our statement of a save", Operation::Write, &base),
    ];
    if limit(place.engine).is_some() {
        let base = Base { slots: slots::<C>(place, None).await?, ..base };
        all.push(one("our statement of a load, without a limit of time", Operation::Read, &base));
    }
    Ok(all)
}

/// What our store has the server end, on MySQL for reading statements only: it keeps a timer for each.
fn limit(engine: Engine) -> Option<&'static str> {
    (engine == Engine::MySql).then_some("SET max_execution_time = 4500")
}

async fn slots<C: Client>(place: &Place, limit: Option<&str>) -> Result<Arc<[Mutex<C>]>> {
    let mut clients = C::open(&place.url(), CONNECTIONS).await?;
    for client in &mut clients {
        if let Some(limit) = limit {
            client.define(limit).await?;
        }
    }
    Ok(clients.into_iter().map(Mutex::new).collect())
}

struct Text {
    text: &'static str,
    names: Vec<String>,
}

struct Row {
    digest: [u8; 32],
    /// As the last save left them.
    commits: Mutex<Vec<u8>>,
}

struct Base<C> {
    slots: Arc<[Mutex<C>]>,
    rows: Arc<[Row]>,
    data: Arc<[u8]>,
    texts: Arc<[Text; 2]>,
    /// Whether only the first connection writes, as SQLite wants it.
    writer: bool,
}

impl<C> Clone for Base<C> {
    fn clone(&self) -> Self {
        Self {
            slots: Arc::clone(&self.slots),
            rows: Arc::clone(&self.rows),
            data: Arc::clone(&self.data),
            texts: Arc::clone(&self.texts),
            writer: self.writer,
        }
    }
}

struct Steps<C> {
    base: Base<C>,
    operation: Operation,
    share: Share,
}

impl<C: Client> Work for Steps<C> {
    async fn step(&mut self) -> Result<()> {
        match self.operation {
            Operation::Read => self.load().await,
            _ => self.save().await,
        }
    }
}

impl<C: Client> Steps<C> {
    async fn load(&self) -> Result<()> {
        let Base { slots, rows, data, texts, .. } = &self.base;
        let [load, _] = &**texts;
        let digest = &rows[self.share.any()].digest;
        let mut client = slots[self.share.index % slots.len()].lock().await;
        if client.fetch(load.text, &[Value::Bytes(digest)]).await? != data.len() {
            return Err("another row".into());
        }
        Ok(())
    }

    async fn save(&self) -> Result<()> {
        let Base { slots, rows, data, texts, writer } = &self.base;
        let [_, save] = &**texts;
        let row = &rows[self.share.any_own()];
        let mut commits = row.commits.lock().await;
        let to: [u8; COMMIT] = std::array::from_fn(|_| fastrand::u8(..));
        let value = |name: &String| match name.as_str() {
            "digest" => Value::Bytes(&row.digest),
            "from" => Value::Bytes(&commits),
            "to" => Value::Bytes(&to),
            "data" => Value::Bytes(data),
            "ttl" => Value::Int(i64::try_from(TTL.as_millis()).unwrap_or(NEVER)),
            "absolute" => Value::Int(NEVER),
            _ => Value::Null,
        };
        let values: Vec<_> = save.names.iter().map(value).collect();
        let slot = if *writer { 0 } else { self.share.index % slots.len() };
        let written = slots[slot].lock().await.execute(save.text, &values).await?;
        if written != 1 {
            return Err("not at its revision".into());
        }
        *commits = to[..REVISION].to_vec();
        Ok(())
    }
}
