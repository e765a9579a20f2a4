//! The layout of the AWS SDK for PHP on the same server.

use std::sync::Arc;

use async_trait::async_trait;
use session_conformance::{Backend, Layout, MovableClock, Namespace, Suite, WriteCounter};
use session_core::{Result, SessionStore};
use session_dynamo::{
    DynamoConfig, Leases,
    php::{PhpData, PhpLayout, PhpLock, PhpStore},
};
use test_servers::dynamodb::Server;

use crate::lane::Lane;

/// The suite with PHP's layout, with its lock.
pub(crate) fn lane(suite: Suite) -> Suite {
    match Server::missing() {
        None => suite.backend(PhpLane(Lane::new(Leases::InItem))),
        Some(reason) => suite.missing(NAME, reason),
    }
}

const NAME: &str = "dynamodb-php";

#[derive(Debug)]
struct PhpLane(Lane);

#[async_trait]
impl Backend for PhpLane {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        let builder = self.0.builder(namespace).await?;
        let layout = PhpLayout::new(DynamoConfig::default())
            .with_data_type(PhpData::Binary)
            .with_lock(PhpLock::new());
        Ok(Arc::new(PhpStore::open_with(builder, layout).await?))
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        self.0.cleanup(namespace).await
    }

    async fn server_version(&self) -> Option<String> {
        self.0.server_version().await
    }

    fn layout(&self) -> Layout {
        Layout::Foreign
    }

    fn clock(&self) -> Option<&dyn MovableClock> {
        self.0.clock()
    }

    fn write_counter(&self) -> Option<&dyn WriteCounter> {
        self.0.write_counter()
    }
}
