//! The layout of Symfony's PDO handler.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use session_conformance::{Backend, Layout, Namespace, Suite};
use session_core::{Result, SessionStore};
use session_sql::{
    SqlConfig,
    php::{PhpLayout, PhpLock, PhpStore},
};
use tempfile::TempDir;
use test_servers::sql::{Flavor, Options, Server};
use tokio::sync::{Mutex, OnceCell};

use crate::lane::{PATIENCE, failed};

/// Symfony's default everywhere, and no locks. Names of advisory locks are those of a server or a database, so
/// that namespaces would not be apart.
pub(crate) fn lanes(suite: Suite) -> Suite {
    [
        ("mariadb-pdo", Some(Flavor::MariaDb), PhpLock::Transactional),
        ("postgres-pdo", Some(Flavor::Postgres), PhpLock::Transactional),
        ("sqlite-pdo", None, PhpLock::None),
        ("sqlite-pdo-transactional", None, PhpLock::Transactional),
    ]
    .into_iter()
    .fold(suite, |suite, (name, flavor, lock)| match flavor.and_then(Flavor::missing) {
        None => suite.backend(Lane::new(name, flavor, lock)),
        Some(reason) => suite.missing(name, reason),
    })
}

#[derive(Debug)]
struct Lane {
    name: &'static str,
    /// None for SQLite.
    flavor: Option<Flavor>,
    lock: PhpLock,
    server: OnceCell<Server>,
    files: OnceCell<TempDir>,
    /// The namespaces that have a table.
    made: Mutex<HashSet<String>>,
}

impl Lane {
    fn new(name: &'static str, flavor: Option<Flavor>, lock: PhpLock) -> Self {
        let (server, files) = (OnceCell::new(), OnceCell::new());
        Self { name, flavor, lock, server, files, made: Mutex::default() }
    }

    /// What a case leaves locked holds up whoever removes its table; so tables go with the server.
    async fn url(&self, namespace: &Namespace) -> Result<String> {
        if let Some(flavor) = self.flavor {
            // A lock is a connection while it is held, and many cases run at once.
            let options = Options::new(flavor).argument("max_connections", "1000");
            let start = || async { Server::start(&options).await.map_err(failed) };
            let url = self.server.get_or_try_init(start).await?.url();
            // The index has the same name for every table. On PostgreSQL it is one of the schema.
            let table = match flavor {
                Flavor::Postgres => format!("{namespace}.sessions"),
                _ => namespace.to_string(),
            };
            return Ok(format!("{url}?session.table={table}"));
        }
        // With a table each they could share a file, but for the name of its index.
        let make = || async { tempfile::tempdir().map_err(failed) };
        let files = self.files.get_or_try_init(make).await?;
        Ok(format!("sqlite:{}", files.path().join(namespace.as_str()).display()))
    }
}

#[async_trait]
impl Backend for Lane {
    fn name(&self) -> &str {
        self.name
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        let mut config = SqlConfig::from_url(&self.url(namespace).await?)?;
        config.connect_timeout = PATIENCE;
        config.response_timeout = PATIENCE;
        config.timeout = PATIENCE * 2;
        let store = PhpStore::open(PhpLayout::new(config).with_lock(self.lock)).await?;
        let mut made = self.made.lock().await;
        if made.insert(namespace.to_string()) {
            if let (Some(Flavor::Postgres), Some(server)) = (self.flavor, self.server.get()) {
                let schema =
                    format!("CREATE SCHEMA {namespace}; GRANT ALL ON SCHEMA {namespace} TO PUBLIC");
                server.query(&schema).await.map_err(failed)?;
            }
            store.create_table().await?;
        }
        Ok(Arc::new(store))
    }

    async fn server_version(&self) -> Option<String> {
        let flavor = self.flavor?;
        Some(format!("{} {}", flavor.name(), flavor.version().ok()?))
    }

    fn layout(&self) -> Layout {
        Layout::Foreign
    }

    fn longest_id(&self) -> usize {
        128
    }
}
