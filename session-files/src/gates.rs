//! Keeps a record from being replaced while this process reads it.
//!
//! NFS cannot remove a file that somebody has open. A client that is to rename over one that it has
//! open itself first renames that one to `.nfs...`: for a moment the record has no name, and for
//! good if the client dies in that moment.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use session_core::KeyDigest;

/// The number of gates; keys that share one wait for each other.
const GATES: usize = 256;

/// Gates for the keys of a network mount; none are needed on a local disk.
#[derive(Debug)]
pub(crate) struct Gates(Vec<RwLock<()>>);

impl Gates {
    pub(crate) fn new(is_shared: bool) -> Self {
        Self((0..if is_shared { GATES } else { 0 }).map(|_| RwLock::default()).collect())
    }

    /// While nobody replaces the record.
    pub(crate) fn reading(&self, digest: &KeyDigest) -> Option<RwLockReadGuard<'_, ()>> {
        Some(self.of(digest)?.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// While nobody has the record open.
    pub(crate) fn replacing(&self, digest: &KeyDigest) -> Option<RwLockWriteGuard<'_, ()>> {
        Some(self.of(digest)?.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn of(&self, digest: &KeyDigest) -> Option<&RwLock<()>> {
        let [.., last] = digest.as_bytes();
        self.0.get(usize::from(*last))
    }
}
