//! The server, or the file, that everything runs on.

use tempfile::TempDir;
use test_servers::sql::{Options as Settings, Server, Statements};

use super::Engine;
use crate::measure::{Error, Result};

/// A server that caches what is measured, as one that people run does.
const MYSQL: &[(&str, &str)] = &[("innodb-buffer-pool-size", "512M"), ("max-connections", "300")];
const MARIADB: &[(&str, &str)] = &[("innodb-log-file-size", "256M")];
const ORACLE: &[(&str, &str)] = &[("innodb-redo-log-capacity", "512M")];
const POSTGRES: &[(&str, &str)] =
    &[("shared_buffers", "512MB"), ("max_connections", "300"), ("max_wal_size", "2GB")];

/// Where everything runs.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) engine: Engine,
    at: At,
}

#[derive(Debug)]
enum At {
    Server(Box<Server>),
    File(TempDir),
}

impl Place {
    /// A place for measuring; one that is `counted` tells what clients have it do, which costs time.
    pub(crate) async fn start(engine: Engine, durable: bool, counted: bool) -> Result<Self> {
        let Some(flavor) = engine.flavor() else {
            return Ok(Self { engine, at: At::File(tempfile::tempdir()?) });
        };
        let mut settings = Settings::new(flavor);
        if durable {
            settings = settings.durable();
        }
        let quiet = ("log_statement", "none");
        let own = match engine {
            Engine::MariaDb => [MYSQL, MARIADB].concat(),
            Engine::MySql => [MYSQL, ORACLE].concat(),
            _ if counted => POSTGRES.to_vec(),
            _ => [POSTGRES, &[quiet]].concat(),
        };
        for (name, value) in own {
            settings = settings.argument(name, value);
        }
        let at = At::Server(Server::start(&settings).await?.into());
        Ok(Self { engine, at })
    }

    /// The database as our store reads it.
    pub(crate) fn url(&self) -> String {
        match &self.at {
            At::Server(server) => server.url(),
            At::File(folder) => format!("sqlite:{}", folder.path().join("bench.db").display()),
        }
    }

    /// The server, where there is one.
    pub(crate) fn server(&self) -> Option<&Server> {
        match &self.at {
            At::Server(server) => Some(server),
            At::File(_) => None,
        }
    }

    pub(crate) fn describe(&self, durable: bool) -> Result<String> {
        let Some(flavor) = self.engine.flavor() else {
            return Ok("SQLite in the process, write-ahead log, synchronous=normal".to_owned());
        };
        let care = if durable {
            "every commit is flushed to the disk"
        } else {
            "no commit waits for the disk"
        };
        Ok(format!("{} {}, on this machine, {care}", flavor.name(), flavor.version()?))
    }

    pub(crate) async fn statements(&self) -> Result<Statements> {
        let server = self.server().ok_or_else(|| Error::from("nobody counts"))?;
        Ok(server.statements().await?)
    }
}
