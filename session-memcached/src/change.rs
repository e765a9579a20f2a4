//! Every write: what was seen of the item, the contract's rule applied to it, and the one conditional
//! command that makes it so. If the item is another one by then, again from the start.

use std::time::Duration;

use session_core::{Error, ErrorKind, Key, Operation, Result, Slot, Timestamp};
use tokio::time::{Instant, sleep};

use crate::{
    BACKEND, MemcachedStore,
    hints::Seen,
    item::{self, Damage, Event},
    keys::ItemName,
    link::{Answer, Command, ConnectionId, Fault, Pinned, Reply},
    revision,
};

/// After so many changes of others in between, a pause lets them get ahead.
const CROWDED: u32 = 4;
const PAUSE: Duration = Duration::from_millis(4);

/// A change of one key.
pub(crate) struct Change<'a> {
    pub(crate) store: &'a MemcachedStore,
    pub(crate) operation: Operation,
    pub(crate) key: &'a Key,
    pub(crate) name: ItemName,
    pub(crate) deadline: Instant,
    /// What the change is to the lock, if it is nothing else.
    pub(crate) event: Option<Event>,
    /// Whether an earlier try may have been done.
    pub(crate) in_doubt: bool,
}

/// The item as it is, as far as the change knows.
struct State {
    /// None: there is no item.
    seen: Option<Seen>,
    /// It was read for this change, with the payload; else it is a hint.
    fresh: bool,
}

/// What has come of a command.
enum Written {
    /// It is done, and the item has this number now, where that was told.
    Done(Option<(u64, ConnectionId)>),
    /// The item was another one.
    Missed,
}

impl<'a> Change<'a> {
    pub(crate) fn new(store: &'a MemcachedStore, operation: Operation, key: &'a Key) -> Self {
        Self {
            store,
            operation,
            key,
            name: store.0.keys.name(key),
            deadline: store.0.link.deadline(),
            event: None,
            in_doubt: false,
        }
    }

    pub(crate) fn event(mut self, event: Event) -> Self {
        self.event = Some(event);
        self
    }

    /// Applies `rule` to the slot and writes what has come of it. The rule may be applied several
    /// times, each time to what the item is then.
    pub(crate) async fn make<T>(
        mut self,
        mut rule: impl FnMut(&mut Slot, Timestamp) -> Result<T> + Send,
    ) -> Result<T> {
        let mut state = self.begin().await?;
        let mut tries = 0_u32;
        while tries == 0 || Instant::now() < self.deadline {
            let mut slot = state.slot();
            let now = self.store.0.clock.now();
            slot.expire(now);
            let before = slot.clone();
            let outcome = rule(&mut slot, now);
            if !state.fresh && (outcome.is_err() || slot == before) {
                // Nothing is refused because of a hint.
                state = self.read().await?;
                continue;
            }
            let value = match outcome {
                Ok(value) => value,
                Err(error) => return Err(self.refused(state, &before, error)),
            };
            if slot == before && !self.must_settle(&state) {
                return Ok(value);
            }
            match self.write(&state, &before, &slot, now).await? {
                Some(Written::Done(told)) => {
                    self.note(&state, &before, slot, told);
                    return Ok(value);
                }
                Some(Written::Missed) => tries += 1,
                None => {}
            }
            if tries >= CROWDED {
                sleep(PAUSE.mul_f64(fastrand::f64())).await;
            }
            state = self.read().await?;
        }
        Err(self.fault(Fault::timeout()))
    }

    /// A write begins with what is remembered. Whoever takes a lock is given the record, which no hint
    /// has whole.
    async fn begin(&self) -> Result<State> {
        let seen = self.store.0.hints.take(self.key.digest());
        if self.operation == Operation::Lock {
            return self.read().await;
        }
        Ok(State { fresh: false, seen })
    }

    /// Whether a lock was taken by an entry that the server would drop, with the item, too early.
    fn must_settle(&self, state: &State) -> bool {
        let appended = |seen: &Seen| seen.entries > 0 && !item::outlives_its_lock(&seen.slot);
        self.operation == Operation::Lock && state.seen.as_ref().is_some_and(appended)
    }

    async fn read(&self) -> Result<State> {
        let asked = self.store.0.link.ask(self.name.get(), &[Command::Get], self.deadline).await;
        let answer = asked.map_err(|fault| self.fault(fault))?;
        let seen = seen(answer).map_err(|unread| self.unread(unread))?;
        Ok(State { seen, fresh: true })
    }

    pub(crate) fn unread(&self, unread: Unread) -> Error {
        match unread {
            Unread::Damage => corrupt(self.operation),
            Unread::Fault(fault) => self.fault(fault),
        }
    }

    fn fault(&self, fault: Fault) -> Error {
        fault.in_doubt(self.in_doubt).into_error(self.operation, true)
    }

    /// What was read for nothing is worth a hint: who is refused may try again at once.
    fn refused(&self, state: State, slot: &Slot, error: Error) -> Error {
        if let Some(seen) = state.seen {
            self.store.0.hints.put(self.key.digest(), seen);
        }
        let error = revision::of_error(slot, error);
        if self.in_doubt { error.with_maybe_applied() } else { error }
    }

    /// Sends the command that makes `before` into `after`. None: it cannot be told from a hint.
    async fn write(
        &mut self,
        state: &State,
        before: &Slot,
        after: &Slot,
        now: Timestamp,
    ) -> Result<Option<Written>> {
        let Some(seen) = &state.seen else {
            if after.is_vacant(now) {
                return Ok(Some(Written::Done(None)));
            }
            if !state.fresh && self.operation != Operation::Create {
                return Ok(None);
            }
            let (value, expiry) = (item::encode(after), item::expiry(after, now));
            return self.add(&value, expiry).await.map(Some);
        };
        let number = seen.number;
        if after.is_vacant(now) {
            return self.send(seen, Command::Delete { number: Some(number) }).await.map(Some);
        }
        let entry = self.event.filter(|_| self.can_append(seen, before, after));
        if let Some(entry) = entry.map(|event| event.encode(now)) {
            let command = Command::Append { value: &entry, number: Some(number) };
            return self.send(seen, command).await.map(Some);
        }
        let kept = match (&before.record, &after.record) {
            (Some(before), Some(after)) => before.version == after.version,
            _ => false,
        };
        if kept && !state.fresh {
            // A hint has no payload.
            return Ok(None);
        }
        let (value, expiry) = (item::encode(after), item::expiry(after, now));
        self.send(seen, Command::Replace { value: &value, expiry, number }).await.map(Some)
    }

    fn can_append(&self, seen: &Seen, before: &Slot, after: &Slot) -> bool {
        self.store.0.appends
            && before.record.is_some()
            && seen.slot.record.is_some()
            && seen.entries < item::MOST_ENTRIES
            && item::outlives_its_lock(after)
    }

    /// Stores the first item of a key. Another connection may be told as well as this one.
    async fn add(&mut self, value: &[u8], expiry: u32) -> Result<Written> {
        let add = Command::Add { value, expiry };
        let asked = self.store.0.link.ask(self.name.get(), &[add], self.deadline).await;
        let answer = asked.map_err(|fault| self.fault(fault))?;
        self.in_doubt |= answer.resent;
        match answer.replies.as_slice() {
            [Reply::Done(number)] => {
                Ok(Written::Done(number.map(|number| (number, answer.connection))))
            }
            [Reply::NotStored] => Ok(Written::Missed),
            [other, ..] => Err(self.fault(Fault::of(other))),
            [] => Err(self.fault(Fault::of(&Reply::Absent))),
        }
    }

    async fn send(&mut self, seen: &Seen, command: Command<'_>) -> Result<Written> {
        let link = &self.store.0.link;
        let asked = link.ask_on(seen.connection, self.name.get(), command, self.deadline).await;
        match asked.map_err(|fault| self.fault(fault))? {
            Pinned::Answered(Reply::Done(number)) => {
                Ok(Written::Done(number.map(|number| (number, seen.connection))))
            }
            Pinned::Answered(Reply::Changed | Reply::Absent | Reply::NotStored) => {
                Ok(Written::Missed)
            }
            Pinned::Answered(other) => Err(self.fault(Fault::of(&other).in_doubt(true))),
            Pinned::Moved { in_doubt } => {
                self.in_doubt |= in_doubt;
                Ok(Written::Missed)
            }
        }
    }

    /// Takes note of what the item is now, and tells the next in line if the lock is free sooner
    /// than he knows.
    fn note(&self, state: &State, before: &Slot, after: Slot, told: Option<(u64, ConnectionId)>) {
        let until = |slot: &Slot| slot.holder.map(|holder| holder.until);
        if until(&after) < until(before) {
            self.store.0.queue.wake(self.key.digest());
        }
        let Some((number, connection)) = told else { return };
        let appended = |seen: &&Seen| self.event.is_some() && self.can_append(seen, before, &after);
        let entries = state.seen.as_ref().filter(appended).map_or(0, |seen| seen.entries + 1);
        let seen = Seen { slot: after, entries, number, connection };
        self.store.0.hints.put(self.key.digest(), seen);
    }
}

impl State {
    fn slot(&self) -> Slot {
        self.seen.as_ref().map(|seen| seen.slot.clone()).unwrap_or_default()
    }
}

/// Why an item cannot be read.
pub(crate) enum Unread {
    Damage,
    Fault(Fault),
}

/// The item in the reply to a [`Command::Get`], which comes last.
pub(crate) fn seen(mut answer: Answer) -> std::result::Result<Option<Seen>, Unread> {
    match answer.replies.pop() {
        Some(Reply::Absent) => Ok(None),
        Some(Reply::Value(value, number)) => {
            let (slot, entries) = item::decode(&value).map_err(|Damage| Unread::Damage)?;
            Ok(Some(Seen { slot, entries, number, connection: answer.connection }))
        }
        Some(other) => Err(Unread::Fault(Fault::of(&other))),
        None => Err(Unread::Fault(Fault::of(&Reply::Absent))),
    }
}

pub(crate) fn corrupt(operation: Operation) -> Error {
    Error::new(ErrorKind::Corrupt, BACKEND, operation)
        .with_detail("what is stored is damaged or not a session")
}
