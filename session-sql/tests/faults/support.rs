//! What most cases start from.

use std::time::Duration;

use session_core::{Expected, SessionStore, Then};
use session_sql::{SqlStore, SqlStoreBuilder};
use test_load::{HOUR, Plan, SOON, eventually_done, load, lock, new_key, op, write};
use test_servers::{
    Result,
    proxy::Proxy,
    sql::{Flavor, Options, Server},
};

/// A store whose operations end by `timeout`, and that soon gives up a server that is silent.
pub(crate) fn builder(url: &str, timeout: Duration) -> SqlStoreBuilder {
    let builder = SqlStore::builder(url).unwrap().timeout(timeout);
    let short = Duration::from_millis(500).min(timeout);
    // A login of PostgreSQL is 4,096 rounds of a hash, which a build for tests takes its time for.
    let long = Duration::from_secs(2).min(timeout);
    builder.response_timeout(short).connect_timeout(long).max_connections(CONNECTIONS)
}

const CONNECTIONS: u32 = 5;

/// With a deadline that a busy machine may miss at first.
pub(crate) async fn open(url: &str, timeout: Duration) -> SqlStore {
    eventually_done(async || {
        let store = builder(url, timeout).open().await?;
        store.migrate().await?;
        Ok(store)
    })
    .await
}

/// A store for what is not to fail, however slow the machine is.
pub(crate) async fn unhurried(url: &str) -> SqlStore {
    let builder = SqlStore::builder(url).unwrap().timeout(SOON);
    let builder = builder.response_timeout(SOON / 2).connect_timeout(SOON / 2);
    opened(builder.max_connections(CONNECTIONS)).await
}

pub(crate) async fn opened(builder: SqlStoreBuilder) -> SqlStore {
    let store = builder.open().await.unwrap();
    store.migrate().await.unwrap();
    store
}

/// Two servers of the fleet, which nobody tells of anything: they are patient.
pub(crate) async fn patient(url: &str) -> [SqlStore; 2] {
    let builder = || {
        let builder = SqlStore::builder(url).unwrap().timeout(PATIENT);
        let patient = builder.response_timeout(PATIENT / 10).connect_timeout(PATIENT / 3);
        patient.max_connections(CONNECTIONS)
    };
    [opened(builder()).await, opened(builder()).await]
}

/// What patient clients may be told: nothing. But where a login takes so long that a busy machine
/// has none for a second, that is an outage.
pub(crate) fn plan(flavor: Flavor) -> Plan {
    if flavor == Flavor::Postgres { Plan::rough(PATIENT) } else { Plan::quiet(PATIENT) }
}

/// More than what passes takes to pass.
pub(crate) const PATIENT: Duration = Duration::from_secs(30);

pub(crate) async fn start(flavor: Flavor) -> Result<Server> {
    Server::start(&options(flavor)).await
}

pub(crate) fn options(flavor: Flavor) -> Options {
    Options::new(flavor).argument("max_connections", "200")
}

/// The URL of a server by way of a proxy. Nothing is encrypted, so that the proxy sees what it loses.
pub(crate) fn url_by(proxy: &Proxy, server: &Server) -> String {
    plain(&server.url().replace(&server.address(), &proxy.address()), server)
}

pub(crate) fn plain(url: &str, server: &Server) -> String {
    let mode = if server.flavor().is_mysql() { "ssl-mode=disabled" } else { "sslmode=disable" };
    format!("{url}?{mode}")
}

/// Lets a connection know every statement, lest what is lost is the preparation of one.
pub(crate) async fn warm(store: &SqlStore) {
    eventually_done(async || {
        let key = new_key();
        let first = store.create(&key, write(b""), op(), None).await?;
        assert!(load(store, &key).await?.is_some());
        let second = store.save(&key, write(b"1"), Expected::Revision(first), op()).await?;
        store.touch(&key, HOUR.into(), first.incarnation(), op()).await?;
        let taken = store.lock(&key, lock(HOUR, Duration::ZERO)).await?;
        let lease = taken.lease.unwrap();
        store.renew(&key, &lease, HOUR).await?;
        let expected = Expected::Lease { lease: &lease, revision: second, then: Then::Keep };
        let third = store.save(&key, write(b"2"), expected, op()).await?;
        store.release(&key, &lease).await?;
        store.delete(&key, Expected::Revision(third), op()).await?;
        store.delete(&key, Expected::Incarnation(third.incarnation()), op()).await?;
        store.delete(&key, Expected::Any, op()).await
    })
    .await;
}
