//! Units of capacity that a page consumes, by the size of its session: ours, and what others send.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    primitives::Blob,
    types::{AttributeValue, ConsumedCapacity, ReturnConsumedCapacity},
};
use session_core::{
    Expected, KeyHasher, LockRequest, OpToken, ReadOptions, SessionId, SessionStore, Then, Write,
};
use session_dynamo::{Consumed, DynamoStore, Leases};
use test_servers::dynamodb::Server;

use super::{client, ours::open, table as make};
use crate::{
    measure::Result,
    report::Table,
    setup::{LEASE, TTL},
};

/// Read and write units.
type Units = (f64, f64);

const SIZES: [(&str, usize); 4] =
    [("0.5 KB", 512), ("2 KB", 2_048), ("8 KB", 8_192), ("40 KB", 40_960)];
const UNITS: ReturnConsumedCapacity = ReturnConsumedCapacity::Total;

/// All of them, as read + write.
pub(super) async fn table(server: &Server) -> Result<Table> {
    let inside = open(server, "units", Leases::InItem).await?;
    let aside = open(server, "units-aside", Leases::Aside).await?;
    let others = Others { client: client(server), table: make(server, "units-others").await? };
    let mut rows = Vec::new();
    for (name, size) in SIZES {
        // What does not shrink, so that the sizes are those that are stored.
        let payload: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(size).collect();
        let [unlocked, locked] = ours(&inside, &payload).await?;
        let [unlocked_aside, locked_aside] = ours(&aside, &payload).await?;
        let [php, php_locked] = others.php(size).await?;
        let rust = others.rust(size).await?;
        let units = [unlocked, php, rust, locked, locked_aside, php_locked, unlocked_aside];
        let cells = units.map(|(read, write)| format!("{read} + {write}"));
        rows.push([name.to_owned()].into_iter().chain(cells).collect());
    }
    let head = [
        "stored",
        "unlocked",
        "PHP",
        "tower-sessions",
        "locked",
        "locked, aside",
        "PHP, locked",
        "unlocked, aside",
    ];
    let title = "Units of a page that reads a session, changes it and saves it: read + write";
    Ok(Table { title, head: head.to_vec(), rows })
}

async fn ours(store: &DynamoStore, payload: &[u8]) -> Result<[Units; 2]> {
    let key = KeyHasher::plain().key(&SessionId::generate()?);
    let write = || Write::new(payload.to_vec(), TTL);
    let mut revision = store.create(&key, write(), OpToken::generate()?, None).await?;
    // One that has been in use for a while remembers as many commits as it can.
    for _ in 0..4 {
        let expected = Expected::Revision(revision);
        revision = store.save(&key, write(), expected, OpToken::generate()?).await?;
    }
    let start = store.consumed();
    let read = store.load(&key, ReadOptions::latest()).await?.ok_or("no record")?;
    let expected = Expected::Revision(read.revision);
    store.save(&key, write(), expected, OpToken::generate()?).await?;
    let unlocked = store.consumed();
    let request = LockRequest::new(OpToken::generate()?, LEASE, Duration::ZERO);
    let locked = store.lock(&key, request).await?;
    let (lease, record) = (locked.lease.ok_or("no lease")?, locked.record.ok_or("no record")?);
    let (revision, then) = (record.revision, Then::Release);
    let expected = Expected::Lease { lease: &lease, revision, then };
    store.save(&key, write(), expected, OpToken::generate()?).await?;
    Ok([between(start, unlocked), between(unlocked, store.consumed())])
}

fn between(start: Consumed, end: Consumed) -> Units {
    (end.read_units - start.read_units, end.write_units - start.write_units)
}

fn units(told: Option<&ConsumedCapacity>) -> f64 {
    told.and_then(ConsumedCapacity::capacity_units).unwrap_or(f64::NAN)
}

fn id(size: usize) -> AttributeValue {
    AttributeValue::S(format!("PHPSESSID_{size:026}"))
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// What others send for the same.
struct Others {
    client: Client,
    table: &'static str,
}

impl Others {
    /// The AWS SDK for PHP's handler, without and with its locking.
    async fn php(&self, size: usize) -> Result<[Units; 2]> {
        self.php_write(size).await?;
        let read = self.client.get_item().table_name(self.table).key("id", id(size));
        let read = read.consistent_read(true).return_consumed_capacity(UNITS).send().await?;
        let unlocked = (units(read.consumed_capacity()), self.php_write(size).await?);
        let lock = self.client.update_item().table_name(self.table).key("id", id(size));
        let lock = lock.update_expression("SET #l = :l").expression_attribute_names("#l", "lock");
        let lock = lock.expression_attribute_values(":l", number(1));
        let lock = lock.return_consumed_capacity(UNITS).send().await?;
        let write = units(lock.consumed_capacity()) + self.php_write(size).await?;
        Ok([unlocked, (0.0, write)])
    }

    async fn php_write(&self, size: usize) -> Result<f64> {
        let write = self.client.update_item().table_name(self.table).key("id", id(size));
        let write = write
            .update_expression("SET expires = :e, #d = :d REMOVE #l")
            .expression_attribute_names("#d", "data")
            .expression_attribute_names("#l", "lock")
            .expression_attribute_values(":e", number(4_102_444_800))
            .expression_attribute_values(":d", AttributeValue::S("x".repeat(size)));
        let write = write.return_consumed_capacity(UNITS).send().await?;
        Ok(units(write.consumed_capacity()))
    }

    /// tower-sessions-dynamodb-store: a query that may be stale, and a put without a condition.
    async fn rust(&self, size: usize) -> Result<Units> {
        let item = HashMap::from([
            ("id".to_owned(), id(size)),
            ("data".to_owned(), AttributeValue::B(Blob::new(vec![b'x'; size]))),
            ("expire_at".to_owned(), number(4_102_444_800)),
        ]);
        let put = self.client.put_item().table_name(self.table).set_item(Some(item));
        let put = put.return_consumed_capacity(UNITS).send().await?;
        let query = self.client.query().table_name(self.table).key_condition_expression("id = :id");
        let query = query.expression_attribute_values(":id", id(size));
        let query = query.return_consumed_capacity(UNITS).send().await?;
        Ok((units(query.consumed_capacity()), units(put.consumed_capacity())))
    }
}
