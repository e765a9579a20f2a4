//! One server that lives on, and what its operators do to it.

use std::time::Duration;

use session_core::{ErrorKind, SessionStore};
use test_load::{Load, eventually, tell};
use test_servers::{
    TestResult,
    sql::{Flavor, Server},
};
use tokio::time::sleep;

use crate::support::{open, options, patient, plan, start};

pub(crate) async fn killed_connections_reach_no_caller(flavor: Flavor) -> TestResult {
    const ROUNDS: u64 = 12;
    let server = start(flavor).await?;
    let stores = patient(&server.url()).await;
    let load = Load::start(&stores, plan(flavor)).await;
    let mut killed = 0;
    for _ in 0..ROUNDS {
        load.more(10).await;
        killed += server.kill_clients().await?;
    }
    load.everywhere(2).await;
    let tally = load.stop(&stores[0]).await.check(None);
    assert!(killed >= ROUNDS, "{killed} connections killed");
    tell(&format!("{} KILL", flavor.name()), format!("{killed} connections: {tally}"));
    Ok(())
}

/// A switch to another server that was called off.
pub(crate) async fn a_server_that_takes_no_writes_for_a_while_reaches_no_caller(
    flavor: Flavor,
) -> TestResult {
    const TIMES: u64 = 3;
    let server = start(flavor).await?;
    let stores = patient(&server.url()).await;
    let load = Load::start(&stores, plan(flavor)).await;
    for _ in 0..TIMES {
        load.more(20).await;
        server.set_read_only(true).await?;
        // Nothing is committed any more, although everybody tries to.
        eventually("no commits", async || {
            let before = load.commits();
            sleep(Duration::from_millis(100)).await;
            load.commits() == before
        })
        .await;
        server.set_read_only(false).await?;
    }
    load.everywhere(2).await;
    let tally = load.stop(&stores[0]).await.check(None);
    tell(&format!("{} read only", flavor.name()), format!("{TIMES} times: {tally}"));
    Ok(())
}

/// Somebody else has taken them all.
pub(crate) async fn a_server_with_too_many_connections_is_told(flavor: Flavor) -> TestResult {
    // The least that MariaDB takes. PostgreSQL keeps some of them for its administrators.
    const MOST: usize = 10;
    let timeout = Duration::from_secs(10);
    let options = options(flavor).argument("max_connections", &MOST.to_string());
    let server = Server::start(&options).await?;
    let store = open(&server.url(), timeout).await;
    server.kill_clients().await?;
    let mut others = Vec::new();
    for _ in 0..=MOST {
        match crate::support::builder(&server.url(), timeout).open().await {
            Ok(other) => others.push(other),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    }
    assert!(others.len() <= MOST, "{} connections", others.len());
    let refused = test_load::fails_in_time(timeout, store.ping()).await;
    assert_eq!((refused.kind(), refused.maybe_applied()), (ErrorKind::Unavailable, false));
    drop(others);
    eventually("a connection", async || store.ping().await.is_ok()).await;
    Ok(())
}

/// Whoever changes the table while it is in use.
pub(crate) async fn a_table_that_is_altered_meanwhile_reaches_no_caller(
    flavor: Flavor,
) -> TestResult {
    const CHANGES: [&str; 4] = [
        "ALTER TABLE sessions ADD COLUMN remark INT",
        "CREATE INDEX sessions_remark ON sessions (remark)",
        "ALTER TABLE sessions ADD COLUMN another INT",
        "ALTER TABLE sessions DROP COLUMN remark",
    ];
    let server = start(flavor).await?;
    let stores = patient(&server.url()).await;
    let load = Load::start(&stores, plan(flavor)).await;
    for change in CHANGES {
        load.more(20).await;
        server.execute(change).await?;
    }
    load.everywhere(2).await;
    let tally = load.stop(&stores[0]).await.check(None);
    tell(&format!("{} ALTER TABLE", flavor.name()), format!("{} times: {tally}", CHANGES.len()));
    Ok(())
}
