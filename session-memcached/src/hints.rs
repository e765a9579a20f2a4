//! What this process last saw of the items: so that a save that follows a read needs no other read.
//!
//! A hint is believed for as long as the item has the number that it had then, and that only the
//! server decides; one that is wrong or missing costs a round trip.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
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

impl Version {
    /// Tells this state of the item with this key from all others.
    const fn mark(&self, key: u64) -> u64 {
        const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
        let state = self.number.wrapping_mul(SPREAD) ^ self.connection.number();
        key ^ state.wrapping_mul(SPREAD) | 1
    }
}

/// The items that were last seen.
pub(crate) struct Hints(Box<[Set]>);

#[derive(Default)]
struct Set {
    /// What each place is marked with: most loads find what the last one found, and then neither lock
    /// nor write memory that is far away.
    marks: [AtomicU64; PLACES],
    places: Mutex<Places>,
}

/// Places, each with a part of the key in front: if two keys have that in common, the hint is wrong.
#[derive(Default)]
struct Places {
    keys: [Option<u64>; PLACES],
    seen: Vec<Seen>,
    /// Which one makes room for the next.
    oldest: usize,
}

impl Default for Hints {
    fn default() -> Self {
        Self((0..SETS).map(|_| Set::default()).collect())
    }
}

impl Hints {
    /// Takes the hint about a key away.
    pub(crate) fn take(&self, digest: &KeyDigest) -> Option<Seen> {
        let (set, key) = self.set(digest);
        let mut places = set.places();
        let place = places.find(Some(key))?;
        if let Some(taken) = places.keys.get_mut(place) {
            *taken = None;
        }
        set.mark(place, 0);
        places.seen.get(place).cloned()
    }

    /// Takes note of what was seen.
    pub(crate) fn put(&self, digest: &KeyDigest, mut seen: Seen) {
        let (set, key) = self.set(digest);
        let mark = seen.version.mark(key);
        if set.marks.iter().any(|known| known.load(Ordering::Relaxed) == mark) {
            return;
        }
        if let Some(record) = &mut seen.slot.record {
            record.payload = Bytes::new();
        }
        let mut places = set.places();
        let place = places.find(Some(key)).or_else(|| places.find(None)).unwrap_or_else(|| {
            places.oldest = (places.oldest + 1) % PLACES;
            places.oldest
        });
        if let Some(taken) = places.keys.get_mut(place) {
            *taken = Some(key);
        }
        set.mark(place, mark);
        match places.seen.get_mut(place) {
            Some(old) => *old = seen,
            None => places.seen.push(seen),
        }
    }

    fn set(&self, digest: &KeyDigest) -> (&Set, u64) {
        let [key @ .., a, b] = *digest.as_bytes();
        let at = usize::from(u16::from_be_bytes([a, b])) % SETS;
        let key = key.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte));
        #[expect(clippy::indexing_slicing, reason = "the remainder of its length")]
        let set = &self.0[at];
        (set, key)
    }
}

impl Set {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self, place: usize, mark: u64) {
        if let Some(known) = self.marks.get(place) {
            known.store(mark, Ordering::Relaxed);
        }
    }
}

impl Places {
    fn find(&self, key: Option<u64>) -> Option<usize> {
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
    fn a_hint_that_was_taken_can_be_put_again() {
        let hints = Hints::default();
        let same = seen(1);
        for _ in 0..3 {
            hints.put(&digest(1), same.clone());
            hints.put(&digest(1), same.clone());
            assert!(hints.take(&digest(1)).is_some());
            assert!(hints.take(&digest(1)).is_none());
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
