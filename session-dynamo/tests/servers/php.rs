//! The layout of the AWS SDK for PHP, against what it was seen to send and to store. The SDK itself
//! is not run, as no Debian package has it; its requests are sent again as they were captured.

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    primitives::Blob,
    types::{
        AttributeAction, AttributeDefinition, AttributeValue, AttributeValueUpdate, BillingMode,
        ExpectedAttributeValue, KeySchemaElement, KeyType, ScalarAttributeType,
    },
};
use data_encoding::BASE64;
use serde_json::Value;
use session_core::{
    ErrorKind, Expected, FrozenClock, Incarnation, Key, KeyHasher, LockRequest, OpToken,
    ReadOptions, Record, SessionId, SessionStore, Then, Timestamp, Under, Write,
};
use session_dynamo::{
    DynamoConfig,
    php::{PhpData, PhpLayout, PhpLock, PhpStore},
};
use test_servers::{TestResult, dynamodb::Server};

use crate::support::{builder, client, new_table};

/// Written by PHP 8.2 and version 3.391.2 of the SDK.
const CAPTURED: &str = include_str!("../../testdata/php/dynamodb.json");
/// The session of nearly all runs.
const ID: &str = "abcdefghijklmnopqrstuv0123456789";
const LIFETIME: Duration = Duration::from_secs(1440);

type Item = HashMap<String, AttributeValue>;

fn runs() -> Vec<Value> {
    let captured: Value = serde_json::from_str(CAPTURED).unwrap();
    captured["runs"].as_array().unwrap().clone()
}

fn run(scenario: &str) -> Value {
    runs().into_iter().find(|run| run["scenario"] == scenario).expect(scenario)
}

fn value(json: &Value) -> AttributeValue {
    let (kind, value) = json.as_object().unwrap().iter().next().unwrap();
    let text = value.as_str().unwrap().to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text),
        "N" => AttributeValue::N(text),
        _ => AttributeValue::B(Blob::new(BASE64.decode(text.as_bytes()).unwrap())),
    }
}

fn item(json: &Value) -> Item {
    json.as_object().unwrap().iter().map(|(name, json)| (name.clone(), value(json))).collect()
}

fn key(id: &str) -> Key {
    KeyHasher::plain().key(&SessionId::parse(id).unwrap())
}

fn op() -> OpToken {
    OpToken::generate().unwrap()
}

/// The layout of a run's settings.
fn layout(run: &Value) -> PhpLayout {
    let config = &run["config"];
    let mut layout = PhpLayout::new(DynamoConfig::new("unused"));
    if config["data_attribute_type"] == "binary" {
        layout.data_type = PhpData::Binary;
    }
    if config["locking"] == true {
        layout.lock = Some(PhpLock::new());
    }
    let text = |name: &str| config[name].as_str().map(ToOwned::to_owned);
    layout.data_attribute = text("data_attribute").unwrap_or(layout.data_attribute);
    layout.lifetime_attribute =
        text("session_lifetime_attribute").unwrap_or(layout.lifetime_attribute);
    layout
}

/// A table, a store on it whose clock stands still, and the SDK's client.
struct World {
    client: Client,
    store: PhpStore,
    table: String,
}

impl World {
    async fn start(layout: PhpLayout, now: u64) -> test_servers::Result<Self> {
        let server = Server::shared().await?;
        let (client, table) = (client(&server.url()), new_table());
        let schema = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
        let id = AttributeDefinition::builder().attribute_name("id");
        let id = id.attribute_type(ScalarAttributeType::S).build().unwrap();
        client
            .create_table()
            .table_name(&table)
            .key_schema(schema.build().unwrap())
            .attribute_definitions(id)
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await
            .unwrap();
        let clock = Arc::new(FrozenClock::new(Timestamp::from_millis(now * 1_000)));
        let builder = builder(&server.url(), &table).clock(clock);
        let store = PhpStore::open_with(builder, layout).await.unwrap();
        Ok(Self { client, store, table })
    }

    async fn put(&self, item: Item) {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.unwrap();
    }

    async fn items(&self) -> Vec<Item> {
        let scan = self.client.scan().table_name(&self.table).consistent_read(true);
        scan.send().await.unwrap().items.unwrap_or_default()
    }

    async fn load(&self, id: &str) -> Option<Record> {
        self.store.load(&key(id), ReadOptions::latest()).await.unwrap()
    }

    /// Sends a captured `UpdateItem` of PHP's; whether its condition was met.
    async fn replay(&self, captured: &Value) -> bool {
        assert_eq!(captured["target"], "DynamoDB_20120810.UpdateItem");
        let request = &captured["request"];
        let mut update =
            self.client.update_item().table_name(&self.table).set_key(Some(item(&request["Key"])));
        for (name, change) in request["AttributeUpdates"].as_object().unwrap() {
            let built = AttributeValueUpdate::builder();
            let built = match &change["Value"] {
                Value::Null => built.action(AttributeAction::Delete),
                // What DynamoDB does without a word, and DynamoDB Local does not.
                given => built.action(AttributeAction::Put).value(value(given)),
            };
            update = update.attribute_updates(name, built.build());
        }
        for (name, expected) in request["Expected"].as_object().into_iter().flatten() {
            assert_eq!(expected["Exists"], false);
            let absent = ExpectedAttributeValue::builder().exists(false).build();
            update = update.expected(name, absent);
        }
        match update.send().await {
            Ok(_) => true,
            Err(error) => {
                assert!(error.into_service_error().is_conditional_check_failed_exception());
                false
            }
        }
    }

    async fn lock(&self) -> session_core::Result<session_core::Locked> {
        let hour = Duration::from_secs(3_600);
        self.store.lock(&key(ID), LockRequest::new(op(), hour, Duration::ZERO)).await
    }
}

pub(crate) async fn every_captured_item_is_the_session_that_php_stored() -> TestResult {
    let mut seen = 0;
    for run in runs() {
        let now = run["unix_time"].as_u64().unwrap();
        let layout = layout(&run);
        let world = World::start(layout.clone(), now).await?;
        for json in run["items_after"].as_array().unwrap() {
            let stored = item(json);
            let name = stored["id"].as_s().unwrap().clone();
            let Some(id) = name.strip_prefix("PHPSESSID_") else { continue };
            let expires = &stored[&layout.lifetime_attribute];
            let is_live = expires.as_n().unwrap().parse::<u64>()? > now;
            world.put(stored.clone()).await;
            let record = world.load(id).await;
            assert_eq!(record.is_some(), is_live, "{run}");
            let Some(record) = record else { continue };
            let data: Vec<u8> = match stored.get(&layout.data_attribute) {
                None => Vec::new(),
                Some(AttributeValue::S(text)) => text.clone().into_bytes(),
                Some(data) => data.as_b().unwrap().clone().into_inner(),
            };
            assert_eq!(record.payload, data, "{run}");
            seen += 1;
        }
    }
    assert!(seen >= 25, "{seen} sessions");
    Ok(())
}

/// What a step of this side makes of PHP's item is what PHP's made of it, to the attribute.
pub(crate) async fn what_this_side_stores_is_what_php_stores() -> TestResult {
    let scenarios = [
        ("new_empty", ""),
        ("same", "a|i:1;"),
        ("changed", "a|i:2;"),
        ("emptied", ""),
        ("binary_attr", "a|i:1;"),
        ("custom_names", "a|i:1;"),
        ("destroy", ""),
        ("lock_new", "a|i:1;"),
        ("lock_same", "a|i:1;"),
        ("lock_changed", "a|i:2;"),
        ("lock_destroy", ""),
        ("extra_attribute_survives", "a|i:2;"),
        ("expired_item", ""),
    ];
    for (scenario, payload) in scenarios {
        let run = run(scenario);
        let layout = layout(&run);
        let wanted: Vec<Item> = run["items_after"].as_array().unwrap().iter().map(item).collect();
        let expires = wanted.first().map(|item| item[&layout.lifetime_attribute].as_n().unwrap());
        let expires = expires.map(|seconds| seconds.parse::<u64>().unwrap());
        let lifetime = run["config"]["session_lifetime"].as_u64().unwrap_or(1440);
        let now = expires.map_or(run["unix_time"].as_u64().unwrap(), |end| end - lifetime);
        let world = World::start(layout, now).await?;
        let response = &run["requests"][0]["response"];
        let before = response.get("Item").or_else(|| response.get("Attributes"));
        if let Some(before) = before.filter(|before| before.as_object().unwrap().len() > 2) {
            let mut before = item(before);
            before.remove("lock");
            world.put(before).await;
        }
        let write = Write::new(payload.to_owned(), Duration::from_secs(lifetime));
        step(&world, write, scenario.ends_with("destroy")).await;
        assert_eq!(world.items().await, wanted, "{scenario}");
    }
    Ok(())
}

/// A page's work: with the lock where there is one, and without a write where nothing changes.
async fn step(world: &World, write: Write, destroys: bool) {
    let (store, key) = (&world.store, key(ID));
    let lease = match store.capabilities().locking.is_yes() {
        true => world.lock().await.unwrap().lease,
        false => None,
    };
    let record = world.load(ID).await;
    let then = Then::Release;
    match (record, &lease) {
        _ if destroys => store.delete(&key, Expected::Any, op()).await.unwrap(),
        (None, lease) => {
            let under = lease.as_ref().map(|lease| Under::new(lease, then));
            store.create(&key, write, op(), under).await.map(drop).unwrap();
        }
        (Some(record), lease) if record.payload == write.payload => {
            store.touch(&key, write.ttl, Incarnation::NONE, op()).await.unwrap();
            if let Some(lease) = lease {
                store.release(&key, lease).await.unwrap();
            }
        }
        (Some(record), lease) => {
            let revision = record.revision;
            let expected = lease.as_ref().map_or(Expected::Revision(revision), |lease| {
                Expected::Lease { lease, revision, then }
            });
            store.save(&key, write, expected, op()).await.map(drop).unwrap();
        }
    }
}

/// A store that locks, and PHP's requests to lock, and to write and unlock.
async fn locking() -> test_servers::Result<(World, Value, Value)> {
    let run = run("lock_changed");
    let world = World::start(layout(&run), run["unix_time"].as_u64().unwrap()).await?;
    world.store.create(&key(ID), Write::new("a|i:1;", LIFETIME), op(), None).await.unwrap();
    Ok((world, run["requests"][0].clone(), run["requests"][1].clone()))
}

pub(crate) async fn php_and_this_side_exclude_each_other() -> TestResult {
    let (world, php_locks, php_writes) = locking().await?;
    let ours = world.lock().await?.lease.unwrap();
    assert!(!world.replay(&php_locks).await, "PHP got a lock that was held");
    world.store.release(&key(ID), &ours).await?;
    assert!(world.replay(&php_locks).await, "PHP did not get a lock that was free");
    let refused = world.lock().await.unwrap_err();
    assert_eq!((refused.kind(), refused.retry_after()), (ErrorKind::LockTimeout, None));
    let record = world.load(ID).await.unwrap();
    let write = Write::new("a|i:7;", LIFETIME);
    let save = world.store.save(&key(ID), write, Expected::Revision(record.revision), op()).await;
    assert_eq!(save.unwrap_err().kind(), ErrorKind::LockHeld);
    assert!(world.replay(&php_writes).await);
    assert_eq!(world.lock().await?.record.unwrap().payload, "a|i:2;");
    Ok(())
}

/// After `max_lock_wait_time` PHP goes on with an empty session, and overwrites.
pub(crate) async fn a_page_that_waited_in_vain_takes_session_and_lock() -> TestResult {
    let (world, ..) = locking().await?;
    let locked = world.lock().await?;
    let busy = run("lock_busy");
    let requests = busy["requests"].as_array().unwrap();
    let (writes, locks) = requests.split_last().unwrap();
    for request in locks {
        assert!(!world.replay(request).await);
    }
    assert!(world.replay(writes).await);
    let (lease, revision) = (locked.lease.unwrap(), locked.record.unwrap().revision);
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
    let late = world.store.save(&key(ID), Write::new("a|i:9;", LIFETIME), expected, op()).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::LockLost);
    assert_eq!(world.load(ID).await.unwrap().payload, "b|i:5;");
    Ok(())
}

pub(crate) async fn a_string_takes_text_only() -> TestResult {
    let run = run("non_utf8_binary_attr");
    for data_type in [PhpData::Text, PhpData::Binary] {
        let layout = layout(&run).with_data_type(data_type);
        let world = World::start(layout, run["unix_time"].as_u64().unwrap()).await?;
        let write = Write::new(b"bin|s:2:\"\x80\xff\";".to_vec(), LIFETIME);
        let created = world.store.create(&key(ID), write.clone(), op(), None).await;
        match data_type {
            PhpData::Text => assert_eq!(created.unwrap_err().kind(), ErrorKind::Unsupported),
            _ => assert_eq!(world.load(ID).await.unwrap().payload, write.payload),
        }
    }
    Ok(())
}
