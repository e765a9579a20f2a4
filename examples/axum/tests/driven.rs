//! The scenarios that every example is driven by, over plain HTTP and in a browser, on files, on
//! Redis, on a cluster and on databases.

use std::{path::Path, process::ExitCode};

use test_servers::{
    redis::{Cluster, Options, Server},
    sql,
};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let Ok(runtime) = Runtime::new() else { return ExitCode::FAILURE };
    let (redis, cluster, mariadb, mysql, postgres) = runtime.block_on(async {
        tokio::join!(
            redis(),
            cluster(),
            database(sql::Options::mariadb()),
            database(sql::Options::mysql()),
            database(sql::Options::postgres()),
        )
    });
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let target = scratch.parent().unwrap_or(scratch);
    let Ok(folder) = tempfile::tempdir() else { return ExitCode::FAILURE };
    let sqlite = format!("sqlite:{}", folder.path().join("sessions.db").display());
    example_driver::Example::new("axum", env!("CARGO_BIN_EXE_example-axum"), target)
        .document(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md"))
        .store("redis", redis.as_ref().map(Server::url).map_err(Clone::clone))
        .store("valkey-cluster", cluster.as_ref().map(url).map_err(Clone::clone))
        .store("mariadb", mariadb.as_ref().map(sql::Server::url).map_err(Clone::clone))
        .store("mysql", mysql.as_ref().map(sql::Server::url).map_err(Clone::clone))
        .store("postgres", postgres.as_ref().map(sql::Server::url).map_err(Clone::clone))
        .store("sqlite", Ok(sqlite))
        .test()
}

async fn redis() -> Result<Server, String> {
    let options = Options::redis();
    match Server::missing(&options) {
        Some(reason) => Err(reason),
        None => Server::start(&options).await.map_err(|error| error.to_string()),
    }
}

async fn cluster() -> Result<Cluster, String> {
    let options = Options::valkey();
    match Server::missing(&options) {
        Some(reason) => Err(reason),
        None => Cluster::start(&options).await.map_err(|error| error.to_string()),
    }
}

async fn database(options: sql::Options) -> Result<sql::Server, String> {
    match sql::Server::missing(&options) {
        Some(reason) => Err(reason),
        None => sql::Server::start(&options).await.map_err(|error| error.to_string()),
    }
}

fn url(cluster: &Cluster) -> String {
    format!("valkey+cluster://{}", cluster.addresses().join(","))
}
