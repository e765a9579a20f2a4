//! Every write: what was seen of the item, the contract's rule applied to it, and the one conditional
//! command that makes it so. If the item is another one by then, again from the start.

use std::time::Duration;

use session_core::{
    Deadline, Error, ErrorKind, Holder, Incarnation, Key, Operation, Result, Slot, Timestamp,
};
use tokio::time::{Instant, sleep};

use crate::{
    BACKEND, MemcachedStore,
    hints::{Seen, Version},
    item::{self, Damage, Event},
    keys::Name,
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
    pub(crate) name: Name<'a>,
    pub(crate) deadline: Instant,
    /// What the change is to the lock, if it is nothing else.
    pub(crate) event: Option<Event>,
    /// Whether an earlier try may have been done.
    pub(crate) in_doubt: bool,
}

/// The item as it is, as far as the change knows.
struct State {
    slot: Slot,
    /// None: there is no item.
    version: Option<Version>,
    /// It was read for this change, with the payload; else it is a hint.
    fresh: bool,
}

/// What the change began with.
struct Before {
    facts: Facts,
    version: Option<Version>,
    fresh: bool,
}

/// What tells two states of a slot apart.
#[derive(PartialEq, Eq)]
struct Facts {
    commit: Option<(Incarnation, u64)>,
    deadline: Option<Deadline>,
    holder: Option<Holder>,
}

impl Facts {
    fn of(slot: &Slot) -> Self {
        let record = slot.record.as_ref();
        Self {
            commit: record.map(|record| (record.incarnation, record.version)),
            deadline: record.map(|record| record.deadline),
            holder: slot.holder,
        }
    }
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
            let State { mut slot, version, fresh } = state;
            let now = self.store.0.clock.now();
            slot.expire(now);
            let before = Before { facts: Facts::of(&slot), version, fresh };
            let outcome = rule(&mut slot, now);
            let changed = before.facts != Facts::of(&slot);
            if !fresh && (outcome.is_err() || !changed) {
                // Nothing is refused because of a hint.
                state = self.read().await?;
                continue;
            }
            let value = match outcome {
                Ok(value) => value,
                Err(error) => return Err(self.refused(slot, version, error)),
            };
            if !changed && !self.must_settle(&slot, version) {
                return Ok(value);
            }
            match self.write(&before, &slot, now).await? {
                Some(Written::Done(told)) => {
                    self.note(&before, slot, told);
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
        Ok(State::of(seen, false))
    }

    /// Whether a lock was taken by an entry that the server would drop, with the item, too early.
    fn must_settle(&self, slot: &Slot, version: Option<Version>) -> bool {
        let appended = version.is_some_and(|version| version.entries > 0);
        self.operation == Operation::Lock && appended && !item::outlives_its_lock(slot)
    }

    async fn read(&self) -> Result<State> {
        let asked = self.store.0.link.ask(&self.name, &[Command::Get], self.deadline).await;
        let answer = asked.map_err(|fault| self.fault(fault))?;
        let seen = seen(answer).map_err(|unread| self.unread(unread))?;
        Ok(State::of(seen, true))
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
    fn refused(&self, slot: Slot, version: Option<Version>, error: Error) -> Error {
        let error = revision::of_error(&slot, error);
        if let Some(version) = version {
            self.store.0.hints.put(self.key.digest(), Seen { slot, version });
        }
        if self.in_doubt { error.with_maybe_applied() } else { error }
    }

    /// Sends the command that makes the slot what it is `after`. None: it cannot be told from a
    /// hint.
    async fn write(
        &mut self,
        before: &Before,
        after: &Slot,
        now: Timestamp,
    ) -> Result<Option<Written>> {
        let Some(version) = before.version else {
            if after.is_vacant(now) {
                return Ok(Some(Written::Done(None)));
            }
            if !before.fresh && self.operation != Operation::Create {
                return Ok(None);
            }
            return self.add(after, now).await.map(Some);
        };
        let number = version.number;
        if after.is_vacant(now) {
            return self.send(version, Command::Delete { number: Some(number) }).await.map(Some);
        }
        let entry = self.event.filter(|_| self.can_append(before, after));
        if let Some(entry) = entry.map(|event| event.encode(now)) {
            let command = Command::Append { value: &entry, number: Some(number) };
            return self.send(version, command).await.map(Some);
        }
        let commit = Facts::of(after).commit;
        if !before.fresh && commit.is_some() && commit == before.facts.commit {
            // A hint has no payload.
            return Ok(None);
        }
        let (header, expiry) = (item::header(after), item::expiry(after, now));
        let value = [&header, item::payload(after)];
        self.send(version, Command::Replace { value, expiry, number }).await.map(Some)
    }

    fn can_append(&self, before: &Before, after: &Slot) -> bool {
        self.store.0.appends
            && before.facts.commit.is_some()
            && before.version.is_some_and(|version| version.entries < item::MOST_ENTRIES)
            && item::outlives_its_lock(after)
    }

    /// Stores the first item of a key. Another connection may be told as well as this one.
    async fn add(&mut self, slot: &Slot, now: Timestamp) -> Result<Written> {
        let (header, expiry) = (item::header(slot), item::expiry(slot, now));
        let add = Command::Add { value: [&header, item::payload(slot)], expiry };
        let asked = self.store.0.link.ask(&self.name, &[add], self.deadline).await;
        let answer = asked.map_err(|fault| self.fault(fault))?;
        self.in_doubt |= answer.resent;
        match answer.reply {
            Reply::Done(number) => {
                Ok(Written::Done(number.map(|number| (number, answer.connection))))
            }
            Reply::NotStored => Ok(Written::Missed),
            other => Err(self.fault(Fault::of(&other))),
        }
    }

    async fn send(&mut self, version: Version, command: Command<'_>) -> Result<Written> {
        let link = &self.store.0.link;
        let asked = link.ask_on(version.connection, &self.name, command, self.deadline).await;
        match asked.map_err(|fault| self.fault(fault))? {
            Pinned::Answered(Reply::Done(number)) => {
                Ok(Written::Done(number.map(|number| (number, version.connection))))
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
    fn note(&self, before: &Before, after: Slot, told: Option<(u64, ConnectionId)>) {
        let until = |holder: Option<Holder>| holder.map(|holder| holder.until);
        if until(after.holder) < until(before.facts.holder) {
            self.store.0.queue.wake(self.key.digest());
        }
        let Some((number, connection)) = told else { return };
        let appended = self.event.is_some() && self.can_append(before, &after);
        let entries = before.version.filter(|_| appended).map_or(0, |old| old.entries + 1);
        let version = Version { entries, number, connection };
        self.store.0.hints.put(self.key.digest(), Seen { slot: after, version });
    }
}

impl State {
    fn of(seen: Option<Seen>, fresh: bool) -> Self {
        match seen {
            Some(Seen { slot, version }) => Self { slot, version: Some(version), fresh },
            None => Self { slot: Slot::default(), version: None, fresh },
        }
    }
}

/// Why an item cannot be read.
pub(crate) enum Unread {
    Damage,
    Fault(Fault),
}

/// The item in the reply to a [`Command::Get`], which comes last.
pub(crate) fn seen(answer: Answer) -> std::result::Result<Option<Seen>, Unread> {
    match answer.reply {
        Reply::Absent => Ok(None),
        Reply::Value(value, number) => {
            let (slot, entries) = item::decode(value).map_err(|Damage| Unread::Damage)?;
            let version = Version { entries, number, connection: answer.connection };
            Ok(Some(Seen { slot, version }))
        }
        other => Err(Unread::Fault(Fault::of(&other))),
    }
}

pub(crate) fn corrupt(operation: Operation) -> Error {
    Error::new(ErrorKind::Corrupt, BACKEND, operation)
        .with_detail("what is stored is damaged or not a session")
}
