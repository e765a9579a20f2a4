//! The items of locks.

use std::time::Duration;

use session_core::{
    Error, ErrorKind, Expected, Holder, Jitter, Key, Lease, LockRequest, OpToken, Operation,
    Record, Result, Slot, Timestamp, Write,
};
use tokio::time::{Instant, sleep};

use crate::{
    BACKEND, DynamoStore,
    change::{Change, corrupt},
    expression::Expression,
    fault::Fault,
    item::{
        self, Attributes, EXPIRES, FORMAT, FORMAT_1, HOLDER, OVER, UNTIL, WRITES, bytes, number,
        seconds,
    },
    link::{Outcome, Part, Statement},
};

/// How long a lock that was not given back stays to tell of it: no request is under way for longer.
const KEPT: Duration = Duration::from_secs(3_600);
/// The limit of the first pause while somebody else writes, and how often that is waited for.
const BETWEEN_WRITES: Duration = Duration::from_millis(5);
const CLOSE: u32 = 8;
const LOCK: Operation = Operation::Lock;

/// What has come of asking for a lock.
#[derive(Debug, Clone, Copy)]
pub(super) enum Taken {
    /// It was free.
    Clean,
    /// It was another one's, who did not give it back: the revision has to change before anything else.
    Over,
    Held {
        holder: Holder,
        /// For one write only.
        writes: bool,
    },
}

/// The lock of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lock<'a> {
    store: &'a DynamoStore,
    operation: Operation,
    key: &'a Key,
    pub(super) deadline: Instant,
}

impl<'a> Lock<'a> {
    pub(super) fn new(
        store: &'a DynamoStore,
        operation: Operation,
        key: &'a Key,
        deadline: Instant,
    ) -> Self {
        Self { store, operation, key, deadline }
    }

    fn change(&self) -> Change<'a> {
        Change::of_lock(self.store, self.operation, self.key).until(self.deadline)
    }

    async fn write(&self, statement: Statement) -> Result<Outcome> {
        self.change().write(&statement).await
    }

    /// Who holds it, lapsed or not.
    pub(super) async fn holder(&self) -> Result<Option<Holder>> {
        let item = self.change().read(Part::Holder).await?;
        self.holder_of(&item)
    }

    fn holder_of(&self, item: &Attributes) -> Result<Option<Holder>> {
        item::decode_holder(item).map_err(|item::Damage| corrupt(self.operation))
    }

    /// Takes it if nobody has it, or if his lease has lapsed.
    async fn take(&self, token: OpToken, lease: Duration, writes: bool) -> Result<Taken> {
        while Instant::now() < self.deadline {
            let until = self.store.now().after(lease);
            let free = taken(token, until, writes).remove(OVER);
            let free = free.when("attribute_not_exists(h)", []);
            let item = match self.write(Statement::Update(free)).await? {
                Outcome::Done(_) => return Ok(Taken::Clean),
                Outcome::Refused(item) => item,
            };
            let Some(holder) = self.holder_of(&item)? else { continue };
            let seen = taken(token, until, writes).when(
                "h = :o AND u = :w_u",
                [
                    (":o", bytes(*holder.token.as_bytes())),
                    (":w_u", number(holder.until.as_millis())),
                ],
            );
            let (take, what) = if holder.token == token {
                let over = item.contains_key(OVER);
                (seen, if over { Taken::Over } else { Taken::Clean })
            } else if holder.is_live(self.store.now()) {
                let writes = item.contains_key(WRITES);
                return Ok(Taken::Held { holder, writes });
            } else {
                (seen.set(OVER, number(1)), Taken::Over)
            };
            if let Outcome::Done(_) = self.write(Statement::Update(take)).await? {
                return Ok(what);
            }
        }
        Err(Fault::crowded().into_error(self.operation, true))
    }

    /// For one write: for as long as an attempt may take, and no longer, should this process die.
    pub(super) async fn take_to_write(&self, token: OpToken) -> Result<Taken> {
        let lease = self.store.held_for(self.store.0.link.attempt_timeout * 2);
        self.take(token, lease, true).await
    }

    /// Gives it back. If that fails it lapses, and is taken over.
    pub(super) async fn free(&self, token: OpToken) {
        drop(self.write(Statement::Delete(held_by(token))).await);
    }

    /// Leaves it to be taken over, at once.
    pub(super) async fn let_lapse(&self, token: OpToken) {
        let lapsed = held_by(token).set(UNTIL, number(0));
        drop(self.write(Statement::Update(lapsed)).await);
    }

    /// Nobody holds it any more.
    pub(super) async fn break_it(&self) -> Result<()> {
        self.write(Statement::Delete(Expression::default())).await.map(drop)
    }
}

/// Held by this token, until then.
fn taken(token: OpToken, until: Timestamp, writes: bool) -> Expression {
    let set = Expression::default()
        .set(FORMAT, number(FORMAT_1))
        .set(HOLDER, bytes(*token.as_bytes()))
        .set(UNTIL, number(until.as_millis()))
        .set(EXPIRES, number(seconds(until.after(KEPT))));
    if writes { set.set(WRITES, number(1)) } else { set.remove(WRITES) }
}

fn held_by(token: OpToken) -> Expression {
    Expression::default().when("h = :h", [(":h", bytes(*token.as_bytes()))])
}

/// Removes a lock that has lapsed; that of a live session only when it tells nobody anything any more.
pub(crate) fn lapsed(now: Timestamp, is_live: bool) -> Statement {
    let kept = if is_live { KEPT } else { Duration::ZERO };
    let kept = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
    let at = number(now.as_millis().saturating_sub(kept));
    Statement::Delete(Expression::default().when("u <= :at", [(":at", at)]))
}

/// Takes the lock if it is free, and reads the record; or says for how much longer it is held.
pub(crate) async fn take(
    store: &DynamoStore,
    key: &Key,
    request: LockRequest,
) -> Result<std::result::Result<Option<Record>, Duration>> {
    let lock = Lock::new(store, LOCK, key, store.0.link.deadline());
    let began = store.now();
    let mut taken = lock.take(request.op, store.held_for(request.lease), false).await?;
    let mut pauses = Jitter::new(BETWEEN_WRITES, BETWEEN_WRITES * 4);
    for _ in 0..CLOSE {
        // Writes that follow each other leave the lock free for moments only.
        let Taken::Held { writes: true, .. } = taken else { break };
        sleep(pauses.pause()).await;
        taken = lock.take(request.op, store.held_for(request.lease), false).await?;
    }
    let over = match taken {
        Taken::Clean => false,
        Taken::Over => true,
        Taken::Held { holder, .. } => return Ok(Err(holder.until.since(store.now()))),
    };
    let record = read(&lock, request.op, over).await;
    match record {
        Err(error) => {
            if over {
                lock.let_lapse(request.op).await
            } else {
                lock.free(request.op).await
            }
            Err(error)
        }
        // The answer came when the lease was over: the same token takes it anew.
        Ok(_) if store.now() >= began.after(store.held_for(request.lease)) => {
            Ok(Err(Duration::ZERO))
        }
        Ok(record) => Ok(Ok(record)),
    }
}

/// Reads the record, and commits it as it is if the lock was taken over.
async fn read(lock: &Lock<'_>, token: OpToken, over: bool) -> Result<Option<Record>> {
    let change = Change::new(lock.store, LOCK, lock.key).until(lock.deadline);
    let item = change.read(Part::All).await?;
    if !over {
        return Ok(change.slot(&item)?.load(lock.store.now()));
    }
    let again = |slot: &mut Slot, now: Timestamp| {
        if let (Some(record), Some(kept)) = (slot.load(now), slot.record.clone()) {
            let write = Write::new(record.payload, record.remaining).with_meta(record.meta);
            slot.save(BACKEND, write, Expected::Any, token, now)?;
            if let Some(record) = &mut slot.record {
                record.deadline = kept.deadline;
            }
        }
        Ok(slot.load(now))
    };
    change.settle(item, again).await
}

/// See [`renew`](session_core::SessionStore::renew).
pub(crate) async fn renew(
    store: &DynamoStore,
    key: &Key,
    lease: &Lease,
    duration: Duration,
) -> Result<()> {
    let until = store.now().after(store.held_for(duration));
    let longer = held_by(lease.token())
        .set(UNTIL, number(until.as_millis()))
        .set(EXPIRES, number(seconds(until.after(KEPT))));
    let mut change = Change::of_lock(store, Operation::Renew, key);
    match change.write(&Statement::Update(longer)).await? {
        Outcome::Done(_) => Ok(()),
        Outcome::Refused(_) => {
            let lost = Error::new(ErrorKind::LockLost, BACKEND, Operation::Renew);
            Err(change.refused(lost))
        }
    }
}

/// See [`release`](session_core::SessionStore::release).
pub(crate) async fn release(store: &DynamoStore, key: &Key, lease: &Lease) -> Result<()> {
    let free = Statement::Delete(held_by(lease.token()));
    Change::of_lock(store, Operation::Release, key).write(&free).await.map(drop)
}
