//! What most cases start from.

use std::time::Duration;

use session_memcached::{MemcachedStore, MemcachedStoreBuilder};
use test_load::eventually_done;

/// Longer than anything takes that works: where time plays no part.
pub(crate) const PATIENT: Duration = Duration::from_secs(60);

/// A store whose operations end by `timeout`, and that soon gives up a server that is silent.
pub(crate) fn builder(url: &str, timeout: Duration) -> MemcachedStoreBuilder {
    let short = Duration::from_millis(500).min(timeout);
    let builder = MemcachedStore::builder(url).unwrap().timeout(timeout);
    builder.response_timeout(short).connect_timeout(short)
}

/// Such a store, opened again where a busy machine took longer.
pub(crate) async fn open(url: &str, timeout: Duration) -> MemcachedStore {
    eventually_done(|| builder(url, timeout).open()).await
}

/// A store that waits for a server that is only slow.
pub(crate) async fn open_patiently(url: &str, timeout: Duration) -> MemcachedStore {
    let builder = MemcachedStore::builder(url).unwrap().timeout(timeout);
    builder.response_timeout(timeout).connect_timeout(timeout).open().await.unwrap()
}
