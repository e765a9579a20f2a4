//! A database for the suite: the store on it, and everything else that may be done to it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use session_conformance::{
    Backend, Damage, MovableClock, Namespace, RawAccess, SingleConnectionOpen, WriteCounter,
};
use session_core::{Error, ErrorKind, Key, Operation, Result, SessionStore};
use session_sql::{SqlConfig, SqlStoreBuilder};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use tempfile::TempDir;
use test_servers::sql::{Options, PgBouncer, PgBouncerOptions, Server, clock};
use tokio::sync::OnceCell;

use crate::writes::Log;

/// What is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    MariaDb,
    MySql,
    Postgres,
    /// With a clock of its own for each namespace.
    PostgresClock,
    /// Behind a pooler that gives every statement to another connection.
    PostgresBouncer,
    Sqlite,
}

/// A machine may be busy: no case is about how long the database takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Settings that a store must not depend on.
fn unfriendly(options: Options) -> Options {
    options
        .argument("sql_mode", "")
        .argument("character_set_server", "latin1")
        .argument("collation_server", "latin1_swedish_ci")
        .argument("default_time_zone", "+05:30")
        .argument("max_connections", "1000")
        .argument("general_log", "ON")
        .argument("general_log_file", "general.log")
}

impl Kind {
    fn options(self) -> Option<Options> {
        match self {
            Self::MariaDb => Some(unfriendly(Options::mariadb())),
            Self::MySql => Some(unfriendly(Options::mysql())),
            Self::Postgres | Self::PostgresClock | Self::PostgresBouncer => Some(
                Options::postgres()
                    .argument("max_connections", "400")
                    .argument("log_parameter_max_length", "0")
                    .argument("timezone", "Asia/Kolkata"),
            ),
            Self::Sqlite => None,
        }
    }

    /// Why it cannot be started here.
    pub(crate) fn missing(self) -> Option<String> {
        let server = self.options().and_then(|options| Server::missing(&options));
        let pooler = || (self == Self::PostgresBouncer).then(PgBouncer::missing).flatten();
        server.or_else(pooler)
    }

    fn is_postgres(self) -> bool {
        matches!(self, Self::Postgres | Self::PostgresClock | Self::PostgresBouncer)
    }
}

/// What was started.
#[derive(Debug)]
enum Database {
    /// With what stands before it, if anything does.
    Server(Box<Server>, Log, Option<Box<PgBouncer>>),
    File(TempDir),
}

impl Database {
    async fn start(kind: Kind) -> Result<Self> {
        let Some(options) = kind.options() else {
            return Ok(Self::File(tempfile::tempdir().map_err(failed)?));
        };
        let server = Server::start(&options).await.map_err(failed)?;
        let log = match kind {
            Kind::MariaDb | Kind::MySql => {
                let file = server.query("SELECT CONCAT(@@datadir, @@general_log_file)").await;
                Log::new(PathBuf::from(file.map_err(failed)?.trim()), &["Execute\t", "Execute "])
            }
            _ => Log::new(server.directory().join("log"), &["execute "]),
        };
        let bouncer = if kind == Kind::PostgresBouncer {
            let options = PgBouncerOptions::transaction()
                .max_prepared_statements(100)
                .setting("max_client_conn", "2000");
            Some(Box::new(PgBouncer::start(&server, &options).await.map_err(failed)?))
        } else {
            None
        };
        Ok(Self::Server(Box::new(server), log, bouncer))
    }

    /// For the store.
    fn url(&self) -> String {
        match self {
            Self::Server(server, _, Some(bouncer)) => bouncer.url(&server.url()),
            _ => self.direct(),
        }
    }

    fn direct(&self) -> String {
        match self {
            Self::Server(server, ..) => server.url(),
            Self::File(directory) => {
                format!("sqlite:{}", directory.path().join("sessions.db").display())
            }
        }
    }
}

/// A store under test.
#[derive(Debug)]
pub(crate) struct Lane {
    name: &'static str,
    kind: Kind,
    started: OnceCell<Database>,
}

impl Lane {
    pub(crate) fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, started: OnceCell::new() }
    }

    async fn started(&self) -> Result<&Database> {
        self.started.get_or_try_init(|| Database::start(self.kind)).await
    }

    async fn server(&self) -> Result<(&Server, &Log)> {
        match self.started().await? {
            Database::Server(server, log, _) => Ok((server, log)),
            Database::File(_) => {
                Err(Error::new(ErrorKind::Unsupported, "fixture", Operation::Open))
            }
        }
    }

    async fn url(&self, namespace: &Namespace) -> Result<String> {
        let database = self.started().await?;
        let mut url = format!("{}?session.table={namespace}", database.url());
        if self.kind == Kind::PostgresClock {
            clock::install(self.server().await?.0, namespace.as_str()).await.map_err(failed)?;
            url = format!("{url}&{}", clock::option(namespace.as_str()));
        }
        Ok(url)
    }

    async fn opened(
        &self,
        namespace: &Namespace,
        set: impl FnOnce(SqlStoreBuilder) -> SqlStoreBuilder + Send,
    ) -> Result<Arc<dyn SessionStore>> {
        let config = SqlConfig::from_url(&self.url(namespace).await?)?;
        let builder = SqlStoreBuilder::from(config);
        let patient =
            builder.connect_timeout(PATIENCE).response_timeout(PATIENCE).timeout(PATIENCE * 2);
        let store = set(patient).open().await?;
        store.migrate().await?;
        Ok(Arc::new(store))
    }

    /// A connection past the store.
    async fn direct(&self, namespace: &Namespace) -> Result<Direct> {
        let url = match self.kind {
            Kind::PostgresClock => {
                format!("{}?{}", self.started().await?.direct(), clock::option(namespace.as_str()))
            }
            _ => self.started().await?.direct(),
        };
        let connection = AnyConnection::connect(&url).await.map_err(failed)?;
        Ok(Direct { connection, is_postgres: self.kind.is_postgres() })
    }
}

pub(crate) fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Backend, "fixture", Operation::Open).with_source(error)
}

/// A connection past the store.
struct Direct {
    connection: AnyConnection,
    is_postgres: bool,
}

impl Direct {
    async fn execute(&mut self, sql: String) -> Result<()> {
        let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut self.connection).await;
        done.map(drop).map_err(failed)
    }

    fn literal(&self, bytes: &[u8]) -> String {
        let hex = HEXLOWER.encode(bytes);
        if self.is_postgres { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") }
    }

    /// All that a table has, a piece for each row.
    async fn rows(&mut self, table: &str, columns: &[&str]) -> Result<Vec<Vec<u8>>> {
        let list = columns.join(", ");
        let sql = AssertSqlSafe(format!("SELECT {list} FROM {table}"));
        let rows = sqlx::query(sql).fetch_all(&mut self.connection).await.map_err(failed)?;
        let piece = |row: &sqlx::any::AnyRow| {
            let bytes = (0..columns.len()).map(|n| row.try_get::<Option<Vec<u8>>, _>(n));
            let bytes: Result<Vec<_>, _> = bytes.collect();
            Ok(bytes.map_err(failed)?.into_iter().flatten().flatten().collect())
        };
        rows.iter().map(piece).collect()
    }
}

#[async_trait]
impl Backend for Lane {
    fn name(&self) -> &str {
        self.name
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        self.opened(namespace, |builder| builder).await
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        let mut direct = self.direct(namespace).await?;
        for table in [format!("{namespace}"), format!("{namespace}_epochs")] {
            direct.execute(format!("DROP TABLE IF EXISTS {table}")).await?;
        }
        Ok(())
    }

    async fn server_version(&self) -> Option<String> {
        let mut direct = self.direct(&Namespace::fresh().ok()?).await.ok()?;
        let version = match self.kind {
            Kind::Sqlite => "SELECT 'SQLite ' || sqlite_version()",
            kind if kind.is_postgres() => "SELECT version()",
            _ => "SELECT CONCAT('MySQL ', version())",
        };
        let row = sqlx::query(version).fetch_one(&mut direct.connection).await.ok()?;
        row.try_get(0).ok()
    }

    fn clock(&self) -> Option<&dyn MovableClock> {
        (self.kind == Kind::PostgresClock).then_some(self)
    }

    fn write_counter(&self) -> Option<&dyn WriteCounter> {
        (self.kind != Kind::Sqlite).then_some(self)
    }

    fn raw(&self) -> Option<&dyn RawAccess> {
        Some(self)
    }

    fn single_connection(&self) -> Option<&dyn SingleConnectionOpen> {
        Some(self)
    }
}

#[async_trait]
impl MovableClock for Lane {
    async fn advance(&self, namespace: &Namespace, by: Duration) -> Result<()> {
        clock::advance(self.server().await?.0, namespace.as_str(), by).await.map_err(failed)
    }

    async fn step_back(&self, namespace: &Namespace, by: Duration) -> Result<()> {
        clock::step_back(self.server().await?.0, namespace.as_str(), by).await.map_err(failed)
    }
}

#[async_trait]
impl WriteCounter for Lane {
    async fn writes(&self, namespace: &Namespace) -> Result<u64> {
        self.server().await?.1.writes(namespace.as_str()).map_err(failed)
    }
}

#[async_trait]
impl RawAccess for Lane {
    async fn damage(&self, namespace: &Namespace, key: &Key, damage: Damage) -> Result<()> {
        let mut direct = self.direct(namespace).await?;
        let digest = direct.literal(key.digest().as_bytes());
        let found = format!("{namespace} WHERE digest = {digest}");
        for mut data in direct.rows(&found, &["data"]).await? {
            let middle = data.len() / 2;
            match damage {
                Damage::Truncated => data.truncate(middle),
                _ => data.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1),
            }
            let data = direct.literal(&data);
            let set = format!("UPDATE {namespace} SET data = {data} WHERE digest = {digest}");
            direct.execute(set).await?;
        }
        Ok(())
    }

    async fn dump(&self, namespace: &Namespace) -> Result<Vec<Vec<u8>>> {
        let mut direct = self.direct(namespace).await?;
        let columns = ["digest", "commits", "holder", "principal", "data"];
        let mut items = direct.rows(namespace.as_str(), &columns).await?;
        items.extend(direct.rows(&format!("{namespace}_epochs"), &["principal"]).await?);
        Ok(items)
    }
}

#[async_trait]
impl SingleConnectionOpen for Lane {
    async fn open_single(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        self.opened(namespace, |builder| builder.max_connections(1)).await
    }
}
