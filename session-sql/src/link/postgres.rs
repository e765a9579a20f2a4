//! PostgreSQL.

mod feed;
mod pooler;

use std::sync::{
    Arc, Once,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use session_core::ErrorKind;
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions, Connection, Decode, Executor, Row, Type,
    ValueRef,
    error::DatabaseError,
    postgres::{PgArguments, PgConnectOptions, PgConnection, PgQueryResult, PgRow, Postgres},
};

use super::{
    Answer, Server,
    connection::{DEFINING, Feed, Reader, Target, Wire, bad_url, too_old},
    fault::{Call, Class, Fault, MIGRATE, Verdict},
};
use crate::{
    SqlConfig,
    engine::Engine,
    statement::{Arg, Statement, Value},
};

/// A server, or a pooler in front of it.
///
/// PgBouncer keeps track of `application_name`, `client_encoding`, `DateStyle` and `TimeZone`, and
/// refuses other settings of a session, which come as `options`, unless its `ignore_startup_parameters`
/// names them. Then there is no time limit at the server: a `SET` in their place would stay behind on
/// a connection that others use next.
pub(super) struct PgTarget {
    options: PgConnectOptions,
    /// Without what a pooler may refuse.
    bare: PgConnectOptions,
    refused: AtomicBool,
    pooled: Once,
    untracked: Once,
}

impl PgTarget {
    /// What is set goes with logging in and costs no round trip. A statement that waits for a lock,
    /// or runs for long, is ended by the server a little before this side gives up on it.
    pub(super) fn new(config: &SqlConfig) -> Result<Self, Fault> {
        let bare: PgConnectOptions = config.url.parse().map_err(|_quotes_it| bad_url())?;
        let mut bare = bare.extra_float_digits(None).disable_statement_logging();
        if bare.get_application_name().is_none() {
            bare = bare.application_name("session-sql");
        }
        let limit = config.response_timeout.mul_f64(0.9).as_millis().max(1).to_string();
        let options = bare.clone().options([
            ("statement_timeout", limit.as_str()),
            ("lock_timeout", limit.as_str()),
            ("default_transaction_isolation", "read committed"),
        ]);
        Ok(Self {
            options,
            bare,
            refused: AtomicBool::new(false),
            pooled: Once::new(),
            untracked: Once::new(),
        })
    }

    /// A connection, and whether its session of the server is its own.
    async fn log_in(&self) -> Result<(PgConnection, bool), sqlx::Error> {
        if !self.refused.load(Ordering::Relaxed) {
            let (options, mark) = pooler::marked(&self.options);
            match options.connect().await {
                Ok(mut connection) => {
                    let direct = pooler::is_direct(&mut connection, &mark).await?;
                    return Ok((connection, direct));
                }
                Err(error) if refuses_options(&error) => {
                    self.refused.store(true, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
        Ok((self.bare.connect().await?, false))
    }

    /// A pooler may give every statement to another session of the server.
    async fn set_up(&self) -> Result<PgWire, sqlx::Error> {
        let (mut connection, direct) = self.log_in().await?;
        if direct {
            return Ok(PgWire { connection, prepares: true });
        }
        self.pooled.call_once(|| {
            tracing::warn!(
                "there is a pooler, which takes no `options`: statements have no time limit at the server"
            );
        });
        let prepares = pooler::tracks_statements(&mut connection).await?;
        if !prepares {
            self.untracked.call_once(|| {
                tracing::info!("statements are not prepared: the pooler keeps no track of them");
            });
        }
        Ok(PgWire { connection, prepares })
    }
}

#[async_trait]
impl Target for PgTarget {
    async fn connect(&self) -> Result<Box<dyn Wire>, Verdict> {
        let wire = self.set_up().await.map_err(|error| Verdict::of_login(error, verdict))?;
        Ok(Box::new(wire))
    }

    async fn listen(&self, channel: &str) -> Result<Option<Box<dyn Feed>>, Verdict> {
        if self.refused.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let feed = feed::open(&self.options, channel).await;
        let feed = feed.map_err(|error| Verdict::of_login(error, verdict))?;
        Ok(feed.map(|feed| Box::new(feed) as _))
    }
}

/// PgBouncer's words, unless it is told to ignore them.
fn refuses_options(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| {
        error.code().as_deref() == Some("08P01") && error.message().contains("startup parameter")
    })
}

struct PgWire {
    connection: PgConnection,
    /// Whether statements are prepared. Else their values stand in their texts.
    prepares: bool,
}

#[async_trait]
impl Wire for PgWire {
    async fn run(
        &mut self,
        statement: &Statement,
        values: &[Arg<'_>],
        limit: usize,
    ) -> Result<Answer, Verdict> {
        if !self.prepares {
            let query = sqlx::raw_sql(AssertSqlSafe(pooler::with_values(&statement.text, values)));
            return READER.read(self.connection.fetch_many(query), limit).await;
        }
        let query =
            sqlx::query_with(AssertSqlSafe(Arc::clone(&statement.text)), arguments(values)?);
        READER.read(self.connection.fetch_many(query), limit).await
    }

    async fn define(&mut self, text: &str) -> Result<(), Verdict> {
        // For this text, which is one transaction. Who waits for a lock on a table holds up all that
        // come after, so that limit stays.
        let millis = DEFINING.mul_f64(0.9).as_millis();
        let text = format!("SET LOCAL statement_timeout = {millis}; {text}");
        let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut self.connection).await;
        done.map(drop).map_err(verdict)
    }

    async fn server(&mut self) -> Result<Server, Verdict> {
        let ask = sqlx::raw_sql("SHOW server_version");
        let row = ask.fetch_one(&mut self.connection).await.map_err(verdict)?;
        let version: String = row.try_get_unchecked(0).map_err(verdict)?;
        let major = version.split(|c: char| !c.is_ascii_digit()).next().map(str::parse::<u32>);
        if !matches!(major, Some(Ok(12..))) {
            return Err(too_old(&version, "PostgreSQL 12"));
        }
        Ok(Server { engine: Engine::Postgres, version, max_packet: None, time_stands: false })
    }

    async fn ping(&mut self) -> Result<(), Verdict> {
        self.connection.ping().await.map_err(verdict)
    }

    async fn close(self: Box<Self>) {
        drop(self.connection.close().await);
    }
}

fn arguments(values: &[Arg<'_>]) -> Result<PgArguments, Verdict> {
    let mut arguments = PgArguments::default();
    arguments.reserve(values.len(), values.iter().map(|value| value.weight()).sum());
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

const READER: Reader<Postgres> =
    Reader { affected: PgQueryResult::rows_affected, value, classify, ends_with_result: false };

fn value(row: &PgRow, at: usize) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(at)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let (long, int, short, bytes) = {
        let info = raw.type_info();
        (
            <i64 as Type<Postgres>>::compatible(&info),
            <i32 as Type<Postgres>>::compatible(&info),
            <i16 as Type<Postgres>>::compatible(&info),
            <Vec<u8> as Type<Postgres>>::compatible(&info),
        )
    };
    let value = if long || int || short {
        <i64 as Decode<Postgres>>::decode(raw).map(Value::Int)
    } else if bytes {
        <Vec<u8> as Decode<Postgres>>::decode(raw).map(Value::Bytes)
    } else {
        raw.as_bytes().map(|bytes| Value::Bytes(bytes.to_vec()))
    };
    value.map_err(sqlx::Error::Decode)
}

fn verdict(error: sqlx::Error) -> Verdict {
    Verdict::of(error, classify)
}

fn classify(error: &dyn DatabaseError) -> Class {
    let state = error.code().unwrap_or_default();
    let (call, kind, detail) = judge(&state);
    Class { call, kind, detail, code: format!("SQLSTATE {state}"), harmless: is_harmless(&state) }
}

/// Errors whose messages name users, tables, columns, or quote the statement, which holds no values.
fn is_harmless(state: &str) -> bool {
    matches!(state, "42501" | "42601" | "42703" | "42883" | "42P01" | "3D000" | "3F000" | "25006")
        || state.starts_with("28")
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn judge(state: &str) -> (Call, ErrorKind, &'static str) {
    use Call::{Again, Elsewhere, Lost, Never, Stale, Taken};
    use ErrorKind::{Backend, Config, Timeout, TooLarge, Unavailable};
    match state {
        // The latter two where two define the same thing at once.
        "23505" | "42710" | "42P07" => (Taken, Backend, ""),
        "40001" | "40P01" => (Again, Unavailable, "statements stood in each other's way"),
        "55P03" => (Again, Timeout, "a row was locked for too long"),
        "57014" => (Again, Timeout, "the server broke the statement off"),
        // A statement that the server no longer has, or has of another, or that its tables have changed
        // under.
        "26000" | "42P05" | "0A000" => {
            (Stale, Unavailable, "the statement had to be prepared anew")
        }
        "40003" => (Lost, Unavailable, "the server does not know what has come of it"),
        "57P01" | "57P02" | "57P05" => (Lost, Unavailable, "the server broke it off"),
        "57P03" => (Elsewhere, Unavailable, "the server is not ready"),
        "25006" => (Elsewhere, Unavailable, "the server takes no writes"),
        "53300" => (Elsewhere, Unavailable, "the server has too many connections"),
        "53000" | "53100" | "53200" => (Never, Unavailable, "the server's disk or memory is full"),
        "3D000" | "57P04" => (Never, Config, "there is no such database"),
        "42501" => (Never, Config, "the user may not do this"),
        "42P01" | "42703" | "3F000" => (Never, Config, MIGRATE),
        "54000" => (Never, TooLarge, "larger than the server takes"),
        _ if state.starts_with("28") => {
            (Never, Config, "the server refuses the user, the password or the database")
        }
        _ if state.starts_with("08") || state.starts_with("58") => {
            (Lost, Unavailable, "the connection failed")
        }
        _ => (Never, Backend, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_done_is_not_taken_for_refused() {
        for state in ["40003", "08000", "08003", "08006", "08007", "08P01"] {
            assert_eq!(judge(state).0, Call::Lost, "{state}");
        }
    }
}
