//! The lock of a session for the time of one write.
//!
//! Two items cannot be compared in one step, and PHP overwrites whatever there is at the end of a page.
//! So a writer without a lease takes PHP's lock as well: then no page is under way.

use std::time::Duration;

use session_core::{Error, ErrorKind, Jitter, Lease, OpToken, Result, Ttl};
use tokio::time::{Instant, sleep};

use super::{
    items::{Added, Item, Version},
    lock::{GUARD, secret},
};
use crate::BACKEND;

/// More than a write takes. It frees PHP when this process dies in between.
const LIFE: Duration = Duration::from_secs(2);
/// The limits of the pauses of those who wait for another writer.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(20));

/// A lock that is held for one write.
pub(super) struct Guard<'a> {
    lock: Item<'a>,
    version: Version,
}

/// What stands in the way of a writer.
pub(super) enum Taken<'a> {
    /// Nothing.
    Ours(Guard<'a>),
    /// Somebody has the lock, for so much longer if he does not renew it.
    Theirs(Ttl),
}

/// Takes the lock, waiting for other writers, but for no holder.
pub(super) async fn guard(lock: Item<'_>) -> Result<Taken<'_>> {
    let lease = Lease::new(OpToken::generate()?, LIFE);
    let value = [GUARD, &*secret(&lease)].concat();
    let mut pauses = Jitter::new(PAUSES.0, PAUSES.1);
    loop {
        if let Added::Done(version) = lock.add(value.as_bytes(), LIFE.into()).await? {
            return Ok(Taken::Ours(Guard { lock, version }));
        }
        match lock.look().await? {
            None => {}
            Some(found) if found.value == value => {
                return Ok(Taken::Ours(Guard { lock, version: found.version }));
            }
            Some(found) if !found.value.starts_with(GUARD.as_bytes()) => {
                return Ok(Taken::Theirs(found.life));
            }
            Some(_) => sleep(pauses.pause()).await,
        }
        if Instant::now() >= lock.deadline {
            return Err(Error::new(ErrorKind::Timeout, BACKEND, lock.operation));
        }
    }
}

impl Guard<'_> {
    /// Gives it back, unless it is somebody else's by now.
    pub(super) async fn free(self) {
        // What is left of it ends by itself.
        drop(self.lock.remove(self.version).await);
    }
}
