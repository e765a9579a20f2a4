//! Where the parts of a store meet: an operation is taken off the async threads, given the key to
//! itself, and bounded in time.

use std::{sync::Arc, time::Duration};

use session_core::{
    Error, ErrorKind, Jitter, KeyDigest, LockQueue, OpToken, Operation, Record, Result, Slot,
    Timestamp, instant_after,
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    BACKEND, Commit,
    fault::{Outcome, pool_error},
    locks::{Locks, StripeGuard},
    pool::Pool,
    section::{Needs, Section, Seen, Vault},
};

/// Everything that the handles of one store share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) vault: Vault,
    pub(crate) locks: Locks,
    pub(crate) pool: Pool,
    pub(crate) queue: LockQueue,
    pub(crate) timeout: Duration,
}

/// What one try at a key came to.
enum Attempt<T, W> {
    Done(Result<T>),
    /// Another process is at the key; here is everything back.
    InUse(StripeGuard, W),
}

impl Engine {
    /// Runs something that needs no lock.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        operation: Operation,
        work: impl FnOnce(&Vault) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let engine = Arc::clone(self);
        let deadline = instant_after(self.timeout);
        match self.pool.run(deadline, move || work(&engine.vault)).await {
            Ok(outcome) => outcome.map_err(|fault| fault.into_error(operation)),
            Err(error) => Err(pool_error(error, operation, false)),
        }
    }

    /// The live record of a key: without its lock, unless only the lock can tell.
    pub(crate) async fn load(self: &Arc<Self>, digest: KeyDigest) -> Result<Option<Record>> {
        let engine = Arc::clone(self);
        let look = move |vault: &Vault| match vault.load(&digest)? {
            // Without a lock file nobody has ever written the key.
            Seen::Unsettled if !engine.locks.were_used(&vault.tree, &digest)? => {
                Ok(Seen::Now(None))
            }
            seen => Ok(seen),
        };
        match self.read(Operation::Load, look).await? {
            Seen::Now(record) => Ok(record),
            Seen::Unsettled => {
                let load = |section: &Section<'_>| {
                    section.load().map_err(|fault| fault.into_error(Operation::Load))
                };
                self.locked(Operation::Load, digest, load).await
            }
        }
    }

    /// Applies a change to the slot of a key while nobody else can.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        operation: Operation,
        digest: KeyDigest,
        needs: Needs,
        own: Option<OpToken>,
        change: impl Fn(&mut Slot, Timestamp) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.change_and(operation, digest, needs, own, change, |done| done).await
    }

    /// As [`change`](Self::change), and does something with what came of it before anybody may have
    /// gone away.
    pub(crate) async fn change_and<T, U: Send + 'static>(
        self: &Arc<Self>,
        operation: Operation,
        digest: KeyDigest,
        needs: Needs,
        own: Option<OpToken>,
        change: impl Fn(&mut Slot, Timestamp) -> Result<T> + Send + 'static,
        and: impl FnOnce(T) -> U + Send + 'static,
    ) -> Result<U> {
        let queue = self.queue.clone();
        let work = move |section: &Section<'_>| {
            let (outcome, freed) = section.change(operation, needs, own, change);
            if freed {
                queue.wake(&digest);
            }
            outcome.map(and)
        };
        self.locked(operation, digest, work).await
    }

    /// Runs `work` while nobody else is at the key.
    ///
    /// When the future is dropped, `work` is run as a whole or not at all, and the key is free
    /// again right after.
    pub(crate) async fn locked<T: Send + 'static>(
        self: &Arc<Self>,
        operation: Operation,
        digest: KeyDigest,
        mut work: impl FnOnce(&Section<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let deadline = instant_after(self.timeout);
        let timed_out = || Error::new(ErrorKind::Timeout, BACKEND, operation);
        let stripe = self.locks.stripe(&digest).lock_owned();
        let mut guard = timeout_at(deadline, stripe).await.map_err(|_elapsed| timed_out())?;
        let mut pause = Jitter::new(Duration::from_millis(1), Duration::from_millis(8));
        loop {
            let engine = Arc::clone(self);
            let attempt = self.pool.run(deadline, move || engine.attempt(&digest, guard, work));
            // A lock that is granted to nobody is given back, so it has had no effect.
            let writes = !matches!(operation, Operation::Load | Operation::Lock);
            let lost = |error| pool_error(error, operation, writes);
            match attempt.await.map_err(lost)? {
                Ok(Attempt::Done(outcome)) => return outcome,
                Ok(Attempt::InUse(back, again)) => (guard, work) = (back, again),
                Err(fault) => return Err(fault.into_error(operation)),
            }
            if Instant::now() >= deadline {
                return Err(timed_out());
            }
            sleep(pause.pause()).await;
        }
    }

    fn attempt<T, W: FnOnce(&Section<'_>) -> Result<T>>(
        &self,
        digest: &KeyDigest,
        guard: StripeGuard,
        work: W,
    ) -> Outcome<Attempt<T, W>> {
        if self.vault.commit == Commit::HardLink {
            return Ok(Attempt::Done(work(&Section::new(&self.vault, digest))));
        }
        Ok(match self.locks.try_lock(&self.vault.tree, digest)? {
            Some(_lock) => Attempt::Done(work(&Section::new(&self.vault, digest))),
            None => Attempt::InUse(guard, work),
        })
    }

    /// Runs `work` if nobody is at the key just now. For use on a thread of the pool.
    pub(crate) fn if_free<T>(
        &self,
        digest: &KeyDigest,
        work: impl FnOnce(&Section<'_>) -> Outcome<T>,
    ) -> Option<Outcome<T>> {
        let _guard = self.locks.stripe(digest).try_lock_owned().ok()?;
        if self.vault.commit == Commit::HardLink {
            return Some(work(&Section::new(&self.vault, digest)));
        }
        match self.locks.try_lock(&self.vault.tree, digest) {
            Ok(None) => None,
            Ok(Some(_lock)) => Some(work(&Section::new(&self.vault, digest))),
            Err(fault) => Some(Err(fault)),
        }
    }
}
