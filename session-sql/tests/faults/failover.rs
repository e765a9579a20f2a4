//! A server that lost its part to another one.

use std::time::Duration;

use session_core::{Expected, SessionStore};
use test_load::{HOUR, SOON, create, fails_in_time, load, lock, new_key, op, tell, write};
use test_servers::{TestResult, proxy::Proxy, sql::Flavor};

use crate::support::{open, start, unhurried, url_by};

pub(crate) async fn a_server_that_takes_no_writes_is_a_typed_error_in_time(
    flavor: Flavor,
) -> TestResult {
    // Long before the deadline of the store.
    let timeout = SOON / 6;
    let server = start(flavor).await?;
    let store = unhurried(&server.url()).await;
    let key = new_key();
    let first = create(&store, &key, b"1").await;
    server.set_read_only(true).await?;
    let errors = [
        fails_in_time(timeout, store.save(&key, write(b"2"), Expected::Any, op())).await,
        fails_in_time(timeout, store.create(&new_key(), write(b"2"), op(), None)).await,
        fails_in_time(timeout, store.touch(&key, HOUR.into(), first.incarnation(), op())).await,
        fails_in_time(timeout, store.delete(&key, Expected::Any, op())).await,
        fails_in_time(timeout, store.lock(&key, lock(HOUR, Duration::ZERO))).await,
    ];
    for error in &errors {
        assert!(!error.maybe_applied(), "it said that it was not: {error}");
        assert!(error.is_retryable(), "{error}");
    }
    // Who only reads is answered.
    assert_eq!(load(&store, &key).await?.unwrap().revision, first);
    server.set_read_only(false).await?;
    store.save(&key, write(b"2"), Expected::Revision(first), op()).await?;
    tell(flavor.name(), errors.map(|error| format!("{:?}", error.kind())).join(", "));
    Ok(())
}

/// Connections to the old one stay open, as they do when a name is moved.
pub(crate) async fn the_store_goes_on_where_the_name_leads(flavor: Flavor) -> TestResult {
    let timeout = Duration::from_secs(10);
    let (old, new) = (start(flavor).await?, start(flavor).await?);
    let proxy = Proxy::start(&old.address()).await?;
    let store = open(&url_by(&proxy, &old), timeout).await;
    let promoted = open(&new.url(), timeout).await;
    let (key, made) = (new_key(), new_key());
    create(&store, &key, b"of the old one").await;
    create(&promoted, &key, b"of the new one").await;
    let before = proxy.accepted();
    old.set_read_only(true).await?;
    proxy.redirect(&new.address())?;
    // The old one still answers who only reads.
    let stale = load(&store, &key).await?.unwrap();
    assert_eq!(&*stale.payload, b"of the old one");
    let revision = store.create(&made, write(b"new"), op(), None).await?;
    assert!(proxy.accepted() > before);
    assert_eq!(load(&promoted, &made).await?.unwrap().revision, revision);
    // No connection to the old one is left in use.
    let reads = (0..10).map(|_| load(&store, &key));
    for record in futures_util::future::join_all(reads).await {
        assert_eq!(&*record?.unwrap().payload, b"of the new one");
    }
    let late = store.save(&key, write(b"late"), Expected::Revision(stale.revision), op()).await;
    assert_eq!(late.unwrap_err().kind(), session_core::ErrorKind::Conflict);
    Ok(())
}
