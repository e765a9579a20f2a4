//! MySQL and MariaDB.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::ErrorKind;
use sqlx::Arguments as _;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Decode, Executor, Row, Type, ValueRef,
    error::DatabaseError,
    mysql::{
        MySql, MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlDatabaseError,
        MySqlQueryResult, MySqlRow,
    },
};

use super::{
    Answer, Server,
    connection::{Reader, Target, Wire, bad_url, too_old},
    fault::{Call, Class, Fault, MIGRATE, Verdict},
};
use crate::{
    SqlConfig,
    engine::Engine,
    statement::{Arg, Statement, Value},
};

pub(super) struct MySqlTarget {
    options: MySqlConnectOptions,
    session: Arc<str>,
}

impl MySqlTarget {
    pub(super) fn new(config: &SqlConfig) -> Result<Self, Fault> {
        let options: MySqlConnectOptions = config.url.parse().map_err(|_quotes_it| bad_url())?;
        // What the driver would set by a statement of its own.
        let options = options
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
            .disable_statement_logging();
        Ok(Self { options, session: session(config.response_timeout).into() })
    }
}

/// Sets the session up in one round trip.
///
/// A statement that waits for a lock, or runs for long, is ended by the server a little before this
/// side gives up on it. The server's own defaults do not matter: strict mode refuses what it would
/// cut short, and no gap is locked.
fn session(response_timeout: Duration) -> String {
    let limit = response_timeout.mul_f64(0.9);
    let (seconds, millis) = (limit.as_secs().max(1), limit.as_millis().max(1));
    let decimal = limit.as_secs_f64().max(0.001);
    format!(
        "SET autocommit = 1, sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
         time_zone = '+00:00', sql_safe_updates = 0, innodb_lock_wait_timeout = {seconds}, \
         lock_wait_timeout = {seconds} \
         /*!80000 , max_execution_time = {millis} */ \
         /*M!100600 , max_statement_time = {decimal:.3} */ ; \
         SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
    )
}

#[async_trait]
impl Target for MySqlTarget {
    async fn connect(&self) -> Result<Box<dyn Wire>, Verdict> {
        let mut wire = MySqlWire(self.options.connect().await.map_err(refusal)?);
        wire.define(&self.session).await?;
        Ok(Box::new(wire))
    }
}

struct MySqlWire(MySqlConnection);

#[async_trait]
impl Wire for MySqlWire {
    async fn run(
        &mut self,
        statement: &Statement,
        values: &[Arg<'_>],
        limit: usize,
    ) -> Result<Answer, Verdict> {
        let query =
            sqlx::query_with(AssertSqlSafe(Arc::clone(&statement.text)), arguments(values)?);
        READER.read(self.0.fetch_many(query), limit).await
    }

    async fn define(&mut self, text: &str) -> Result<(), Verdict> {
        let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut self.0).await;
        done.map(drop).map_err(verdict)
    }

    async fn server(&mut self) -> Result<Server, Verdict> {
        // MySQL has no variable that tells of `sysdate-is-now`.
        let ask = sqlx::raw_sql(
            "SELECT VERSION(), CAST(@@max_allowed_packet AS CHAR), SLEEP(0.001), \
             CAST(SYSDATE(6) = NOW(6) AS CHAR)",
        );
        let row = ask.fetch_one(&mut self.0).await.map_err(verdict)?;
        let text = |at: usize| row.try_get_unchecked::<String, _>(at).map_err(verdict);
        let (version, max_packet) = (text(0)?, text(1)?.parse().ok());
        let time_stands = text(3)? == "1";
        let (engine, version) = engine(&version)?;
        Ok(Server { engine, version, max_packet, time_stands })
    }

    async fn ping(&mut self) -> Result<(), Verdict> {
        self.0.ping().await.map_err(verdict)
    }

    async fn close(self: Box<Self>) {
        drop(self.0.close().await);
    }
}

/// The engine by what it calls its version, where it is new enough.
fn engine(version: &str) -> Result<(Engine, String), Verdict> {
    let maria = version.to_ascii_lowercase().contains("mariadb");
    let (engine, least, oldest) = if maria {
        (Engine::MariaDb, (10, 6), "MariaDB 10.6")
    } else {
        (Engine::MySql, (8, 0), "MySQL 8.0")
    };
    // MariaDB says so to clients that know no version with two digits.
    let version = version.trim_start_matches("5.5.5-");
    if numbers(version) < least {
        return Err(too_old(version, oldest));
    }
    Ok((engine, version.to_owned()))
}

/// The first two numbers of a version.
fn numbers(version: &str) -> (u32, u32) {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
    (next(), next())
}

fn arguments(values: &[Arg<'_>]) -> Result<MySqlArguments, Verdict> {
    let mut arguments = MySqlArguments::default();
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

const READER: Reader<MySql> =
    Reader { affected: MySqlQueryResult::rows_affected, value, classify, ends_with_result: false };

fn value(row: &MySqlRow, at: usize) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(at)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let (signed, unsigned) = {
        let info = raw.type_info();
        (<i64 as Type<MySql>>::compatible(&info), <u64 as Type<MySql>>::compatible(&info))
    };
    let value = if signed {
        <i64 as Decode<MySql>>::decode(raw).map(Value::Int)
    } else if unsigned {
        let int = <u64 as Decode<MySql>>::decode(raw);
        int.and_then(|int| Ok(Value::Int(int.try_into()?)))
    } else {
        <&[u8] as Decode<MySql>>::decode(raw).map(|bytes| Value::Bytes(bytes.to_vec()))
    };
    value.map_err(sqlx::Error::Decode)
}

/// Why there is no connection.
fn refusal(error: sqlx::Error) -> Verdict {
    if let sqlx::Error::Configuration(_) = error {
        let detail =
            "the server takes this password over an encrypted connection only: see `ssl-mode`";
        return Verdict::Never(Fault::lasting(ErrorKind::Config, detail));
    }
    Verdict::of_login(error, verdict)
}

fn verdict(error: sqlx::Error) -> Verdict {
    Verdict::of(error, classify)
}

fn classify(error: &dyn DatabaseError) -> Class {
    let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() else {
        let (kind, code) = (ErrorKind::Backend, String::new());
        return Class { call: Call::Never, kind, detail: "", code, harmless: false };
    };
    let number = error.number();
    let (call, kind, detail) = judge(number);
    let code = match error.code() {
        Some(state) => format!("error {number} ({state})"),
        None => format!("error {number}"),
    };
    Class { call, kind, detail, code, harmless: is_harmless(number) }
}

/// Errors whose messages name users, tables, columns, or quote the statement, which holds no values.
const fn is_harmless(number: u16) -> bool {
    matches!(
        number,
        1044 | 1045 | 1049 | 1054 | 1064 | 1142 | 1143 | 1146 | 1227 | 1290 | 1370 | 1698
    )
}

/// <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>,
/// <https://mariadb.com/docs/server/reference/error-codes>
const fn judge(number: u16) -> (Call, ErrorKind, &'static str) {
    use Call::{Again, Closed, Elsewhere, Lost, Never, Stale, Taken};
    use ErrorKind::{Backend, Config, Timeout, TooLarge, Unavailable};
    match number {
        1022 | 1062 | 1586 => (Taken, Backend, ""),
        // A deadlock, a cluster's refusal of a commit, a row that changed under a snapshot.
        1020 | 1213 | 3101 => (Again, Unavailable, "statements stood in each other's way"),
        1205 | 3572 => (Again, Timeout, "a row was locked for too long"),
        1969 | 3024 => (Again, Timeout, "the server broke the statement off"),
        // A statement that the server no longer has, or that its tables have changed under.
        1243 | 1615 => (Stale, Unavailable, "the statement had to be prepared anew"),
        1053 | 1317 | 1927 | 1152 | 1158..=1161 => (Lost, Unavailable, "the server broke it off"),
        1180 => (Lost, Unavailable, "the commit failed"),
        1792 | 1836 | 1290 => (Elsewhere, Unavailable, "the server takes no writes"),
        1047 | 3100 => (Elsewhere, Unavailable, "the server is not ready"),
        1040 | 1203 | 1226 => (Elsewhere, Unavailable, "the server has too many connections"),
        1129 => (Elsewhere, Unavailable, "the server has blocked this host"),
        1044 | 1045 | 1049 | 1130 | 1251 | 1698 | 1862 | 3118 | 3159 => {
            (Never, Config, "the server refuses the user, the password or the database")
        }
        1142 | 1143 | 1227 | 1370 => (Never, Config, "the user may not do this"),
        1051 | 1054 | 1146 => (Never, Config, MIGRATE),
        1406 => (Never, Config, "a column is too short for its value: see `check()`"),
        1665 => (Never, Config, "`binlog_format` must not be STATEMENT"),
        1461 => (Never, Unavailable, "the server has too many prepared statements"),
        1021 | 1114 => (Never, Unavailable, "the server's disk or table is full"),
        1153 => (Closed, TooLarge, "larger than `max_allowed_packet` of the server"),
        1118 | 1301 => (Never, TooLarge, "larger than `max_allowed_packet` of the server"),
        _ => (Never, Backend, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_what_the_version_says() {
        let known = [
            ("10.11.19-MariaDB-0+deb12u1", Engine::MariaDb),
            ("5.5.5-10.6.4-MariaDB", Engine::MariaDb),
            ("11.4.2-MariaDB-log", Engine::MariaDb),
            ("8.0.36", Engine::MySql),
            ("9.7.4-2", Engine::MySql),
        ];
        for (version, expected) in known {
            assert!(matches!(engine(version), Ok((engine, _)) if engine == expected), "{version}");
        }
    }

    #[test]
    fn a_commit_that_failed_may_have_been_made() {
        assert_eq!(judge(1180).0, Call::Lost);
    }

    #[test]
    fn a_server_that_is_too_old_is_refused() {
        for version in ["5.7.44-log", "10.5.27-MariaDB", "5.5.5-10.3.1-MariaDB", ""] {
            let Err(verdict) = engine(version) else { panic!("{version} is not refused") };
            let fault = verdict.into_fault();
            assert!(fault.kind() == ErrorKind::Config && !fault.passes(), "{fault:?}");
        }
    }
}
