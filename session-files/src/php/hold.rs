//! The locks that we hold.
//!
//! PHP's lock ends with the process that has it. Ours is a lease besides: when it lapses, the file is
//! closed, so that others get it. Its holder can go on after that as long as nobody else has it, and
//! the bytes are still those that he knows.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use session_core::{OpToken, Revision};
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use super::file::{Found, SessionFile, Share, read};
use crate::fault::Outcome;

/// For how long a lapsed lease may be taken up again.
pub(super) const AFTERLIFE: Duration = Duration::from_secs(300);

/// All locks of a store.
#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<HashMap<OpToken, Arc<Hold>>>);

impl Holds {
    pub(super) fn add(&self, token: OpToken, hold: Hold) -> Arc<Hold> {
        let hold = Arc::new(hold);
        lock(&self.0).insert(token, Arc::clone(&hold));
        hold
    }

    pub(super) fn get(&self, token: OpToken) -> Option<Arc<Hold>> {
        lock(&self.0).get(&token).cloned()
    }

    pub(super) fn remove(&self, token: OpToken) -> Option<Arc<Hold>> {
        let hold = lock(&self.0).remove(&token)?;
        if let Some(watcher) = hold.watcher.get() {
            watcher.abort();
        }
        Some(hold)
    }

    /// How long somebody of this process still has the lock of a file.
    pub(super) fn left(&self, path: &Path) -> Option<Duration> {
        let holds = lock(&self.0);
        let ours = holds.values().filter(|hold| hold.path == path);
        ours.filter_map(|hold| hold.left()).max()
    }
}

/// A lock that was granted.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) path: PathBuf,
    state: Mutex<State>,
    until: Mutex<Instant>,
    changed: Notify,
    watcher: OnceLock<AbortHandle>,
}

#[derive(Debug)]
struct State {
    /// Gone when the lease has lapsed.
    file: Option<SessionFile>,
    /// What the holder has read or written last.
    known: Revision,
}

/// What became of a session that somebody holds.
pub(super) enum Kept<'a> {
    /// It is his, with the lock.
    Held(HeldFile<'a>),
    /// Somebody else has taken the lock, or changed what is stored.
    Lost,
    /// The session is gone.
    Gone,
}

/// A held file; while this lives, the lease does not lapse.
pub(super) struct HeldFile<'a>(MutexGuard<'a, State>);

impl HeldFile<'_> {
    /// What the holder has read or written last.
    pub(super) fn known(&self) -> Revision {
        self.0.known
    }

    pub(super) fn set_known(&mut self, revision: Revision) {
        self.0.known = revision;
    }

    /// The file; gone only between two statements here.
    pub(super) fn file(&self) -> Option<&SessionFile> {
        self.0.file.as_ref()
    }
}

impl Hold {
    pub(super) fn new(path: PathBuf, file: SessionFile, known: Revision, until: Instant) -> Self {
        Self {
            path,
            state: Mutex::new(State { file: Some(file), known }),
            until: Mutex::new(until),
            changed: Notify::new(),
            watcher: OnceLock::new(),
        }
    }

    /// Who lets it lapse has nothing to do any more when the lock is given back.
    pub(super) fn watched_by(&self, watcher: AbortHandle) {
        // It is said once, right after the grant.
        self.watcher.set(watcher).ok();
    }

    pub(super) fn until(&self) -> Instant {
        *lock(&self.until)
    }

    pub(super) fn extend(&self, until: Instant) {
        *lock(&self.until) = until;
        self.changed.notify_one();
    }

    /// Waits until the lease lapses.
    pub(super) async fn wait(&self) {
        while self.left().is_some() {
            // Whether it ends or was changed, it is looked at again.
            timeout_at(self.until(), self.changed.notified()).await.ok();
        }
    }

    fn left(&self) -> Option<Duration> {
        let left = self.until().saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Frees the lock, unless it was extended meanwhile.
    pub(super) fn lapse(&self) {
        let mut state = lock(&self.state);
        if self.left().is_none() {
            state.file = None;
        }
    }

    /// Frees the lock.
    pub(super) fn free(&self) {
        lock(&self.state).file = None;
    }

    /// The file, taken up again if the lease has lapsed and nobody came. Blocks.
    pub(super) fn keep(&self) -> Outcome<Kept<'_>> {
        let mut state = lock(&self.state);
        if state.file.is_none() {
            match SessionFile::lock(&self.path, Share::Exclusive)? {
                Found::Locked(file) => state.file = Some(file),
                Found::Busy(_) => return Ok(Kept::Lost),
                Found::Absent => return Ok(Kept::Gone),
            }
        }
        let Some(file) = &state.file else { return Ok(Kept::Lost) };
        if !file.is_at(&self.path)? {
            state.file = None;
            let gone = !fs::exists(&self.path)?;
            return Ok(if gone { Kept::Gone } else { Kept::Lost });
        }
        if Revision::of_bytes(&read(file.file())?) != state.known {
            state.file = None;
            return Ok(Kept::Lost);
        }
        Ok(Kept::Held(HeldFile(state)))
    }
}

/// Every change under these locks is a single assignment, so a panic elsewhere leaves them whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
