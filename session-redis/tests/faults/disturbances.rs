//! One server that lives on, and what its operators do to it.

use std::time::Duration;

use session_core::{ErrorKind, Operation};
use test_servers::{
    TestResult,
    redis::{Options, Server},
};

use crate::{
    load::{Load, Plan},
    support::{open, tell},
};

const TIMEOUT: Duration = Duration::from_secs(5);
const ROUNDS: u64 = 25;

pub(crate) async fn forgotten_scripts_reach_no_caller() -> TestResult {
    let server = Server::start(&Options::redis()).await?;
    let stores = [open(&server.url(), TIMEOUT).await, open(&server.url(), TIMEOUT).await];
    let load = Load::start(&stores, Plan::quiet(TIMEOUT)).await;
    for _ in 0..ROUNDS {
        load.more(20).await;
        server.forget_scripts().await?;
    }
    load.everywhere(2).await;
    let tally = load.stop(&stores[0]).await.check(None);
    tell("SCRIPT FLUSH", format!("{ROUNDS} times: {tally}"));
    Ok(())
}

pub(crate) async fn killed_connections_reach_no_caller() -> TestResult {
    let server = Server::start(&Options::redis()).await?;
    let stores = [open(&server.url(), TIMEOUT).await, open(&server.url(), TIMEOUT).await];
    let load = Load::start(&stores, Plan::quiet(TIMEOUT)).await;
    let mut killed = 0;
    for _ in 0..ROUNDS {
        load.more(20).await;
        killed += server.kill_clients().await?;
    }
    load.everywhere(2).await;
    let tally = load.stop(&stores[0]).await.check(None);
    assert!(killed >= ROUNDS, "{killed} connections killed");
    tell("CLIENT KILL", format!("{killed} connections: {tally}"));
    Ok(())
}

/// What makes a record, or makes one larger.
fn needs_memory(operation: Operation, kind: ErrorKind) -> bool {
    matches!(operation, Operation::Create | Operation::Save) && kind == ErrorKind::Unavailable
}

pub(crate) async fn a_full_server_refuses_writes_and_tells_so() -> TestResult {
    let server = Server::start(&Options::redis().max_memory("0", "noeviction")).await?;
    let stores = [open(&server.url(), TIMEOUT).await, open(&server.url(), TIMEOUT).await];
    let plan = Plan { tolerates: needs_memory, ..Plan::quiet(TIMEOUT) };
    let load = Load::start(&stores, plan).await;
    for _ in 0..3 {
        load.more(100).await;
        let before = load.refused();
        server.configure("maxmemory", "1").await?;
        load.until_refused(before + 50).await;
        server.configure("maxmemory", "0").await?;
    }
    load.everywhere(2).await;
    let tally = load.stop(&stores[0]).await.check(None);
    assert_eq!(tally.unknown, 0, "what is refused is not done: {tally}");
    tell("maxmemory", format!("full 3 times: {tally}"));
    Ok(())
}
