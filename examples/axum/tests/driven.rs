//! The scenarios that every example is driven by, over plain HTTP and in a browser, on files, on
//! Redis and on a cluster.

use std::{path::Path, process::ExitCode};

use test_servers::redis::{Cluster, Options, Server};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let Ok(runtime) = Runtime::new() else { return ExitCode::FAILURE };
    let (redis, cluster) = runtime.block_on(async { tokio::join!(redis(), cluster()) });
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let target = scratch.parent().unwrap_or(scratch);
    example_driver::Example::new("axum", env!("CARGO_BIN_EXE_example-axum"), target)
        .document(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md"))
        .store("redis", redis.as_ref().map(Server::url).map_err(Clone::clone))
        .store("valkey-cluster", cluster.as_ref().map(url).map_err(Clone::clone))
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

fn url(cluster: &Cluster) -> String {
    format!("valkey+cluster://{}", cluster.addresses().join(","))
}
