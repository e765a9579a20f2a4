//! What this process last saw of the items: so that a save that follows a read needs no other read.
//!
//! A hint is believed for as long as the item has the number that it had then, and that only the
//! server decides; one that is wrong or missing costs a round trip.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use session_core::{KeyDigest, Slot};

use crate::link::ConnectionId;

/// A key's hint is in one of the places of one set. So 16,384 are kept, if they are well spread.
const SETS: usize = 2_048;
const PLACES: usize = 8;

/// An item as it was seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// What it stands for; a record without its payload in a hint.
    pub(crate) slot: Slot,
    pub(crate) version: Version,
}

/// Which of its states an item was in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version {
    /// How many entries follow the snapshot.
    pub(crate) entries: usize,
    /// Its number, and on which connection that holds.
    pub(crate) number: u64,
    pub(crate) connection: ConnectionId,
}

/// The items that were last seen.
pub(crate) struct Hints(Box<[Mutex<Set>]>);

/// Places, each with a part of the key in front: if two keys have that in common, the hint is wrong.
#[derive(Default)]
struct Set {
    keys: [Option<u64>; PLACES],
    seen: Vec<Seen>,
    /// Which one makes room for the next.
    oldest: usize,
}

impl Default for Hints {
    fn default() -> Self {
        Self((0..SETS).map(|_| Mutex::default()).collect())
    }
}

impl Hints {
    /// Takes the hint about a key away.
    pub(crate) fn take(&self, digest: &KeyDigest) -> Option<Seen> {
        let (mut set, key) = self.set(digest);
        let place = set.place(Some(key))?;
        if let Some(taken) = set.keys.get_mut(place) {
            *taken = None;
        }
        set.seen.get(place).cloned()
    }

    /// Takes note of what was seen.
    pub(crate) fn put(&self, digest: &KeyDigest, mut seen: Seen) {
        if let Some(record) = &mut seen.slot.record {
            record.payload = Bytes::new();
        }
        let (mut set, key) = self.set(digest);
        let place = set.place(Some(key)).or_else(|| set.place(None)).unwrap_or_else(|| {
            set.oldest = (set.oldest + 1) % PLACES;
            set.oldest
        });
        if let Some(taken) = set.keys.get_mut(place) {
            *taken = Some(key);
        }
        match set.seen.get_mut(place) {
            Some(old) => *old = seen,
            None => set.seen.push(seen),
        }
    }

    fn set(&self, digest: &KeyDigest) -> (MutexGuard<'_, Set>, u64) {
        let [key @ .., a, b] = *digest.as_bytes();
        let at = usize::from(u16::from_be_bytes([a, b])) % SETS;
        let key = key.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte));
        #[expect(clippy::indexing_slicing, reason = "the remainder of its length")]
        let set = self.0[at].lock().unwrap_or_else(PoisonError::into_inner);
        (set, key)
    }
}

impl Set {
    fn place(&self, key: Option<u64>) -> Option<usize> {
        self.keys.iter().position(|taken| *taken == key)
    }
}

impl fmt::Debug for Hints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hints")
    }
}

#[cfg(test)]
mod tests {
    use session_core::{Holder, OpToken, Timestamp};

    use super::*;

    fn digest(n: u8) -> KeyDigest {
        KeyDigest::from_bytes([n; 32])
    }

    /// Keys of one set.
    fn crowd() -> impl Iterator<Item = KeyDigest> {
        (0..=u8::MAX).map(|n| {
            let mut bytes = [0; 32];
            bytes[0] = n;
            KeyDigest::from_bytes(bytes)
        })
    }

    fn seen(number: u64) -> Seen {
        let holder = Holder::new(OpToken::from_bytes([1; 16]), Timestamp::from_millis(number));
        let connection = ConnectionId::fresh();
        let version = Version { entries: 0, number, connection };
        Seen { slot: Slot::new(None, Some(holder)), version }
    }

    #[test]
    fn the_last_hint_of_a_key_is_found_once() {
        let hints = Hints::default();
        for n in 0..100 {
            hints.put(&digest(n), seen(0));
            hints.put(&digest(n), seen(u64::from(n)));
        }
        for n in 0..100 {
            let found = hints.take(&digest(n)).unwrap();
            assert_eq!(found.version.number, u64::from(n));
            assert_eq!(found.slot, seen(u64::from(n)).slot);
            assert!(hints.take(&digest(n)).is_none());
        }
    }

    #[test]
    fn of_a_crowd_the_newest_stay() {
        let hints = Hints::default();
        for (digest, n) in crowd().zip(0..) {
            hints.put(&digest, seen(n));
        }
        let kept = crowd().filter_map(|digest| hints.take(&digest));
        let kept: Vec<u64> = kept.map(|seen| seen.version.number).collect();
        assert_eq!(kept, (248..256).collect::<Vec<u64>>());
    }
}
