//! Every write: the item as it is, the contract's own rule on it, and a write on condition that the
//! item is still that one.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use session_core::{Error, ErrorKind, Jitter, Key, Operation, Result, Slot, Timestamp};
use tokio::time::{Instant, sleep};

use super::{
    PhpStore,
    item::{self, Damage, PHP},
    layout::LOCK,
};
use crate::{BACKEND, change::corrupt, fault::Fault, item::Attributes, link::Answered};

/// After so many changes of others in between, a pause lets them get ahead.
const CROWDED: u32 = 3;
const PAUSE: Duration = Duration::from_millis(10);

/// A change of one session.
pub(super) struct Change<'a> {
    store: &'a PhpStore,
    operation: Operation,
    key: &'a Key,
    name: String,
    deadline: Instant,
    /// Whether an earlier attempt may have been done.
    in_doubt: bool,
}

/// What an item's attributes have to be for a write, and what they become.
#[derive(Default)]
struct Words {
    conditions: Vec<String>,
    set: Vec<String>,
    remove: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl<'a> Change<'a> {
    pub(super) fn new(store: &'a PhpStore, operation: Operation, key: &'a Key) -> Result<Self> {
        let refuse = |kind| Error::new(kind, BACKEND, operation);
        let id = key.secret().ok_or_else(|| {
            refuse(ErrorKind::Unsupported).with_detail("PHP's layout needs the id of a session")
        })?;
        let name = store.0.layout.key(id.expose());
        let name = name.ok_or_else(|| refuse(ErrorKind::InvalidId))?;
        let deadline = store.0.link.deadline();
        Ok(Self { store, operation, key, name, deadline, in_doubt: false })
    }

    /// The slot as it is now.
    pub(super) async fn slot(&self) -> Result<Slot> {
        self.decoded(&self.read().await?)
    }

    fn decoded(&self, item: &Attributes) -> Result<Slot> {
        item::decode(item, &self.store.0.layout).map_err(|Damage| corrupt(self.operation))
    }

    /// Applies the rule to what the item is, and writes what has come of it. The rule may be applied
    /// several times, each time to what the item is then.
    pub(super) async fn make<T>(
        mut self,
        mut rule: impl FnMut(&mut Slot, Timestamp) -> Result<T> + Send,
    ) -> Result<T> {
        let (mut tries, mut pauses) = (0, Jitter::new(PAUSE, PAUSE * 8));
        while tries == 0 || Instant::now() < self.deadline {
            let item = self.read().await?;
            let mut slot = self.decoded(&item)?;
            let now = self.store.0.link.clock.now();
            slot.expire(now);
            let before = slot.clone();
            let value = rule(&mut slot, now).map_err(|error| self.refused(error, &before))?;
            if slot == before || self.write(&item, &before, &slot, now).await? {
                if self.operation != Operation::Lock {
                    self.store.0.queue.wake(self.key.digest());
                }
                return Ok(value);
            }
            tries += 1;
            if tries >= CROWDED {
                sleep(pauses.pause()).await;
            }
        }
        Err(self.fault(Fault::crowded()))
    }

    async fn read(&self) -> Result<Attributes> {
        let read = read(self.store, &self.name, self.deadline).await;
        read.map_err(|mut fault| {
            // A read changes nothing; there may be a doubt of an earlier write.
            fault.in_doubt = false;
            self.fault(fault)
        })
    }

    /// Makes the item what the slot is, if it is still the same; whether it was.
    async fn write(
        &mut self,
        item: &Attributes,
        before: &Slot,
        slot: &Slot,
        now: Timestamp,
    ) -> Result<bool> {
        let mut words = self.unchanged(item);
        if slot.is_vacant(now) {
            return self.delete(words).await;
        }
        self.becomes(&mut words, before, slot);
        self.update(words).await
    }

    fn unchanged(&self, item: &Attributes) -> Words {
        let layout = &self.store.0.layout;
        let mut words = Words::default();
        if item.is_empty() {
            words.when_absent("k", &layout.hash_key);
            return words;
        }
        let names =
            [("d", &*layout.data_attribute), ("e", &layout.lifetime_attribute), ("l", LOCK)];
        for (short, name) in names {
            match item.get(name) {
                Some(value) => words.when_is(short, name, value.clone()),
                None => words.when_absent(short, name),
            }
        }
        words
    }

    /// The bytes are written only where they are others, as PHP does: what a peer has written stays of
    /// its type.
    fn becomes(&self, words: &mut Words, before: &Slot, slot: &Slot) {
        let layout = &self.store.0.layout;
        let payload = |slot: &'_ Slot| slot.record.as_ref().map(|record| record.payload.clone());
        let now = payload(slot);
        if now != payload(before) || now.is_none() {
            let data = now.and_then(|payload| item::data(&payload, layout.data_type));
            words.becomes("d", &layout.data_attribute, data);
        }
        let expires = slot.record.as_ref().map(|record| item::expires(record.deadline));
        words.becomes("e", &layout.lifetime_attribute, expires);
        words.becomes("l", LOCK, slot.holder.map(item::lock));
    }

    async fn update(&mut self, words: Words) -> Result<bool> {
        let link = &self.store.0.link;
        let request = link
            .client
            .update_item()
            .table_name(&link.table)
            .set_key(Some(key(self.store, &self.name)))
            .update_expression(words.update())
            .condition_expression(words.conditions.join(" AND "))
            .set_expression_attribute_names(Some(words.names))
            .set_expression_attribute_values(Some(words.values).filter(|all| !all.is_empty()));
        let sent = link.send(self.deadline, || request.clone().send()).await;
        self.is_done(sent)
    }

    async fn delete(&mut self, words: Words) -> Result<bool> {
        let link = &self.store.0.link;
        let request = link
            .client
            .delete_item()
            .table_name(&link.table)
            .set_key(Some(key(self.store, &self.name)))
            .condition_expression(words.conditions.join(" AND "))
            .set_expression_attribute_names(Some(words.names))
            .set_expression_attribute_values(Some(words.values).filter(|all| !all.is_empty()));
        let sent = link.send(self.deadline, || request.clone().send()).await;
        self.is_done(sent)
    }

    /// Whether a write was done, or refused because its condition was not met.
    fn is_done<O, E>(&mut self, sent: Result<Answered<O, E>, Fault>) -> Result<bool> {
        let (answer, in_doubt) = sent.map_err(|fault| self.fault(fault))?;
        self.in_doubt |= in_doubt;
        Ok(answer.is_ok())
    }

    fn fault(&self, fault: Fault) -> Error {
        let writes = self.operation != Operation::Load;
        fault.in_doubt(self.in_doubt).into_error(self.operation, writes)
    }

    /// A lock of PHP's has no end that could be told.
    fn refused(&self, mut error: Error, before: &Slot) -> Error {
        let is_php = before.holder.is_some_and(|holder| holder.token == PHP);
        let left = error.retry_after().filter(|_| !is_php);
        let left = left.map(|held| held.saturating_sub(self.store.0.skew()));
        let current = error.take_current().map(item::shown);
        let error = error.with_retry_after(left).with_current(current);
        if self.in_doubt { error.with_maybe_applied() } else { error }
    }
}

/// Reads an item that nobody writes.
pub(super) async fn ping(store: &PhpStore) -> Result<()> {
    let read = read(store, "session-ping", store.0.link.deadline()).await;
    read.map(drop).map_err(|fault| fault.into_error(Operation::Ping, false))
}

/// Reads an item, as it is now. It is empty where there is none.
async fn read(store: &PhpStore, name: &str, deadline: Instant) -> Result<Attributes, Fault> {
    let link = &store.0.link;
    let request = link
        .client
        .get_item()
        .table_name(&link.table)
        .set_key(Some(key(store, name)))
        .consistent_read(true);
    let (answer, _) = link.send(deadline, || request.clone().send()).await?;
    let answer = answer.map_err(|error| Fault::of(&error))?;
    Ok(answer.item.unwrap_or_default())
}

fn key(store: &PhpStore, name: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([(store.0.layout.hash_key.clone(), AttributeValue::S(name.to_owned()))])
}

impl Words {
    fn when_absent(&mut self, short: &str, name: &str) {
        self.names.insert(format!("#{short}"), name.to_owned());
        self.conditions.push(format!("attribute_not_exists(#{short})"));
    }

    fn when_is(&mut self, short: &str, name: &str, value: AttributeValue) {
        self.names.insert(format!("#{short}"), name.to_owned());
        self.conditions.push(format!("#{short} = :w{short}"));
        self.values.insert(format!(":w{short}"), value);
    }

    fn becomes(&mut self, short: &str, name: &str, value: Option<AttributeValue>) {
        self.names.insert(format!("#{short}"), name.to_owned());
        match value {
            None => self.remove.push(format!("#{short}")),
            Some(value) => {
                self.set.push(format!("#{short} = :s{short}"));
                self.values.insert(format!(":s{short}"), value);
            }
        }
    }

    fn update(&self) -> String {
        let part = |verb: &str, parts: &[String]| {
            if parts.is_empty() { String::new() } else { format!("{verb} {} ", parts.join(", ")) }
        };
        part("SET", &self.set) + &part("REMOVE", &self.remove)
    }
}
