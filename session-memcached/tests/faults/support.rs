//! What most cases start from.

use std::time::Duration;

use session_memcached::{MemcachedStore, MemcachedStoreBuilder};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// A store whose operations end by `timeout`, and that soon gives up a server that is silent.
pub(crate) fn builder(url: &str, timeout: Duration) -> MemcachedStoreBuilder {
    let short = Duration::from_millis(500).min(timeout);
    let builder = MemcachedStore::builder(url).unwrap().timeout(timeout);
    builder.response_timeout(short).connect_timeout(short)
}

pub(crate) async fn open(url: &str, timeout: Duration) -> MemcachedStore {
    builder(url, timeout).open().await.unwrap()
}

/// A store that waits for a server that is only slow.
pub(crate) async fn open_patiently(url: &str, timeout: Duration) -> MemcachedStore {
    let builder = MemcachedStore::builder(url).unwrap().timeout(timeout);
    builder.response_timeout(timeout).connect_timeout(timeout).open().await.unwrap()
}
