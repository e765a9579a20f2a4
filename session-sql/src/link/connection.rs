//! A connection, whatever the engine.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{Database, Either, Row, error::DatabaseError};

use super::{
    Answer, Server,
    fault::{Class, Fault, Verdict},
};
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
use crate::url::Dialect;
use crate::{
    SqlConfig,
    statement::{Arg, Statement, Value},
};

/// So many bytes of rows are read of one reply at least, before it counts as too large.
const REPLY: usize = 64 * 1024 * 1024;

/// The statements of a schema may take so long: an index of a large table is not made in a moment.
pub(super) const DEFINING: Duration = Duration::from_secs(60);

/// Where connections lead.
#[async_trait]
pub(crate) trait Target: Send + Sync {
    /// Connects, logs in, and sets the session up.
    async fn connect(&self) -> Result<Box<dyn Wire>, Verdict>;

    /// How connections are shared.
    fn sharing(&self) -> Sharing {
        Sharing::Any
    }

    /// Listens to a channel, on a connection of its own. None where no messages would come.
    async fn listen(&self, _channel: &str) -> Result<Option<Box<dyn Feed>>, Verdict> {
        Ok(None)
    }
}

/// Messages from a server.
#[async_trait]
pub(crate) trait Feed: Send {
    /// The next one; none when the connection is gone. Cancel safe.
    async fn next(&mut self) -> Option<String>;

    /// Asks the server for a sign of life.
    async fn lives(&mut self) -> bool;
}

/// How connections are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Each for anything.
    Any,
    /// One for all that write, and some for those that only read.
    OneWrites,
    /// One for all, for ever: the data goes with it.
    OneForEver,
}

/// A connection.
#[async_trait]
pub(crate) trait Wire: Send {
    /// Runs a statement. A reply with more bytes than `limit` is not read to its end.
    async fn run(
        &mut self,
        statement: &Statement,
        values: &[Arg<'_>],
        limit: usize,
    ) -> Result<Answer, Verdict>;

    /// Runs statements without values, for up to [`DEFINING`].
    async fn define(&mut self, text: &str) -> Result<(), Verdict>;

    /// Asks the server what it is.
    async fn server(&mut self) -> Result<Server, Verdict>;

    /// Asks the server for a sign of life.
    async fn ping(&mut self) -> Result<(), Verdict>;

    /// Says goodbye.
    async fn close(self: Box<Self>);

    /// Whether it can be used again after a statement whose answer nobody waited for.
    fn survives_cancellation(&self) -> bool {
        false
    }
}

/// The target of a configuration.
pub(crate) fn target(config: &SqlConfig) -> Result<Box<dyn Target>, Fault> {
    match config.dialect {
        #[cfg(feature = "mysql")]
        Dialect::MySql => Ok(Box::new(super::mysql::MySqlTarget::new(config)?)),
        #[cfg(feature = "postgres")]
        Dialect::Postgres => Ok(Box::new(super::postgres::PgTarget::new(config)?)),
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => Ok(Box::new(super::sqlite::SqliteTarget::new(config)?)),
        #[cfg(not(all(feature = "mysql", feature = "postgres", feature = "sqlite")))]
        dialect => {
            let feature = dialect.feature();
            let detail = format!("this needs the feature `{feature}` of the crate session-sql");
            Err(Fault::lasting(session_core::ErrorKind::Config, detail))
        }
    }
}

/// The fault of a URL that the driver does not understand. Its own words may quote the password.
pub(super) fn bad_url() -> Fault {
    let detail = "the URL of the database is not valid; in user and password, characters that \
                  mean something in a URL must be percent-encoded";
    Fault::lasting(session_core::ErrorKind::Config, detail)
}

/// The fault of a server that is too old.
pub(super) fn too_old(version: &str, oldest: &str) -> Verdict {
    let version: String = version.chars().filter(|c| !c.is_control()).take(40).collect();
    let detail = format!("the server is {version}; needed is {oldest} or newer");
    Verdict::Never(Fault::lasting(session_core::ErrorKind::Config, detail))
}

/// How many bytes of rows are read of one reply.
pub(super) fn reply_limit(max_payload: usize) -> usize {
    max_payload.saturating_mul(4).max(REPLY)
}

/// What an engine's rows and results hold.
pub(super) struct Reader<DB: Database> {
    pub(super) affected: fn(&DB::QueryResult) -> u64,
    pub(super) value: fn(&DB::Row, usize) -> Result<Value, sqlx::Error>,
    pub(super) classify: fn(&dyn DatabaseError) -> Class,
    /// Whether a reply is over with its first result, so that nobody need wait to hear that nothing comes
    /// any more.
    pub(super) ends_with_result: bool,
}

type Stream<'a, DB> = futures_util::stream::BoxStream<
    'a,
    Result<Either<<DB as Database>::QueryResult, <DB as Database>::Row>, sqlx::Error>,
>;

impl<DB: Database> Reader<DB> {
    /// Reads a reply to its end.
    pub(super) async fn read(
        &self,
        mut stream: Stream<'_, DB>,
        limit: usize,
    ) -> Result<Answer, Verdict> {
        let mut answer = Answer::default();
        let mut size = 0_usize;
        let verdict = |error| Verdict::of(error, self.classify);
        while let Some(part) = stream.try_next().await.map_err(verdict)? {
            match part {
                Either::Left(result) => {
                    answer.affected += (self.affected)(&result);
                    if self.ends_with_result {
                        break;
                    }
                }
                Either::Right(row) => {
                    let values: Result<Vec<Value>, _> =
                        (0..row.len()).map(|at| (self.value)(&row, at)).collect();
                    let values = values.map_err(verdict)?;
                    size = values.iter().fold(size, |size, value| size + weight(value));
                    if size > limit {
                        let detail = "the reply is larger than all that could be asked for";
                        let fault = Fault::lasting(session_core::ErrorKind::Backend, detail);
                        return Err(Verdict::Broken(fault));
                    }
                    answer.rows.push(values);
                }
            }
        }
        if !answer.rows.is_empty() {
            // The engines do not agree on what they count here.
            answer.affected = u64::try_from(answer.rows.len()).unwrap_or(u64::MAX);
        }
        Ok(answer)
    }
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Bytes(bytes) => size_of::<Value>() + bytes.len(),
        Value::Int(_) | Value::Null => size_of::<Value>(),
    }
}
