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

/// How many are kept. The newer one stays of two that have the same place.
const PLACES: usize = 8_192;

/// An item as it was seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// What it stands for; a record without its payload in a hint.
    pub(crate) slot: Slot,
    /// How many entries follow the snapshot.
    pub(crate) entries: usize,
    /// Its number, and on which connection that holds.
    pub(crate) number: u64,
    pub(crate) connection: ConnectionId,
}

type Place = Mutex<Option<Box<(KeyDigest, Seen)>>>;

/// The items that were last seen.
pub(crate) struct Hints(Box<[Place]>);

impl Default for Hints {
    fn default() -> Self {
        Self((0..PLACES).map(|_| Place::default()).collect())
    }
}

impl Hints {
    /// Takes the hint about a key away.
    pub(crate) fn take(&self, digest: &KeyDigest) -> Option<Seen> {
        let hint = self.place(digest).take_if(|hint| hint.0 == *digest)?;
        Some(hint.1)
    }

    /// Takes note of what was seen.
    pub(crate) fn put(&self, digest: &KeyDigest, mut seen: Seen) {
        if let Some(record) = &mut seen.slot.record {
            record.payload = Bytes::new();
        }
        *self.place(digest) = Some(Box::new((*digest, seen)));
    }

    fn place(&self, digest: &KeyDigest) -> MutexGuard<'_, Option<Box<(KeyDigest, Seen)>>> {
        let [.., a, b] = *digest.as_bytes();
        let at = usize::from(u16::from_be_bytes([a, b])) % PLACES;
        #[expect(clippy::indexing_slicing, reason = "the remainder of its length")]
        self.0[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hints")
    }
}
