//! A server for the suite: the store on it, and everything else that may be done to it. Each namespace
//! is a table.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::Blob,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement,
        KeyType, Projection, ProjectionType, ScalarAttributeType,
    },
};
use data_encoding::BASE64URL_NOPAD;
use session_conformance::{
    Backend, Damage, MovableClock, Namespace, RawAccess, Skew, SkewedOpen, WriteCounter,
};
use session_core::{
    Clock, Error, ErrorKind, Key, OffsetClock, Operation, Result, SessionStore, Sweeping,
    SystemClock,
};
use session_dynamo::{DynamoConfig, DynamoStoreBuilder, Leases};
use test_servers::dynamodb::{Front, Server};
use tokio::sync::OnceCell;

pub(crate) const IN_ITEM: &str = "dynamodb";
/// The index of principals, which the second lane does without.
const INDEX: &str = "principals";
pub(crate) const ASIDE: &str = "dynamodb-aside";
/// A machine may be busy: no case is about how long a server takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A way to the server that all lanes share, through a proxy that counts what it is asked for.
#[derive(Debug)]
struct Started {
    front: Front,
    client: Client,
}

/// What belongs to a namespace.
#[derive(Debug)]
struct Place {
    clock: OffsetClock,
    is_made: OnceCell<()>,
}

/// A store under test.
#[derive(Debug)]
pub(crate) struct Lane {
    name: &'static str,
    leases: Leases,
    started: OnceCell<Started>,
    places: Mutex<HashMap<String, Arc<Place>>>,
}

impl Started {
    async fn start() -> test_servers::Result<Self> {
        let server = Server::shared().await?;
        let front = Front::start(&server.address()).await?;
        Ok(Self { front, client: client(&server.url()) })
    }

    async fn make(&self, table: &str) -> Result<()> {
        let key = |name| KeySchemaElement::builder().attribute_name(name).key_type(KeyType::Hash);
        let is = |name, is| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(is).build()
        };
        let names = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
        let index = GlobalSecondaryIndex::builder().index_name(INDEX).projection(names);
        let index = index.key_schema(key("p").build().map_err(failed)?);
        self.client
            .create_table()
            .table_name(table)
            .key_schema(key("id").build().map_err(failed)?)
            .attribute_definitions(is("id", ScalarAttributeType::S).map_err(failed)?)
            .attribute_definitions(is("p", ScalarAttributeType::B).map_err(failed)?)
            .global_secondary_indexes(index.build().map_err(failed)?)
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await
            .map(drop)
            .map_err(failed)
    }

    async fn items(&self, table: &str) -> Result<Vec<HashMap<String, AttributeValue>>> {
        let mut pages = self.client.scan().table_name(table).into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(failed)?);
        }
        Ok(items)
    }
}

/// A client with connections of its own.
fn client(url: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(url);
    Client::from_conf(config.build())
}

impl Lane {
    /// With the leases in the items of the sessions, or aside.
    pub(crate) fn new(leases: Leases) -> Self {
        let name = if leases == Leases::Aside { ASIDE } else { IN_ITEM };
        Self { name, leases, started: OnceCell::new(), places: Mutex::default() }
    }

    async fn started(&self) -> Result<&Started> {
        self.started.get_or_try_init(|| async { Started::start().await.map_err(failed) }).await
    }

    fn place(&self, namespace: &Namespace) -> Arc<Place> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(namespace.to_string()).or_insert_with(|| {
            let clock = OffsetClock::new(SystemClock::default());
            Arc::new(Place { clock, is_made: OnceCell::new() })
        });
        Arc::clone(place)
    }

    async fn open_with(
        &self,
        namespace: &Namespace,
        clock: impl Clock,
    ) -> Result<Arc<dyn SessionStore>> {
        let builder = self.builder(namespace).await?.clock(clock);
        let builder = match self.leases {
            Leases::Aside => builder,
            _ => builder.principal_index(INDEX),
        };
        Ok(Arc::new(builder.open().await?))
    }

    /// The clock of a namespace, as a server with a wrong one sees it.
    pub(crate) fn skewed_clock(&self, namespace: &Namespace, skew: Skew) -> impl Clock + use<> {
        let clock = OffsetClock::new(PlaceClock(self.place(namespace)));
        match skew {
            Skew::Ahead(by) => clock.advance(by),
            Skew::Behind(by) => clock.step_back(by),
            _ => {}
        }
        clock
    }

    /// What opens a store on the table of a namespace, by its clock.
    pub(crate) async fn builder(&self, namespace: &Namespace) -> Result<DynamoStoreBuilder> {
        let started = self.started().await?;
        let place = self.place(namespace);
        place.is_made.get_or_try_init(|| started.make(namespace.as_str())).await?;
        Ok(DynamoStoreBuilder::from(DynamoConfig::new(namespace.as_str()))
            .client(client(&started.front.url()))
            .timeout(PATIENCE)
            .attempt_timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .leases(self.leases)
            .sweeping(Sweeping::Needed)
            .sweep_rate(u32::MAX)
            .clock(PlaceClock(place)))
    }
}

/// The clock of a namespace.
#[derive(Debug)]
struct PlaceClock(Arc<Place>);

impl Clock for PlaceClock {
    fn now(&self) -> session_core::Timestamp {
        self.0.clock.now()
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Backend, "fixture", Operation::Open).with_source(error)
}

#[async_trait]
impl Backend for Lane {
    fn name(&self) -> &str {
        self.name
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        self.open_with(namespace, PlaceClock(self.place(namespace))).await
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        let client = &self.started().await?.client;
        client.delete_table().table_name(namespace.as_str()).send().await.map_err(failed)?;
        Ok(())
    }

    async fn server_version(&self) -> Option<String> {
        Some(format!("DynamoDB Local {}", Server::version().ok()?))
    }

    fn clock(&self) -> Option<&dyn MovableClock> {
        Some(self)
    }

    fn skewed(&self) -> Option<&dyn SkewedOpen> {
        Some(self)
    }

    fn write_counter(&self) -> Option<&dyn WriteCounter> {
        Some(self)
    }

    fn raw(&self) -> Option<&dyn RawAccess> {
        Some(self)
    }
}

#[async_trait]
impl MovableClock for Lane {
    async fn advance(&self, namespace: &Namespace, by: Duration) -> Result<()> {
        self.place(namespace).clock.advance(by);
        Ok(())
    }

    async fn step_back(&self, namespace: &Namespace, by: Duration) -> Result<()> {
        self.place(namespace).clock.step_back(by);
        Ok(())
    }
}

#[async_trait]
impl SkewedOpen for Lane {
    async fn open_skewed(
        &self,
        namespace: &Namespace,
        skew: Skew,
    ) -> Result<Arc<dyn SessionStore>> {
        self.open_with(namespace, self.skewed_clock(namespace, skew)).await
    }
}

#[async_trait]
impl WriteCounter for Lane {
    async fn writes(&self, namespace: &Namespace) -> Result<u64> {
        let reads = ["GetItem", "Scan"];
        let front = &self.started().await?.front;
        let writes = front.count(|request| {
            request.table == namespace.as_str() && !reads.contains(&request.operation.as_str())
        });
        u64::try_from(writes).map_err(failed)
    }
}

#[async_trait]
impl RawAccess for Lane {
    async fn damage(&self, namespace: &Namespace, key: &Key, damage: Damage) -> Result<()> {
        let digest = BASE64URL_NOPAD.encode(key.digest().as_bytes());
        let started = self.started().await?;
        for mut item in started.items(namespace.as_str()).await? {
            let is_it = |id: &AttributeValue| id.as_s().is_ok_and(|id| id.ends_with(&digest));
            let Some(AttributeValue::B(payload)) = item.get("d") else { continue };
            if !item.get("id").is_some_and(is_it) {
                continue;
            }
            let mut payload = payload.as_ref().to_vec();
            let middle = payload.len() / 2;
            match damage {
                Damage::Truncated => payload.truncate(middle),
                _ => payload.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1),
            }
            item.insert("d".to_owned(), AttributeValue::B(Blob::new(payload)));
            let put = started.client.put_item().table_name(namespace.as_str());
            put.set_item(Some(item)).send().await.map_err(failed)?;
        }
        Ok(())
    }

    async fn dump(&self, namespace: &Namespace) -> Result<Vec<Vec<u8>>> {
        let items = self.started().await?.items(namespace.as_str()).await?;
        let text = |(name, value): (String, AttributeValue)| match value {
            AttributeValue::B(bytes) => [name.into_bytes(), bytes.into_inner()].concat(),
            AttributeValue::S(text) => (name + &text).into_bytes(),
            other => format!("{name}{other:?}").into_bytes(),
        };
        let whole = |item: HashMap<String, AttributeValue>| {
            let mut parts: Vec<Vec<u8>> = item.into_iter().map(text).collect();
            parts.sort();
            parts.concat()
        };
        Ok(items.into_iter().map(whole).collect())
    }
}
