//! Bare statements on the client crate of our store: on a connection, and through the crate's pool.

use std::{future::Future, str::FromStr};

use sqlx::{
    AssertSqlSafe, ConnectOptions, MySql, MySqlConnection, PgConnection, Pool, Postgres, Row,
    Sqlite, SqliteConnection,
    mysql::MySqlConnectOptions,
    pool::PoolOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::CONNECTIONS;
use crate::measure::Result;

/// What a statement takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    /// No bytes.
    Null,
}

/// What runs bare statements.
pub(super) trait Client: Sized + Send + 'static {
    /// So many of them to one database.
    fn open(url: &str, count: usize) -> impl Future<Output = Result<Vec<Self>>> + Send;

    /// Runs statements without values.
    fn define(&mut self, text: &str) -> impl Future<Output = Result<()>> + Send;

    /// The length of the bytes that a statement reads.
    fn read(
        &mut self,
        text: &'static str,
        digest: &[u8],
    ) -> impl Future<Output = Result<usize>> + Send;

    /// How many rows a statement wrote.
    fn write(
        &mut self,
        text: &'static str,
        payload: &[u8],
        deadline: i64,
        digest: &[u8],
    ) -> impl Future<Output = Result<u64>> + Send;

    /// The number that a statement answers.
    fn ask(
        &mut self,
        text: &'static str,
        number: i64,
        digest: &[u8],
    ) -> impl Future<Output = Result<i64>> + Send;

    /// How many rows a statement wrote that takes no payload.
    fn touch(
        &mut self,
        text: &'static str,
        deadline: i64,
        digest: &[u8],
    ) -> impl Future<Output = Result<u64>> + Send;

    /// The length of the bytes at the end of the row that a statement reads.
    fn fetch(
        &mut self,
        text: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<usize>> + Send;

    /// How many rows a statement wrote.
    fn execute(
        &mut self,
        text: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64>> + Send;
}

macro_rules! client {
    ($name:ty, $this:ident => $executor:expr, $open:item) => {
        impl Client for $name {
            $open

            async fn define(&mut self, text: &str) -> Result<()> {
                let $this = self;
                sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute($executor).await?;
                Ok(())
            }

            async fn read(&mut self, text: &'static str, digest: &[u8]) -> Result<usize> {
                let $this = self;
                let row = sqlx::query(text).bind(digest).fetch_one($executor).await?;
                Ok(row.try_get::<Vec<u8>, _>(0)?.len())
            }

            async fn write(
                &mut self,
                text: &'static str,
                payload: &[u8],
                deadline: i64,
                digest: &[u8],
            ) -> Result<u64> {
                let $this = self;
                let query = sqlx::query(text).bind(payload).bind(deadline).bind(digest);
                Ok(query.execute($executor).await?.rows_affected())
            }

            async fn ask(
                &mut self,
                text: &'static str,
                number: i64,
                digest: &[u8],
            ) -> Result<i64> {
                let $this = self;
                let query = sqlx::query(text).bind(number).bind(digest);
                Ok(query.fetch_one($executor).await?.try_get(0)?)
            }

            async fn touch(
                &mut self,
                text: &'static str,
                deadline: i64,
                digest: &[u8],
            ) -> Result<u64> {
                let $this = self;
                let query = sqlx::query(text).bind(deadline).bind(digest);
                Ok(query.execute($executor).await?.rows_affected())
            }

            async fn fetch(&mut self, text: &'static str, values: &[Value<'_>]) -> Result<usize> {
                let $this = self;
                let row = bound!(text, values).fetch_one($executor).await?;
                Ok(row.try_get::<Vec<u8>, _>(row.len() - 1)?.len())
            }

            async fn execute(&mut self, text: &'static str, values: &[Value<'_>]) -> Result<u64> {
                let $this = self;
                Ok(bound!(text, values).execute($executor).await?.rows_affected())
            }
        }
    };
}

macro_rules! bound {
    ($text:expr, $values:expr) => {
        $values.iter().fold(sqlx::query($text), |query, value| match *value {
            Value::Int(int) => query.bind(int),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::Null => query.bind(None::<&[u8]>),
        })
    };
}

macro_rules! connections {
    ($name:ty, $options:expr) => {
        client!($name, this => &mut *this,
            async fn open(url: &str, count: usize) -> Result<Vec<Self>> {
                let mut all = Vec::new();
                for _ in 0..count {
                    let options = $options(url)?.disable_statement_logging();
                    all.push(options.connect().await?);
                }
                Ok(all)
            }
        );
    };
}

macro_rules! pool {
    ($database:ty, $options:expr) => {
        client!(Pool<$database>, this => &*this,
            async fn open(url: &str, count: usize) -> Result<Vec<Self>> {
                let options = $options(url)?.disable_statement_logging();
                let most = u32::try_from(CONNECTIONS)?;
                let pool = PoolOptions::<$database>::new().max_connections(most);
                let pool = pool.connect_with(options).await?;
                Ok(vec![pool; count])
            }
        );
    };
}

connections!(MySqlConnection, MySqlConnectOptions::from_str);
connections!(PgConnection, PgConnectOptions::from_str);
connections!(SqliteConnection, sqlite);
pool!(MySql, MySqlConnectOptions::from_str);
pool!(Postgres, PgConnectOptions::from_str);
pool!(Sqlite, sqlite);

/// As our store opens it.
fn sqlite(url: &str) -> Result<SqliteConnectOptions> {
    let options = SqliteConnectOptions::from_str(url)?.create_if_missing(true);
    Ok(options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal))
}
