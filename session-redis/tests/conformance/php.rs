//! PHP's layout on the same servers.

use std::sync::Arc;

use async_trait::async_trait;
use session_conformance::{Backend, Layout, Namespace, Suite, WriteCounter};
use session_core::{Result, SessionStore};
use session_redis::{
    RedisConfig,
    php::{PhpLayout, PhpLock, PhpServer, PhpStore},
};

use crate::lane::{Kind, Lane, PATIENCE};

/// The suite with the layout of one server, which locks, and that of a cluster, which does not.
pub(crate) fn lanes(suite: Suite) -> Suite {
    [("redis-php", Kind::Redis, Some(PhpLock::new())), ("redis-php-cluster", Kind::Cluster, None)]
        .into_iter()
        .fold(suite, |suite, (name, kind, lock)| match kind.missing() {
            None => suite.backend(PhpLane { lane: Lane::new(name, kind), lock }),
            Some(reason) => suite.missing(name, reason),
        })
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
        let url = self.lane.started().await?.servers.url();
        let config = RedisConfig::from_url(&format!("{url}{PATIENCE}"))?;
        let server = PhpServer::new(config).with_prefix(format!("{namespace}:"));
        let mut layout = PhpLayout::new(server);
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

    fn write_counter(&self) -> Option<&dyn WriteCounter> {
        self.lane.write_counter()
    }
}
