//! SQLite.

use std::{future::ready, sync::Arc};

use async_trait::async_trait;
use futures_util::{StreamExt, TryFutureExt, TryStreamExt, stream};
use session_core::ErrorKind;
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions, Connection, Decode, Either, Executor, Row, Type,
    ValueRef,
    error::DatabaseError,
    sqlite::{
        Sqlite, SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode,
        SqliteQueryResult, SqliteRow, SqliteSynchronous,
    },
};

use super::{
    Answer, Server,
    connection::{Reader, Sharing, Target, Wire, bad_url},
    fault::{Call, Class, Fault, MIGRATE, Verdict},
};
use crate::{
    SqlConfig,
    engine::Engine,
    statement::{Arg, Statement, Value},
};

pub(super) struct SqliteTarget {
    options: SqliteConnectOptions,
    in_memory: bool,
}

impl SqliteTarget {
    /// Writes go to a write-ahead log, which is synced at checkpoints only, unless the URL says
    /// `synchronous=full`: the last commits survive the end of the process, but not of the machine.
    pub(super) fn new(config: &SqlConfig) -> Result<Self, Fault> {
        let (address, query) = config.url.split_once('?').unwrap_or((&config.url, ""));
        let (mut url, mut in_memory) = (format!("{address}?"), address.ends_with(":memory:"));
        let mut synchronous = SqliteSynchronous::Normal;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.strip_prefix("synchronous=") {
                Some(name) => synchronous = durability(name)?,
                None => url.extend([pair, "&"]),
            }
            in_memory |= pair == "mode=memory";
        }
        let options: SqliteConnectOptions = url.parse().map_err(|_quotes_it| bad_url())?;
        // The engine's own answer, that the database was locked for too long, comes well before this
        // side gives up on it: then it is known that nothing was done.
        let options = options
            .busy_timeout(config.response_timeout / 2)
            .foreign_keys(false)
            .synchronous(synchronous)
            .disable_statement_logging();
        let options =
            if in_memory { options } else { options.journal_mode(SqliteJournalMode::Wal) };
        Ok(Self { options, in_memory })
    }
}

fn durability(name: &str) -> Result<SqliteSynchronous, Fault> {
    name.to_ascii_lowercase().parse().map_err(|_unknown| {
        let detail = "`synchronous` is one of `off`, `normal`, `full`, `extra`";
        Fault::lasting(ErrorKind::Config, detail)
    })
}

#[async_trait]
impl Target for SqliteTarget {
    async fn connect(&self) -> Result<Box<dyn Wire>, Verdict> {
        let connection = self.options.connect().await.map_err(verdict)?;
        Ok(Box::new(SqliteWire(connection)))
    }

    /// One connection writes, so that those who write stand in line for it instead of asking for the
    /// lock of the file again and again, which is given in no order. Measured against ten that all
    /// write: half as many writes a second, but the longest wait is a fraction, and reads do not wait
    /// among writes.
    fn sharing(&self) -> Sharing {
        if self.in_memory { Sharing::OneForEver } else { Sharing::OneWrites }
    }
}

struct SqliteWire(SqliteConnection);

#[async_trait]
impl Wire for SqliteWire {
    async fn run(
        &mut self,
        statement: &Statement,
        values: &[Arg<'_>],
        limit: usize,
    ) -> Result<Answer, Verdict> {
        let query =
            sqlx::query_with(AssertSqlSafe(Arc::clone(&statement.text)), arguments(values)?);
        let stream = if statement.one_row {
            // After the row, the connection's thread sends nothing more that somebody were woken for.
            let row = self.0.fetch_optional(query).map_ok(|row| row.map(Either::Right));
            stream::once(row).try_filter_map(|row| ready(Ok(row))).boxed()
        } else {
            self.0.fetch_many(query)
        };
        READER.read(stream, limit).await
    }

    async fn define(&mut self, text: &str) -> Result<(), Verdict> {
        let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut self.0).await;
        done.map(drop).map_err(verdict)
    }

    async fn server(&mut self) -> Result<Server, Verdict> {
        let ask = sqlx::raw_sql("SELECT sqlite_version()");
        let row = ask.fetch_one(&mut self.0).await.map_err(verdict)?;
        let version = row.try_get_unchecked(0).map_err(verdict)?;
        Ok(Server { engine: Engine::Sqlite, version, max_packet: None, time_stands: false })
    }

    async fn ping(&mut self) -> Result<(), Verdict> {
        self.0.ping().await.map_err(verdict)
    }

    async fn close(self: Box<Self>) {
        drop(self.0.close().await);
    }

    /// Each statement has a channel of its own for its answer.
    fn survives_cancellation(&self) -> bool {
        true
    }
}

fn arguments(values: &[Arg<'_>]) -> Result<SqliteArguments, Verdict> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        let added = match *value {
            Arg::Int(int) => arguments.add(int),
            Arg::Bytes(bytes) => arguments.add(bytes),
            Arg::Null => arguments.add(None::<&[u8]>),
        };
        added.map_err(|error| verdict(sqlx::Error::Encode(error)))?;
    }
    Ok(arguments)
}

const READER: Reader<Sqlite> =
    Reader { affected: SqliteQueryResult::rows_affected, value, classify, ends_with_result: true };

fn value(row: &SqliteRow, at: usize) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(at)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let int = <i64 as Type<Sqlite>>::compatible(&raw.type_info());
    let value = if int {
        <i64 as Decode<Sqlite>>::decode(raw).map(Value::Int)
    } else {
        <Vec<u8> as Decode<Sqlite>>::decode(raw).map(Value::Bytes)
    };
    value.map_err(sqlx::Error::Decode)
}

fn verdict(error: sqlx::Error) -> Verdict {
    Verdict::of(error, classify)
}

fn classify(error: &dyn DatabaseError) -> Class {
    let code = error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or(0);
    let (call, kind, detail) = judge(code, error.message());
    // What it says of a statement (1) quotes the text, which holds no values.
    Class { call, kind, detail, code: format!("code {code}"), harmless: code & 0xff == 1 }
}

/// <https://www.sqlite.org/rescode.html>
fn judge(code: u32, message: &str) -> (Call, ErrorKind, &'static str) {
    use Call::{Again, Lost, Never, Taken};
    use ErrorKind::{Backend, Config, TooLarge, Unavailable};
    match (code, code & 0xff) {
        (1555 | 2067, _) => (Taken, Backend, ""),
        (_, 1) if is_missing(message) => (Never, Config, MIGRATE),
        (_, 5 | 6) => (Again, Unavailable, "the database was locked for too long"),
        (_, 4 | 9 | 17) => (Again, Unavailable, "the statement was broken off"),
        (_, 3 | 23) => (Never, Config, "the user may not do this"),
        (_, 8) => (Never, Config, "the database takes no writes"),
        (_, 10) => (Lost, Unavailable, "the file cannot be read or written"),
        (_, 13) => (Never, Unavailable, "the disk is full"),
        (_, 14) => (Never, Config, "the file cannot be opened"),
        (_, 18) => (Never, TooLarge, ""),
        (_, 26) => (Never, Config, "the file is not a database"),
        (_, 11) => (Never, Backend, "the file is damaged"),
        _ => (Never, Backend, ""),
    }
}

fn is_missing(message: &str) -> bool {
    ["no such table", "no such column", "has no column named"]
        .iter()
        .any(|words| message.contains(words))
}
