//! The leases that a process has.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{KeyDigest, Lease, OpToken, Revision, instant_after};

const LINGER: Duration = Duration::from_secs(60);

/// The leases that this process has, for stores whose server forgets a lease when it lapses.
///
/// There nothing tells a lease that lapsed from one that was given back; so its holder remembers that
/// he did not give it back, and the record that he knows. It is kept for a minute after the lease.
#[derive(Default)]
pub struct Holds(Mutex<HashMap<KeyDigest, Hold>>);

#[derive(Clone, Copy)]
struct Hold {
    token: OpToken,
    /// The record that the holder knows, which nobody else was to change.
    seen: Option<Revision>,
    until: Instant,
}

impl Holds {
    /// A lease was won or renewed, or its holder wrote.
    pub fn note(&self, key: &KeyDigest, lease: &Lease, seen: Option<Revision>) {
        let until = instant_after(lease.duration().saturating_add(LINGER));
        self.insert(key, Hold { token: lease.token(), seen, until });
    }

    /// Drops what is over now and then, at a cost that is shared by all.
    fn insert(&self, key: &KeyDigest, hold: Hold) {
        let mut map = self.map();
        if map.len().is_power_of_two() {
            let now = Instant::now();
            map.retain(|_, hold| hold.until > now);
        }
        map.insert(*key, hold);
    }

    /// A lease was given back or lost.
    pub fn forget(&self, key: &KeyDigest, lease: &Lease) {
        let mut map = self.map();
        if map.get(key).is_some_and(|hold| hold.token == lease.token()) {
            map.remove(key);
        }
    }

    /// The record as the holder of this lease knows it, if he did not give the lease back.
    #[must_use]
    pub fn seen(&self, key: &KeyDigest, lease: &Lease) -> Option<Option<Revision>> {
        let hold = self.map().get(key).copied()?;
        let is_it = hold.token == lease.token() && hold.until > Instant::now();
        is_it.then_some(hold.seen)
    }

    fn map(&self) -> MutexGuard<'_, HashMap<KeyDigest, Hold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holds({})", self.map().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u32) -> KeyDigest {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        KeyDigest::from_bytes(bytes)
    }

    #[test]
    fn leases_that_nobody_gave_back_are_forgotten_in_time() {
        let holds = Holds::default();
        let lease = Lease::new(OpToken::from_bytes([1; 16]), Duration::from_secs(60));
        for n in 0..1_000 {
            let over = Hold { token: lease.token(), seen: None, until: Instant::now() };
            holds.insert(&digest(n), over);
        }
        assert!(holds.map().len() <= 2, "{holds:?}");
        for n in 0..1_000 {
            holds.note(&digest(n), &lease, None);
        }
        assert!((0..1_000).all(|n| holds.seen(&digest(n), &lease).is_some()));
    }

    #[test]
    fn only_the_lease_that_is_held_is_given_back() {
        let holds = Holds::default();
        let [old, new] =
            [1, 2].map(|n| Lease::new(OpToken::from_bytes([n; 16]), Duration::from_secs(60)));
        holds.note(&digest(1), &new, None);
        holds.forget(&digest(1), &old);
        assert_eq!(holds.seen(&digest(1), &old), None);
        assert_eq!(holds.seen(&digest(1), &new), Some(None));
        holds.forget(&digest(1), &new);
        assert_eq!(holds.seen(&digest(1), &new), None);
    }
}
