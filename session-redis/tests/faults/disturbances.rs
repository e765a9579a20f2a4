//! One server that lives on, and what its operators do to it.

use session_core::{ErrorKind, Operation};
use test_load::{Load, Plan, eventually, tell};
use test_servers::{
    TestResult,
    redis::{Options, Server},
};

use crate::support::{PATIENT, open};

const ROUNDS: u64 = 25;

pub(crate) async fn forgotten_scripts_reach_no_caller() -> TestResult {
    let server = Server::start(&Options::redis()).await?;
    let stores = [open(&server.url(), PATIENT).await, open(&server.url(), PATIENT).await];
    let load = Load::start(&stores, Plan::quiet(PATIENT)).await;
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
    let stores = [open(&server.url(), PATIENT).await, open(&server.url(), PATIENT).await];
    let load = Load::start(&stores, Plan::quiet(PATIENT)).await;
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

/// Case Z11. Clients keep their connections to it.
pub(crate) async fn a_primary_that_is_a_replica_for_a_while_reaches_no_caller() -> TestResult {
    const TIMES: u64 = 5;
    let server = Server::start(&Options::redis()).await?;
    let stores = [open(&server.url(), PATIENT).await, open(&server.url(), PATIENT).await];
    let load = Load::start(&stores, Plan::quiet(PATIENT)).await;
    let mut refused = 0;
    for _ in 0..TIMES {
        load.more(20).await;
        // Of a server that there is not, so that nothing changes.
        server.command(&["REPLICAOF", "127.0.0.1", "1"]).await?;
        let before = refused;
        eventually("refusals", async || {
            refused = refusals(&server).await;
            refused > before
        })
        .await;
        server.command(&["REPLICAOF", "NO", "ONE"]).await?;
    }
    load.everywhere(2).await;
    let tally = load.stop(&stores[0]).await.check(None);
    tell("READONLY", format!("{TIMES} times, {refused} writes refused by the server: {tally}"));
    Ok(())
}

/// How many writes were refused because the server is a replica.
async fn refusals(server: &Server) -> u64 {
    let info = server.info().await.unwrap();
    let count = info.get("errorstat_READONLY").and_then(|count| count.strip_prefix("count="));
    count.map_or(0, |count| count.parse().unwrap())
}

/// What makes a record, or makes one larger.
fn needs_memory(operation: Operation, kind: ErrorKind) -> bool {
    matches!(operation, Operation::Create | Operation::Save) && kind == ErrorKind::Unavailable
}

pub(crate) async fn a_full_server_refuses_writes_and_tells_so() -> TestResult {
    let server = Server::start(&Options::redis().max_memory("0", "noeviction")).await?;
    let stores = [open(&server.url(), PATIENT).await, open(&server.url(), PATIENT).await];
    let plan = Plan { tolerates: needs_memory, ..Plan::quiet(PATIENT) };
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
