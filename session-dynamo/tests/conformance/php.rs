//! The layout of the AWS SDK for PHP on the same server.

use std::sync::Arc;

use async_trait::async_trait;
use session_conformance::{
    Backend, Layout, MovableClock, Namespace, Skew, SkewedOpen, Suite, WriteCounter,
};
use session_core::{Result, SessionStore};
use session_dynamo::{
    DynamoConfig, DynamoStoreBuilder, Leases,
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

async fn open(builder: DynamoStoreBuilder) -> Result<Arc<dyn SessionStore>> {
    let layout = PhpLayout::new(DynamoConfig::default())
        .with_data_type(PhpData::Binary)
        .with_lock(PhpLock::new());
    Ok(Arc::new(PhpStore::open_with(builder, layout).await?))
}

#[async_trait]
impl Backend for PhpLane {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        open(self.0.builder(namespace).await?).await
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

    fn skewed(&self) -> Option<&dyn SkewedOpen> {
        Some(self)
    }

    fn write_counter(&self) -> Option<&dyn WriteCounter> {
        self.0.write_counter()
    }
}

#[async_trait]
impl SkewedOpen for PhpLane {
    async fn open_skewed(
        &self,
        namespace: &Namespace,
        skew: Skew,
    ) -> Result<Arc<dyn SessionStore>> {
        let clock = self.0.skewed_clock(namespace, skew);
        open(self.0.builder(namespace).await?.clock(clock)).await
    }
}
