//! Others who use the same connections.

use session_core::{Expected, SessionStore};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, postgres::PgConnectOptions};
use test_servers::{
    TestResult,
    sql::{Flavor, Server},
};

use crate::support::{Setup, load, new_key, op, write};

/// The client names its statements by numbers: where nobody keeps track of whose they are, the
/// number of one is that of another's.
pub(crate) async fn statements_of_others_are_not_taken_for_ours(setup: Setup) -> TestResult {
    // One client is one connection, where they cannot share any.
    let place = setup.place(if setup.is_session() { 2 } else { 1 }).await?;
    let (store, key) = (place.open(1).await, new_key());
    store.create(&key, write("mine"), op(), None).await?;
    assert!(load(&store, &key).await.is_some());
    // Then comes another connection, on which ours are not.
    place.bouncer.console("RECONNECT").await?;
    let mut other = {
        let options: PgConnectOptions = place.url.parse()?;
        options.extra_float_digits(None).connect().await?
    };
    for number in 0..20 {
        let delete = format!("DELETE FROM sessions WHERE digest = $1 AND {number} >= 0");
        sqlx::query(AssertSqlSafe(delete)).bind(&b"nobody"[..]).execute(&mut other).await?;
    }
    for _ in 0..3 {
        let record = load(&store, &key).await.expect("another's statement deleted it");
        assert_eq!(record.payload, "mine");
        store.save(&key, write("mine"), Expected::Revision(record.revision), op()).await?;
    }
    other.close().await?;
    Ok(())
}

/// In session mode nobody could tell that it is not transaction mode.
pub(crate) async fn statements_are_prepared_where_the_pooler_keeps_track(
    setup: Setup,
) -> TestResult {
    let place = setup.place(1).await?;
    let table = format!("t{:x}", fastrand::u64(..));
    let (store, key) = (place.open_table(1, &table).await, new_key());
    store.create(&key, write("mine"), op(), None).await?;
    assert!(load(&store, &key).await.is_some());
    let log = Server::shared(Flavor::Postgres).await?.log();
    let inserts = log.lines().filter(|line| line.contains(&format!("INSERT INTO {table} ")));
    let prepared: Vec<bool> = inserts.map(|line| line.contains("LOG:  execute ")).collect();
    assert_eq!(prepared, [setup.tracks_statements()]);
    Ok(())
}
