//! PHP's layout on the same server.

use std::sync::Arc;

use async_trait::async_trait;
use session_conformance::{Backend, Layout, Namespace, Suite};
use session_core::{Result, SessionStore};
use session_memcached::{
    MemcachedConfig,
    php::{PhpLayout, PhpLock, PhpStore},
};

use crate::lane::{Kind, Lane, PATIENCE};

/// The suite with PHP's layout, with locks and without.
pub(crate) fn lanes(suite: Suite) -> Suite {
    [("memcached-php", Some(PhpLock::new())), ("memcached-php-unlocked", None)].into_iter().fold(
        suite,
        |suite, (name, lock)| match Kind::Ring.missing() {
            None => suite.backend(PhpLane { lane: Lane::new(name, Kind::Ring), lock }),
            Some(reason) => suite.missing(name, reason),
        },
    )
}

#[derive(Debug)]
struct PhpLane {
    lane: Lane,
    lock: Option<PhpLock>,
}

#[async_trait]
impl Backend for PhpLane {
    fn name(&self) -> &str {
        self.lane.name()
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        let url = self.lane.started().await?.url(Kind::Ring);
        let config = MemcachedConfig::from_url(&format!("{url}{PATIENCE}"))?;
        let mut layout = PhpLayout::new(config.servers.clone());
        layout.memcached = config;
        layout.memcached.prefix = format!("{namespace}:");
        layout.lock.clone_from(&self.lock);
        Ok(Arc::new(PhpStore::open(layout).await?))
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        self.lane.cleanup(namespace).await
    }

    async fn server_version(&self) -> Option<String> {
        self.lane.server_version().await
    }

    fn layout(&self) -> Layout {
        Layout::Foreign
    }

    /// A key has 250 bytes: the namespace, a colon, `lock.` and the id.
    fn longest_id(&self) -> usize {
        250 - 20 - 1 - 5
    }
}
