//! Opens sessions.

use std::{fmt, sync::Arc};

use super::config::{SessionManagerBuilder, Settings};
use crate::{
    Clock, Format, IdForm, Key, KeyHasher, LockQueue, Session, SessionId, SessionStore, Timestamp,
};

/// Opens the sessions of an application: a store, and how sessions live in it.
///
/// A clone is a handle to the same manager. Make one for the life of the program.
#[derive(Clone)]
pub struct SessionManager(Arc<Parts>);

pub(super) struct Parts {
    pub(super) store: Arc<dyn SessionStore>,
    pub(super) hasher: KeyHasher,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) format: Arc<dyn Format>,
    pub(super) settings: Settings,
    /// Where this process' committers of one session wait for each other after a conflict.
    pub(super) line: LockQueue,
}

impl SessionManager {
    /// A manager with the default settings; see [`SessionManagerBuilder`] for each.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when the store keeps no absolute deadline.
    pub fn new(store: impl SessionStore) -> crate::Result<Self> {
        Self::builder(store).build()
    }

    /// A manager with settings of your own.
    pub fn builder(store: impl SessionStore) -> SessionManagerBuilder {
        SessionManagerBuilder::new(Arc::new(store))
    }

    pub(super) fn from_parts(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The session of an id that a client presented, or a new one. No I/O: the store is asked
    /// when the session is first used.
    ///
    /// An id that the store does not know is never adopted: what is saved then gets a new id.
    #[must_use]
    pub fn open(&self, id: Option<SessionId>) -> Session {
        Session::open(self.clone(), id)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn SessionStore> {
        &self.0.store
    }

    /// The function that makes keys of ids and digests of principals.
    #[must_use]
    pub fn key_hasher(&self) -> &KeyHasher {
        &self.0.hasher
    }

    /// The form of the ids that new sessions get.
    #[must_use]
    pub fn id_form(&self) -> IdForm {
        self.settings().id_form
    }

    /// The store itself. Calls through the `Arc` would box every future a second time.
    pub(super) fn backend(&self) -> &dyn SessionStore {
        &*self.0.store
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(super) fn format(&self) -> &Arc<dyn Format> {
        &self.0.format
    }

    pub(super) fn line(&self) -> &LockQueue {
        &self.0.line
    }

    /// The present time, by the clock of the manager.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(super) fn key(&self, id: &SessionId) -> Key {
        self.0.hasher.key(id)
    }
}

impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManager")
            .field("store", &self.0.store)
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}
