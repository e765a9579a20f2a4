//! The way to the database: all that knows `sqlx`.
//!
//! A small pool of connections of its own (`sqlx`'s costs three round trips a statement), one statement
//! a call, each committed by itself: no transaction is held open.

mod connection;
mod fault;
#[cfg(feature = "mysql")]
mod mysql;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
mod retry;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::{fmt, sync::Arc, time::Duration};

use session_core::instant_after;
use tokio::time::{Instant, timeout};

#[cfg(feature = "php")]
pub(crate) use self::connection::{Wire, target};
pub(crate) use self::{connection::Feed, fault::Fault};
use self::{connection::Sharing, pool::Pool, retry::Limits};
pub(crate) use self::{connection::Target, fault::Verdict};
use crate::{
    SqlConfig,
    engine::Engine,
    statement::{Arg, Statement, Value},
};

/// Connections to one database.
pub(crate) struct Link {
    /// For all that writes, and for all else where there is no other.
    pool: Pool,
    /// For what only reads.
    readers: Option<Pool>,
    server: Server,
    limits: Limits,
}

/// What the server is, as it said when the link was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) engine: Engine,
    pub(crate) version: String,
    /// The longest statement that it takes, with its values, in bytes.
    pub(crate) max_packet: Option<usize>,
    /// Whether the time that a statement reads is that of its start, although it waited since.
    pub(crate) time_stands: bool,
}

/// What a statement said.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The rows that it returned.
    pub(crate) rows: Vec<Vec<Value>>,
    /// How many rows it matched, whether or not they changed by it. None when there is a row with
    /// the key already that it would insert.
    pub(crate) affected: u64,
    /// Whether it may have been carried out more than once.
    pub(crate) resent: bool,
    /// How long the last try took, without waiting for a connection.
    pub(crate) took: Duration,
}

impl Link {
    /// Connects.
    pub(crate) async fn open(config: &SqlConfig) -> Result<Self, Fault> {
        let target: Arc<dyn Target> = connection::target(config)?.into();
        let size = config.max_connections.max(1);
        let (size, readers) = match target.sharing() {
            Sharing::Any => (size, 0),
            Sharing::OneWrites => (1, size - 1),
            Sharing::OneForEver => (1, 0),
        };
        let pool = Pool::new(Arc::clone(&target), size, config);
        let readers = (readers > 0).then(|| Pool::new(target, readers, config));
        let limits = Limits {
            call: config.timeout,
            one_try: config.response_timeout,
            reply: connection::reply_limit(config.max_payload),
        };
        let server = retry::server(&pool, limits).await?;
        if server.time_stands {
            tracing::warn!(
                "the server runs with `sysdate-is-now`: a statement that waited for a row goes by the \
                 time before, so that a lease or a session may seem to last for longer than it does"
            );
        }
        Ok(Self { pool, readers, server, limits })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// What is said on a channel, where servers say something.
    pub(crate) fn news(&self, channel: &str) -> Option<News> {
        let says = self.server.engine == Engine::Postgres;
        let (target, channel) = (self.pool.target(), channel.to_owned());
        says.then(|| News { target, channel, connect_timeout: self.pool.connect_timeout() })
    }

    /// Whether the data ends with the link.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.pool.is_for_ever()
    }

    /// Runs the statements of a schema, which change no rows.
    pub(crate) async fn define(&self, text: &str) -> Result<(), Fault> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        retry::define(&self.pool, self.limits, &text).await
    }

    /// Runs a statement, with a value for each of its names in their order, within the time of a
    /// call. Cancel safe.
    pub(crate) async fn run(
        &self,
        statement: &Statement,
        values: &[Arg<'_>],
    ) -> Result<Answer, Fault> {
        self.run_until(instant_after(self.limits.call), statement, values).await
    }

    /// [Runs](Self::run) a statement until `deadline`, past which nothing is sent.
    pub(crate) async fn run_until(
        &self,
        deadline: Instant,
        statement: &Statement,
        values: &[Arg<'_>],
    ) -> Result<Answer, Fault> {
        let readers = self.readers.as_ref().filter(|_| statement.reads);
        let pool = readers.unwrap_or(&self.pool);
        retry::run(pool, self.limits, deadline, statement, values).await
    }
}

/// Where a server says what happens.
pub(crate) struct News {
    target: Arc<dyn Target>,
    channel: String,
    connect_timeout: Duration,
}

impl News {
    /// Begins to listen, on a connection of its own. None where no messages would come.
    pub(crate) async fn open(&self) -> Result<Option<Box<dyn Feed>>, Fault> {
        match timeout(self.connect_timeout, self.target.listen(&self.channel)).await {
            Ok(feed) => feed.map_err(Verdict::into_fault),
            Err(_) => Err(Fault::timeout("connecting took too long")),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("server", &self.server).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
