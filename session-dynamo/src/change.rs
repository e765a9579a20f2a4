//! Every write: at first under a condition that DynamoDB judges; and where that is refused, the
//! contract's own rule on the item that came with the refusal, and a write on condition that the item
//! is still that one.

use std::time::Duration;

use session_core::{Error, ErrorKind, Jitter, Key, Operation, Result, Slot, Timestamp};
use tokio::time::{Instant, sleep};

use crate::{
    BACKEND, DynamoStore,
    expression::{Expression, NOW},
    fault::Fault,
    item::{self, Attributes, Damage, EXPIRES, FORMAT, HOLDER, OF_RECORD, TELLING, UNTIL, number},
    link::{Call, Outcome, Part, Statement, Written},
    quick::Quick,
};

/// After so many changes of others in between, a pause lets them get ahead.
const CROWDED: u32 = 3;
const PAUSE: Duration = Duration::from_millis(10);

/// A change of one key.
pub(crate) struct Change<'a> {
    store: &'a DynamoStore,
    operation: Operation,
    key: &'a Key,
    name: String,
    deadline: Instant,
    /// Whether an earlier attempt may have been done.
    in_doubt: bool,
}

impl<'a> Change<'a> {
    pub(crate) fn new(store: &'a DynamoStore, operation: Operation, key: &'a Key) -> Self {
        Self::of(store, operation, key, store.0.keys.name(key))
    }

    /// Of the item of its lock, where that is another one.
    pub(crate) fn of_lock(store: &'a DynamoStore, operation: Operation, key: &'a Key) -> Self {
        Self::of(store, operation, key, store.0.keys.lock_name(key))
    }

    fn of(store: &'a DynamoStore, operation: Operation, key: &'a Key, name: String) -> Self {
        let deadline = store.0.link.deadline();
        Self { store, operation, key, name, deadline, in_doubt: false }
    }

    /// With the deadline of the operation that it is a part of.
    pub(crate) fn until(self, deadline: Instant) -> Self {
        Self { deadline, ..self }
    }

    /// Does it in one request if it can be judged by DynamoDB, else by the rule.
    pub(crate) async fn make<T>(
        mut self,
        quick: Quick<T>,
        rule: impl FnMut(&mut Slot, Timestamp) -> Result<T> + Send,
    ) -> Result<T> {
        let item = match quick {
            None => self.read(Part::All).await?,
            Some((statement, value)) => match self.write(&statement).await? {
                Outcome::Done(_) => return Ok(value),
                Outcome::Refused(item) => item,
            },
        };
        self.settle(item, rule).await
    }

    /// Applies the rule to what the item is, and writes what has come of it. The rule may be applied
    /// several times, each time to what the item is then.
    pub(crate) async fn settle<T>(
        mut self,
        mut item: Attributes,
        mut rule: impl FnMut(&mut Slot, Timestamp) -> Result<T> + Send,
    ) -> Result<T> {
        let (mut tries, mut pauses) = (0, Jitter::new(PAUSE, PAUSE * 8));
        while tries == 0 || Instant::now() < self.deadline {
            let mut slot = self.slot(&item)?;
            let now = self.store.now();
            slot.expire(now);
            let before = slot.clone();
            let value = rule(&mut slot, now).map_err(|error| self.refused(error))?;
            if slot == before || (item.is_empty() && slot.is_vacant(now)) {
                return Ok(value);
            }
            match self.write(&statement(&item, &before, &slot, now)).await? {
                Outcome::Done(_) => return Ok(value),
                Outcome::Refused(other) => item = other,
            }
            tries += 1;
            if tries >= CROWDED {
                sleep(pauses.pause()).await;
            }
        }
        Err(self.fault(Fault::crowded()))
    }

    /// Sends a write, and tells the next in line: the lock may be free.
    pub(crate) async fn write(&mut self, statement: &Statement) -> Result<Outcome> {
        let written = self.store.0.link.write(&self.name, statement, self.call()).await;
        let Written { outcome, in_doubt, .. } = written.map_err(|fault| self.fault(fault))?;
        self.in_doubt |= in_doubt;
        let frees = self.operation != Operation::Lock && self.operation != Operation::Touch;
        if frees && matches!(outcome, Outcome::Done(_)) {
            self.store.0.queue.wake(self.key.digest());
        }
        Ok(outcome)
    }

    pub(crate) async fn read(&self, part: Part) -> Result<Attributes> {
        let read = self.store.0.link.get(&self.name, part, self.call()).await;
        // A read changes nothing; there may be a doubt of an earlier write.
        read.map_err(|mut fault| {
            fault.in_doubt = false;
            self.fault(fault)
        })
    }

    fn call(&self) -> Call {
        Call { operation: self.operation, deadline: self.deadline }
    }

    /// The slot that an item stands for.
    pub(crate) fn slot(&self, item: &Attributes) -> Result<Slot> {
        if item.is_empty() {
            return Ok(Slot::default());
        }
        item::decode(item).map_err(|Damage| corrupt(self.operation))
    }

    fn fault(&self, fault: Fault) -> Error {
        let writes = self.operation != Operation::Load;
        fault.in_doubt(self.in_doubt).into_error(self.operation, writes)
    }

    /// With what a caller sees of a refusal.
    pub(crate) fn refused(&self, error: Error) -> Error {
        let left = error.retry_after().map(|held| self.store.left_of(held));
        let error = error.with_retry_after(left);
        if self.in_doubt { error.with_maybe_applied() } else { error }
    }
}

pub(crate) fn corrupt(operation: Operation) -> Error {
    Error::new(ErrorKind::Corrupt, BACKEND, operation)
        .with_detail("what is stored is damaged or not a session")
}

/// Makes `item` into what `after` is, if it is still the same. A record that lives on must be alive
/// when that is done: it may expire while the write is repeated, and must not come back.
fn statement(item: &Attributes, before: &Slot, after: &Slot, now: Timestamp) -> Statement {
    let same = unchanged(item);
    if after.is_vacant(now) {
        return Statement::Delete(same);
    }
    let same = if before.record.is_some() && after.record.is_some() {
        same.when("x > :now", [(NOW, number(now.as_millis()))])
    } else {
        same
    };
    let wanted = item::encode(after);
    let ours = [FORMAT, HOLDER, UNTIL, EXPIRES].into_iter().chain(OF_RECORD);
    let gone = ours.filter(|name| item.contains_key(*name) && !wanted.contains_key(name));
    let write = gone.fold(same, Expression::remove);
    let changed = wanted.into_iter().filter(|(name, value)| item.get(*name) != Some(value));
    Statement::Update(write.set_all(changed.collect()))
}

/// On condition that the item is the one that was seen.
fn unchanged(item: &Attributes) -> Expression {
    let write = Expression::default();
    if item.is_empty() {
        return write.when("attribute_not_exists(id)", []);
    }
    TELLING.iter().fold(write, |write, name| match item.get(*name) {
        None => write.when(&format!("attribute_not_exists({name})"), []),
        Some(value) => {
            let was = format!(":w_{}", name.trim_start_matches('#'));
            write.when(&format!("{name} = {was}"), [(&was, value.clone())])
        }
    })
}
