//! What most tests start from.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use session_core::{
    Key, KeyHasher, LockRequest, OpToken, ReadOptions, Record, Result, Revision, SessionId,
    SessionStore, Write,
};
use session_sql::{SqlStore, SqlStoreBuilder};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use tempfile::TempDir;
use test_servers::sql::{Options, Server};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
/// More than any step takes: a hang is a failure, slowness is not.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// What is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    MariaDb,
    MySql,
    Postgres,
    Sqlite,
}

impl Kind {
    pub(crate) const ALL: &[Self] = &[Self::MariaDb, Self::MySql, Self::Postgres, Self::Sqlite];
    pub(crate) const SERVERS: &[Self] = &[Self::MariaDb, Self::MySql, Self::Postgres];
    pub(crate) const POSTGRES: &[Self] = &[Self::Postgres];
    pub(crate) const MYSQLS: &[Self] = &[Self::MariaDb, Self::MySql];

    pub(crate) fn name(self) -> &'static str {
        self.words()[0]
    }

    pub(crate) fn words(self) -> &'static [&'static str] {
        match self {
            Self::MariaDb => &["mariadb"],
            Self::MySql => &["mysql"],
            Self::Postgres => &["postgres"],
            Self::Sqlite => &["sqlite"],
        }
    }

    pub(crate) fn is_mysql(self) -> bool {
        matches!(self, Self::MariaDb | Self::MySql)
    }

    /// With settings that a store must not depend on; `None` where there is no server.
    pub(crate) fn options(self) -> Option<Options> {
        let mysql = |options: Options, collation: &str, charset: &str| {
            options
                .argument("sql_mode", "")
                .argument("character_set_server", charset)
                .argument("collation_server", collation)
                .argument("default_time_zone", "+05:30")
                .argument("transaction_isolation", "SERIALIZABLE")
                .argument("max_connections", "500")
        };
        match self {
            Self::MariaDb => Some(mysql(Options::mariadb(), "latin1_swedish_ci", "latin1")),
            Self::MySql => Some(mysql(Options::mysql(), "utf8mb4_0900_ai_ci", "utf8mb4")),
            Self::Postgres => Some(
                Options::postgres()
                    .argument("timezone", "America/New_York")
                    .argument("default_transaction_isolation", "serializable")
                    .argument("max_connections", "300"),
            ),
            Self::Sqlite => None,
        }
    }

    /// Why it cannot be started here.
    pub(crate) fn missing(self) -> Option<String> {
        self.options().and_then(|options| Server::missing(&options))
    }

    /// This text as bytes, in a statement.
    pub(crate) fn literal(self, bytes: &[u8]) -> String {
        let hex = data_encoding::HEXLOWER.encode(bytes);
        if self == Self::Postgres { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") }
    }

    /// The milliseconds of the server's clock, in a statement.
    pub(crate) fn now(self) -> &'static str {
        match self {
            Self::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
            Self::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            _ => "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
        }
    }
}

/// Servers that tests share, each started when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    shared: [OnceCell<Server>; 3],
    /// One test at a time, so that all that is counted is its own.
    counting: [Mutex<Option<Server>>; 3],
    databases: AtomicU64,
}

/// Where a test takes place.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) kind: Kind,
}

impl Ground {
    fn at(&self) -> usize {
        Kind::SERVERS.iter().position(|kind| *kind == self.kind).expect("a kind with servers")
    }

    /// The server that tests share.
    pub(crate) async fn server(&self) -> test_servers::Result<&Server> {
        let options = self.kind.options().expect("a kind with servers");
        self.fleet.shared[self.at()].get_or_try_init(|| Server::start(&options)).await
    }

    /// A server that nobody else uses at the same time.
    pub(crate) async fn counting(&self) -> test_servers::Result<Counting<'_>> {
        let mut server = self.fleet.counting[self.at()].lock().await;
        if server.is_none() {
            let mut options = self.kind.options().expect("a kind with servers");
            if self.kind == Kind::Postgres {
                options = options.argument("log_min_duration_statement", "0");
            }
            *server = Some(Server::start(&options).await?);
        }
        Ok(Counting(server))
    }

    /// A store on a database of its own, on the shared server.
    pub(crate) async fn world(&self) -> test_servers::Result<World> {
        self.world_with(|builder| builder).await
    }

    pub(crate) async fn world_with(
        &self,
        set: impl FnOnce(SqlStoreBuilder) -> SqlStoreBuilder,
    ) -> test_servers::Result<World> {
        let (url, database, directory) = if self.kind == Kind::Sqlite {
            let directory = tempfile::tempdir()?;
            let url = format!("sqlite:{}", directory.path().join("sessions.db").display());
            (url, String::new(), Some(directory))
        } else {
            let number = self.fleet.databases.fetch_add(1, Ordering::Relaxed);
            let database = format!("test_{number}");
            (self.server().await?.database(&database).await?, database, None)
        };
        let store = open(&url, set).await;
        Ok(World { kind: self.kind, url, database, store, _directory: directory })
    }
}

/// A server that nobody else uses at the same time.
pub(crate) struct Counting<'a>(MutexGuard<'a, Option<Server>>);

impl std::ops::Deref for Counting<'_> {
    type Target = Server;

    fn deref(&self) -> &Server {
        self.0.as_ref().expect("it was started")
    }
}

/// A store on a database of its own.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) kind: Kind,
    pub(crate) url: String,
    pub(crate) database: String,
    pub(crate) store: SqlStore,
    _directory: Option<TempDir>,
}

impl World {
    /// One more server of the fleet.
    pub(crate) async fn open(&self) -> SqlStore {
        open(&self.url, |builder| builder).await
    }

    /// A connection past the store.
    pub(crate) async fn direct(&self) -> Direct {
        Direct::to(&self.url).await
    }
}

/// A connection past the store.
#[derive(Debug)]
pub(crate) struct Direct(AnyConnection);

impl Direct {
    pub(crate) async fn to(url: &str) -> Self {
        Self(AnyConnection::connect(url).await.unwrap())
    }

    /// Runs statements without values.
    pub(crate) async fn run(&mut self, sql: &str) {
        self.try_run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub(crate) async fn try_run(&mut self, sql: &str) -> std::result::Result<(), sqlx::Error> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.0).await;
        done.map(drop)
    }

    /// The number that a statement finds.
    pub(crate) async fn number(&mut self, sql: &str) -> i64 {
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut self.0).await;
        row.unwrap_or_else(|error| panic!("{sql}: {error}")).get(0)
    }
}

pub(crate) async fn open(
    url: &str,
    set: impl FnOnce(SqlStoreBuilder) -> SqlStoreBuilder,
) -> SqlStore {
    // The machine may be busy: no test is about how long the database takes.
    let patient = SqlStore::builder(url).unwrap().connect_timeout(SOON).response_timeout(SOON);
    let store = set(patient.timeout(SOON)).open().await.unwrap();
    store.migrate().await.unwrap();
    store
}

/// Tells people.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
}

pub(crate) fn new_key() -> Key {
    KeyHasher::plain().key(&SessionId::generate().unwrap())
}

pub(crate) fn op() -> OpToken {
    OpToken::generate().unwrap()
}

/// Tries for `wait` to get a lock that lasts.
pub(crate) fn request(wait: Duration) -> LockRequest {
    LockRequest::new(op(), HOUR, wait)
}

pub(crate) fn write(payload: &[u8]) -> Write {
    Write::new(payload.to_vec(), HOUR)
}

pub(crate) async fn create(store: &SqlStore, key: &Key, payload: &[u8]) -> Revision {
    store.create(key, write(payload), op(), None).await.unwrap()
}

pub(crate) async fn load(store: &SqlStore, key: &Key) -> Result<Option<Record>> {
    store.load(key, ReadOptions::latest()).await
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(SOON, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}: not within {SOON:?}");
}
