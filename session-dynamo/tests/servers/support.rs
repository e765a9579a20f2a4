//! What most tests start from.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use session_core::{ErrorKind, Key, Lease, SessionStore, Sweeping};
use session_dynamo::{DynamoConfig, DynamoStore, DynamoStoreBuilder, Leases};
use test_load::{HOUR, lock};
use test_servers::{
    Result,
    dynamodb::{Front, Server},
};

/// A server may be busy: this is no test of how long it takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A table, a store on it through a proxy, and one past it.
pub(crate) struct WorldOf<S> {
    pub(crate) front: Front,
    pub(crate) store: S,
    pub(crate) other: S,
    pub(crate) table: String,
}

/// With our own layout.
pub(crate) type World = WorldOf<DynamoStore>;

impl<S: SessionStore> WorldOf<S> {
    pub(crate) async fn locked(&self, key: &Key) -> Lease {
        self.store.lock(key, lock(HOUR / 2, Duration::ZERO)).await.unwrap().lease.unwrap()
    }

    /// Nobody holds it: somebody else can take it, and gives it back.
    pub(crate) async fn is_free(&self, key: &Key) {
        let taken = self.other.lock(key, lock(HOUR / 2, Duration::ZERO)).await.expect("it is free");
        self.other.release(key, &taken.lease.unwrap()).await.unwrap();
    }

    pub(crate) async fn is_held(&self, key: &Key) {
        let refused = self.other.lock(key, lock(HOUR / 2, Duration::ZERO)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::LockTimeout);
    }
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(|builder| builder).await
    }

    /// With the leases in items of their own.
    pub(crate) async fn aside() -> Result<Self> {
        Self::start_as(Leases::Aside, |builder| builder).await
    }

    /// With other settings of the store behind the proxy.
    pub(crate) async fn start_with(
        set: impl FnOnce(DynamoStoreBuilder) -> DynamoStoreBuilder,
    ) -> Result<Self> {
        Self::start_as(Leases::InItem, set).await
    }

    /// With the leases there, and other settings of the store behind the proxy.
    pub(crate) async fn start_as(
        leases: Leases,
        set: impl FnOnce(DynamoStoreBuilder) -> DynamoStoreBuilder,
    ) -> Result<Self> {
        let server = Server::shared().await?;
        let front = Front::start(&server.address()).await?;
        let table = new_table();
        builder(&server.url(), &table).create_table().await.unwrap();
        let store = set(builder(&front.url(), &table).leases(leases)).open().await.unwrap();
        let other = builder(&server.url(), &table).leases(leases).open().await.unwrap();
        front.forget();
        Ok(Self { front, store, other, table })
    }

    /// What was sent for an operation.
    pub(crate) async fn sent<T>(&self, operation: impl Future<Output = T>) -> (T, Vec<String>) {
        self.front.forget();
        let done = operation.await;
        let sent = self.front.sent().into_iter().map(|request| request.operation);
        (done, sent.collect())
    }
}

/// A name that no table has.
pub(crate) fn new_table() -> String {
    format!("test{:016x}", fastrand::u64(..))
}

/// A patient store.
pub(crate) fn builder(url: &str, table: &str) -> DynamoStoreBuilder {
    DynamoStoreBuilder::from(DynamoConfig::new(table))
        .endpoint(url)
        .region("eu-central-1")
        .credentials("key", "secret")
        .sweeping(Sweeping::Needed)
        .timeout(PATIENCE)
        .attempt_timeout(PATIENCE)
        .connect_timeout(PATIENCE)
}

/// The SDK's client as it is.
pub(crate) fn client(url: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(url);
    Client::from_conf(config.build())
}
