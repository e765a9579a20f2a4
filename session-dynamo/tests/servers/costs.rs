//! What sessions cost, in units of capacity, beside what others send for the same work.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    primitives::Blob,
    types::{AttributeValue, ConsumedCapacity, ReturnConsumedCapacity},
};
use session_core::{Expected, SessionStore, Then};
use session_dynamo::{Consumed, DynamoStore};
use test_load::{HOUR, create, load, lock, new_key, op, say, write};
use test_servers::{TestResult, dynamodb::Server};

use crate::support::{World, client};

const KB: usize = 1_024;

/// Read and write units.
pub(crate) type Units = (f64, f64);

/// Reads, changes and saves a session of so many bytes, without a lock and with it.
async fn ours(store: &DynamoStore, size: usize) -> Result<[Units; 2], Box<dyn std::error::Error>> {
    ours_of(store, &noise(size)).await
}

/// What does not become smaller when it is compressed.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    std::iter::repeat_with(|| fastrand::u8(..)).take(size).collect()
}

pub(crate) async fn ours_of(
    store: &DynamoStore,
    payload: &[u8],
) -> Result<[Units; 2], Box<dyn std::error::Error>> {
    let key = new_key();
    let mut revision = create(store, &key, payload).await;
    // A session that has been in use for a while remembers as many commits as it can.
    for _ in 0..4 {
        revision = store.save(&key, write(payload), Expected::Revision(revision), op()).await?;
    }
    let start = store.consumed();
    let read = load(store, &key).await?.unwrap();
    store.save(&key, write(payload), Expected::Revision(read.revision), op()).await?;
    let unlocked = store.consumed();
    let locked = store.lock(&key, lock(HOUR / 2, Duration::ZERO)).await?;
    let (lease, revision) = (locked.lease.unwrap(), locked.record.unwrap().revision);
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
    store.save(&key, write(payload), expected, op()).await?;
    Ok([between(start, unlocked), between(unlocked, store.consumed())])
}

fn between(start: Consumed, end: Consumed) -> Units {
    (end.read_units - start.read_units, end.write_units - start.write_units)
}

fn units(told: Option<&ConsumedCapacity>) -> f64 {
    told.and_then(ConsumedCapacity::capacity_units).unwrap()
}

/// In place of an expiry, in the year 2100: the table removes what has expired.
const LATER: &str = "4102444800";

/// The same as the AWS SDK for PHP's handler sends it.
struct Php<'a> {
    client: &'a Client,
    table: &'a str,
    size: usize,
}

impl Php<'_> {
    async fn unlocked(&self) -> Result<Units, aws_sdk_dynamodb::Error> {
        let read = self.client.get_item().table_name(self.table).key("id", id(self.size));
        let read =
            read.consistent_read(true).return_consumed_capacity(ReturnConsumedCapacity::Total);
        let read = read.send().await?;
        Ok((units(read.consumed_capacity()), self.write().await?))
    }

    async fn locked(&self) -> Result<Units, aws_sdk_dynamodb::Error> {
        let lock = self.client.update_item().table_name(self.table).key("id", id(self.size));
        let lock = lock.update_expression("SET #l = :l").expression_attribute_names("#l", "lock");
        let lock = lock.expression_attribute_values(":l", AttributeValue::N("1".to_owned()));
        let lock = lock.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await?;
        Ok((0.0, units(lock.consumed_capacity()) + self.write().await?))
    }

    async fn write(&self) -> Result<f64, aws_sdk_dynamodb::Error> {
        let data = AttributeValue::S("x".repeat(self.size));
        let write = self.client.update_item().table_name(self.table).key("id", id(self.size));
        let write = write
            .update_expression("SET expires = :e, #d = :d REMOVE #l")
            .expression_attribute_names("#d", "data")
            .expression_attribute_names("#l", "lock")
            .expression_attribute_values(":e", AttributeValue::N(LATER.to_owned()))
            .expression_attribute_values(":d", data);
        let write = write.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await?;
        Ok(units(write.consumed_capacity()))
    }
}

/// The same as tower-sessions-dynamodb-store sends it: a query without consistent reading, and a put
/// without a condition.
async fn rust(client: &Client, table: &str, size: usize) -> Result<Units, aws_sdk_dynamodb::Error> {
    let item = HashMap::from([
        ("id".to_owned(), id(size)),
        ("data".to_owned(), AttributeValue::B(Blob::new(vec![b'x'; size]))),
        ("expire_at".to_owned(), AttributeValue::N(LATER.to_owned())),
    ]);
    let put = client.put_item().table_name(table).set_item(Some(item));
    let put = put.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await?;
    let query = client.query().table_name(table).key_condition_expression("id = :id");
    let query = query.expression_attribute_values(":id", id(size));
    let query = query.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await?;
    Ok((units(query.consumed_capacity()), units(put.consumed_capacity())))
}

fn id(size: usize) -> AttributeValue {
    AttributeValue::S(format!("PHPSESSID_{size:026}"))
}

pub(crate) fn row((read, write): Units) -> String {
    format!("{read} + {write}")
}

pub(crate) async fn units_of_a_request_by_size() -> TestResult {
    let world = World::start().await?;
    let bare = client(&Server::shared().await?.url());
    say("units a request consumes, read + write:".to_owned());
    say("| session | unlocked | locked | PHP unlocked | PHP locked | Rust unlocked |".to_owned());
    say("| --- | --- | --- | --- | --- | --- |".to_owned());
    for (name, size) in [("0.5 KB", KB / 2), ("2 KB", 2 * KB), ("8 KB", 8 * KB), ("40 KB", 40 * KB)]
    {
        let [unlocked, locked] = ours(&world.store, size).await?;
        let php = Php { client: &bare, table: &world.table, size };
        php.write().await?;
        let (php_unlocked, php_locked) = (php.unlocked().await?, php.locked().await?);
        let rust = rust(&bare, &world.table, size).await?;
        let cells = [unlocked, locked, php_unlocked, php_locked, rust].map(row);
        say(format!("| {name} | {} |", cells.join(" | ")));
        for (ours, php) in [(unlocked, php_unlocked), (locked, php_locked)] {
            assert!(ours.0 <= php.0 && ours.1 <= php.1, "{name}: {ours:?}, {php:?}");
        }
    }
    Ok(())
}

pub(crate) async fn a_large_session_of_text_is_billed_by_what_it_shrinks_to() -> TestResult {
    let world = World::start().await?;
    let entries = (0..500).map(|n| format!("\"item-{n}\":{{\"count\":{n},\"price\":\"9.90\"}},"));
    let text: String = entries.collect();
    assert!(text.len() > 18 * KB);
    let [unlocked, locked] = ours_of(&world.store, text.as_bytes()).await?;
    assert!(unlocked.1 <= 8.0 && locked.1 <= 16.0, "{unlocked:?}, {locked:?}");
    Ok(())
}
