//! Prepared statements through sqlx and its pool of 16 connections.

use std::str::FromStr;

use sqlx::{
    ConnectOptions, MySql, Pool, Postgres, Row, Sqlite,
    mysql::MySqlConnectOptions,
    pool::PoolOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use time::OffsetDateTime;

use super::{CONNECTIONS, LIFE, Values};
use crate::measure::Result;

/// One engine's pool, with its statements.
pub(crate) struct Table<P> {
    pool: P,
    texts: &'static Texts,
}

struct Texts {
    define: &'static str,
    get: &'static str,
    add: &'static str,
    set: &'static str,
    extend: &'static str,
    delete: &'static str,
}

const MYSQL: Texts = Texts {
    define: "CREATE TABLE IF NOT EXISTS bare (name VARBINARY(64) NOT NULL PRIMARY KEY, \
             deadline BIGINT NOT NULL, data LONGBLOB NOT NULL, KEY (deadline))",
    get: "SELECT data FROM bare WHERE name = ?",
    add: "INSERT INTO bare (data, deadline, name) VALUES (?, ?, ?)",
    set: "UPDATE bare SET data = ?, deadline = ? WHERE name = ?",
    extend: "UPDATE bare SET deadline = ? WHERE name = ?",
    delete: "DELETE FROM bare WHERE name = ?",
};
const POSTGRES: Texts = Texts {
    define: "CREATE TABLE IF NOT EXISTS bare (name bytea NOT NULL PRIMARY KEY, \
             deadline bigint NOT NULL, data bytea NOT NULL); \
             CREATE INDEX IF NOT EXISTS bare_deadline ON bare (deadline)",
    get: "SELECT data FROM bare WHERE name = $1",
    add: "INSERT INTO bare (data, deadline, name) VALUES ($1, $2, $3)",
    set: "UPDATE bare SET data = $1, deadline = $2 WHERE name = $3",
    extend: "UPDATE bare SET deadline = $1 WHERE name = $2",
    delete: "DELETE FROM bare WHERE name = $1",
};
const SQLITE: Texts = Texts {
    define: "CREATE TABLE IF NOT EXISTS bare (name BLOB NOT NULL PRIMARY KEY, \
             deadline INTEGER NOT NULL, data BLOB NOT NULL); \
             CREATE INDEX IF NOT EXISTS bare_deadline ON bare (deadline)",
    ..MYSQL
};

pub(crate) async fn mysql(url: &str) -> Result<Table<Pool<MySql>>> {
    let options = MySqlConnectOptions::from_str(url)?.disable_statement_logging();
    Table::<Pool<MySql>>::open(pool::<MySql>(CONNECTIONS)?.connect_with(options).await?, &MYSQL)
        .await
}

pub(crate) async fn postgres(url: &str) -> Result<Table<Pool<Postgres>>> {
    let options = PgConnectOptions::from_str(url)?.disable_statement_logging();
    Table::<Pool<Postgres>>::open(
        pool::<Postgres>(CONNECTIONS)?.connect_with(options).await?,
        &POSTGRES,
    )
    .await
}

/// As our store opens it; only one connection writes at a time anyway.
pub(crate) async fn sqlite(url: &str) -> Result<Table<Pool<Sqlite>>> {
    let options = SqliteConnectOptions::from_str(url)?.create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal).disable_statement_logging();
    let options = options.synchronous(SqliteSynchronous::Normal);
    Table::<Pool<Sqlite>>::open(pool::<Sqlite>(1)?.connect_with(options).await?, &SQLITE).await
}

fn pool<D: sqlx::Database>(connections: usize) -> Result<PoolOptions<D>> {
    let options = PoolOptions::new().max_connections(u32::try_from(connections)?);
    // A ping before each statement would not be the least there is to do.
    Ok(options.test_before_acquire(false))
}

fn deadline() -> i64 {
    (OffsetDateTime::now_utc().unix_timestamp() + i64::from(LIFE)) * 1000
}

macro_rules! table {
    ($database:ty) => {
        impl Table<Pool<$database>> {
            async fn open(pool: Pool<$database>, texts: &'static Texts) -> Result<Self> {
                sqlx::raw_sql(texts.define).execute(&pool).await?;
                Ok(Self { pool, texts })
            }
        }

        impl Values for Table<Pool<$database>> {
            async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
                let query = sqlx::query(self.texts.get).bind(name.as_bytes());
                let row = query.fetch_optional(&self.pool).await?;
                Ok(row.map(|row| row.try_get(0)).transpose()?)
            }

            async fn add(&self, name: &str, value: &[u8]) -> Result<()> {
                let query = sqlx::query(self.texts.add).bind(value).bind(deadline());
                query.bind(name.as_bytes()).execute(&self.pool).await?;
                Ok(())
            }

            async fn set(&self, name: &str, value: &[u8]) -> Result<()> {
                let query = sqlx::query(self.texts.set).bind(value).bind(deadline());
                query.bind(name.as_bytes()).execute(&self.pool).await?;
                Ok(())
            }

            async fn extend(&self, name: &str) -> Result<()> {
                let query = sqlx::query(self.texts.extend).bind(deadline());
                query.bind(name.as_bytes()).execute(&self.pool).await?;
                Ok(())
            }

            async fn delete(&self, name: &str) -> Result<()> {
                sqlx::query(self.texts.delete).bind(name.as_bytes()).execute(&self.pool).await?;
                Ok(())
            }
        }
    };
}

table!(MySql);
table!(Postgres);
table!(Sqlite);
