//! The real servers that an example is driven on.

use tempfile::TempDir;
use test_servers::{
    dynamodb, memcached,
    redis::{Cluster, Options, Server},
    sql,
};
use tokio::runtime::Runtime;

use crate::Result;

/// A server, or the reason why it is not there.
type Started<T> = std::result::Result<T, String>;

/// One of each kind that the facade knows, without the files that every example begins with.
#[derive(Debug)]
pub(crate) struct Stores {
    dynamodb: Started<String>,
    memcached: Started<memcached::Server>,
    redis: Started<Server>,
    valkey: Started<Cluster>,
    mariadb: Started<sql::Server>,
    mysql: Started<sql::Server>,
    postgres: Started<sql::Server>,
    sqlite: TempDir,
    _runtime: Runtime,
}

impl Stores {
    /// Starts those that are installed.
    pub(crate) fn start() -> Result<Self> {
        let runtime = Runtime::new()?;
        let (dynamodb, memcached, redis, valkey, mariadb, mysql, postgres) =
            runtime.block_on(async {
                tokio::join!(
                    table(),
                    memcached(),
                    redis(),
                    cluster(),
                    database(sql::Options::mariadb()),
                    database(sql::Options::mysql()),
                    database(sql::Options::postgres()),
                )
            });
        let sqlite = tempfile::tempdir()?;
        Ok(Self {
            dynamodb,
            memcached,
            redis,
            valkey,
            mariadb,
            mysql,
            postgres,
            sqlite,
            _runtime: runtime,
        })
    }

    /// Their names, and their URLs.
    pub(crate) fn urls(&self) -> [(&'static str, Started<String>); 8] {
        let sqlite = self.sqlite.path().join("sessions.db");
        [
            ("dynamodb", self.dynamodb.clone()),
            ("memcached", patient(&self.memcached, memcached::Server::url)),
            ("redis", patient(&self.redis, Server::url)),
            ("valkey-cluster", patient(&self.valkey, cluster_url)),
            ("mariadb", patient(&self.mariadb, sql::Server::url)),
            ("mysql", patient(&self.mysql, sql::Server::url)),
            ("postgres", patient(&self.postgres, sql::Server::url)),
            ("sqlite", patient(&Ok(sqlite), |path| format!("sqlite:{}", path.display()))),
        ]
    }
}

/// A server may be busy with the tests of others: how long it takes is not what is tried here.
fn patient<T>(server: &Started<T>, url: impl FnOnce(&T) -> String) -> Started<String> {
    const PATIENCE: &str =
        "session.timeout=60s&session.connect_timeout=60s&session.response_timeout=60s";
    server.as_ref().map(|server| format!("{}?{PATIENCE}", url(server))).map_err(Clone::clone)
}

/// A table of a server that goes with the process.
async fn table() -> Started<String> {
    const TABLE: &str = "Sessions";
    if let Some(reason) = dynamodb::Server::missing() {
        return Err(reason);
    }
    let url = async {
        let server = dynamodb::Server::shared().await?;
        server.create_table(TABLE).await?;
        // It may be busy: this is no test of how long it takes.
        let patience = "session.timeout=60s&session.attempt_timeout=30s";
        let url = server.url();
        Ok(format!("dynamodb://{TABLE}?region=eu-central-1&endpoint={url}&{patience}"))
    };
    url.await.map_err(|error: test_servers::Error| error.to_string())
}

async fn memcached() -> Started<memcached::Server> {
    let options = memcached::Options::new();
    match memcached::Server::missing(&options) {
        Some(reason) => Err(reason),
        None => memcached::Server::start(&options).await.map_err(|error| error.to_string()),
    }
}

async fn redis() -> Started<Server> {
    let options = Options::redis();
    match Server::missing(&options) {
        Some(reason) => Err(reason),
        None => Server::start(&options).await.map_err(|error| error.to_string()),
    }
}

async fn cluster() -> Started<Cluster> {
    let options = Options::valkey();
    match Server::missing(&options) {
        Some(reason) => Err(reason),
        None => Cluster::start(&options).await.map_err(|error| error.to_string()),
    }
}

async fn database(options: sql::Options) -> Started<sql::Server> {
    match sql::Server::missing(&options) {
        Some(reason) => Err(reason),
        None => sql::Server::start(&options).await.map_err(|error| error.to_string()),
    }
}

fn cluster_url(cluster: &Cluster) -> String {
    format!("valkey+cluster://{}", cluster.addresses().join(","))
}
