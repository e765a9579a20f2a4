//! A database for one test.

use std::error::Error;

use session_sql::{Engine, SqlStore};
use tempfile::TempDir;
use test_servers::sql::{Options, Server};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The servers that are installed, or why they did not start.
pub(crate) struct Servers {
    mariadb: Started,
    mysql: Started,
    postgres: Started,
}

type Started = std::result::Result<Server, String>;

impl Servers {
    pub(crate) async fn start() -> Self {
        let (mariadb, mysql, postgres) =
            tokio::join!(start(Engine::MariaDb), start(Engine::MySql), start(Engine::Postgres));
        Self { mariadb, mysql, postgres }
    }

    fn server(&self, engine: Engine) -> Option<&Started> {
        match engine {
            Engine::MariaDb => Some(&self.mariadb),
            Engine::MySql => Some(&self.mysql),
            Engine::Postgres => Some(&self.postgres),
            _ => None,
        }
    }
}

/// Why an engine is not there.
pub(crate) fn missing(engine: Engine) -> Option<String> {
    let [mysql, postgres, sqlite] =
        [cfg!(feature = "mysql"), cfg!(feature = "postgres"), cfg!(feature = "sqlite")];
    let compiled = match engine {
        Engine::Postgres => postgres,
        Engine::Sqlite => sqlite,
        _ => mysql,
    };
    if !compiled {
        return Some("not compiled in".to_owned());
    }
    options(engine).and_then(|options| Server::missing(&options))
}

fn options(engine: Engine) -> Option<Options> {
    match engine {
        Engine::MariaDb => Some(Options::mariadb()),
        Engine::MySql => Some(Options::mysql()),
        Engine::Postgres => Some(Options::postgres()),
        _ => None,
    }
}

async fn start(engine: Engine) -> Started {
    let options = options(engine).ok_or("not a server")?;
    match missing(engine) {
        Some(reason) => Err(reason),
        None => Server::start(&options).await.map_err(|error| error.to_string()),
    }
}

/// What a user may do in a database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    OnlyRows,
    AndCreate,
}

/// An empty database.
pub(crate) struct Place<'a> {
    engine: Engine,
    url: String,
    on: On<'a>,
}

enum On<'a> {
    Server(&'a Server, String),
    File(TempDir),
}

impl<'a> Place<'a> {
    pub(crate) async fn new(engine: Engine, servers: &'a Servers, name: &str) -> Result<Self> {
        let Some(server) = servers.server(engine) else {
            let directory = tempfile::tempdir()?;
            let url = format!("sqlite:{}", directory.path().join("sessions.db").display());
            return Ok(Self { engine, url, on: On::File(directory) });
        };
        let server = server.as_ref().map_err(Clone::clone)?;
        let url = server.database(name).await?;
        Ok(Self { engine, url, on: On::Server(server, name.to_owned()) })
    }

    pub(crate) async fn open(&self) -> session_core::Result<SqlStore> {
        SqlStore::open(&self.url).await
    }

    pub(crate) fn url_with(&self, query: &str) -> String {
        format!("{}?{query}", self.url)
    }

    /// Runs statements, as somebody who may do everything.
    pub(crate) async fn execute(&self, sql: &str) -> Result {
        match &self.on {
            On::Server(server, database) => server.query_in(database, sql).await.map(drop)?,
            On::File(directory) => execute_in(directory, sql).await?,
        }
        Ok(())
    }

    /// Makes a user, and returns his URL.
    pub(crate) async fn user(&self, name: &str, rights: Rights) -> Result<String> {
        let On::Server(server, database) = &self.on else { return Err("no users".into()) };
        let create = rights == Rights::AndCreate;
        let sql = if self.engine == Engine::Postgres {
            let create = if create { "CREATE" } else { "USAGE" };
            format!(
                "CREATE ROLE {name} LOGIN PASSWORD 'pw'; REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
                 GRANT CONNECT ON DATABASE {database} TO {name}; \
                 GRANT USAGE, {create} ON SCHEMA public TO {name}"
            )
        } else {
            let create = if create { ", CREATE" } else { "" };
            format!(
                "CREATE USER {name} IDENTIFIED BY 'pw'; \
                 GRANT SELECT, INSERT, UPDATE, DELETE{create} ON {database}.* TO {name}"
            )
        };
        self.execute(&sql).await?;
        let scheme = if self.engine == Engine::Postgres { "postgres" } else { "mysql" };
        Ok(format!("{scheme}://{name}:pw@{}/{database}", server.address()))
    }

    /// Lets a user at the tables that are there.
    pub(crate) async fn allow_rows(&self, name: &str) -> Result {
        if self.engine == Engine::Postgres {
            let tables = "sessions, sessions_epochs";
            let sql = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {name}");
            self.execute(&sql).await?;
        }
        Ok(())
    }
}

async fn execute_in(directory: &TempDir, sql: &str) -> Result {
    #[cfg(feature = "sqlite")]
    {
        use sqlx::{AssertSqlSafe, ConnectOptions, Connection, sqlite::SqliteConnectOptions};
        let options = SqliteConnectOptions::new().filename(directory.path().join("sessions.db"));
        let mut connection = options.create_if_missing(true).connect().await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        connection.close().await?;
    }
    #[cfg(not(feature = "sqlite"))]
    std::fs::write(directory.path().join("sql"), sql)?;
    Ok(())
}
