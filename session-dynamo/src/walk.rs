//! The walk over all sessions.

use aws_sdk_dynamodb::types::AttributeValue;
use session_core::{Cursor, Key, KeyPage, Operation, Result};

use crate::{
    DynamoStore,
    item::{Attributes, FORMAT_1, ID, Values, number},
    link::Page,
};

/// How many items one request looks at, at most. DynamoDB stops at 1 MB anyway.
pub(crate) const MOST: usize = 1_000;
/// How many requests a page of keys takes, at most.
pub(crate) const REQUESTS: usize = 16;
/// The only segment of one.
pub(crate) const WHOLE: (u8, u8) = (0, 1);
/// The longest key that DynamoDB takes.
const LONGEST_NAME: usize = 2_048;
const LIVE: &str = "f = :f AND begins_with(id, :prefix) AND x > :now";

/// See [`keys`](session_core::Enumeration::keys).
pub(crate) async fn keys(
    store: &DynamoStore,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<KeyPage> {
    let limit = limit.max(1);
    let (mut keys, mut after) = (Vec::new(), start(cursor));
    for _ in 0..REQUESTS {
        let page = Page {
            filter: LIVE,
            values: values(store),
            segment: WHOLE,
            after: after.take(),
            limit: (limit - keys.len()).min(MOST),
            consistent: true,
        };
        let link = &store.0.link;
        let scanned = link.scan(page, link.call(Operation::Enumerate)).await;
        let (page, _) = scanned.map_err(|fault| fault.into_error(Operation::Enumerate, false))?;
        keys.extend(page.items().iter().filter_map(|item| key(store, item)));
        after = page.last_evaluated_key().and_then(name).map(str::to_owned);
        if after.is_none() || keys.len() >= limit {
            break;
        }
    }
    Ok(KeyPage::new(keys, after.map(|name| Cursor::new(name.into_bytes()))))
}

/// What filters name.
pub(crate) fn values(store: &DynamoStore) -> Values {
    Values::from([
        (":f", number(FORMAT_1)),
        (":prefix", AttributeValue::S(store.0.keys.prefix().to_owned())),
        (":now", number(store.now().as_millis())),
    ])
}

/// The item after which a cursor goes on; the beginning for a cursor of another store.
pub(crate) fn start(cursor: Option<&Cursor>) -> Option<String> {
    let name = std::str::from_utf8(cursor?.as_bytes()).ok()?;
    (1..=LONGEST_NAME).contains(&name.len()).then(|| name.to_owned())
}

/// The name of an item.
pub(crate) fn name(item: &Attributes) -> Option<&str> {
    item.get(ID).and_then(|id| id.as_s().ok()).map(String::as_str)
}

fn key(store: &DynamoStore, item: &Attributes) -> Option<Key> {
    store.0.keys.key(name(item)?)
}
