//! The session handle.

mod binding;
mod commit;
mod config;
mod data;
mod end;
mod events;
mod limit;
mod load;
mod lock;
mod login;
mod manager;
mod principal;
mod read_only;
mod renew;
mod resend;
mod rotate;
mod snapshot;
mod state;

use std::{
    fmt,
    sync::{
        Arc, Mutex as SyncMutex, MutexGuard as SyncGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{Mutex, MutexGuard, Semaphore},
    time::Instant,
};

pub use binding::{ClientMatch, OnChange};
pub use config::{EpochCheck, Lifetime, SessionManagerBuilder};
pub use data::SessionData;
pub use events::SessionEvent;
pub use limit::OverLimit;
pub use lock::LockedSession;
pub use login::Login;
pub use manager::SessionManager;
pub use principal::{PrincipalSessions, SessionInfo};
pub use read_only::ReadOnlySession;
pub use snapshot::SessionSnapshot;
pub use state::CookieChange;
use state::{NewIdle, Phase, Place, State};

use crate::{LogId, ReadOptions, Result, SessionHandle, SessionId, Timestamp, Ttl, instant_after};

#[doc = include_str!("session.md")]
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    manager: SessionManager,
    presented: Option<SessionId>,
    state: Mutex<State>,
    /// One, for the one commit or lock through this handle at a time.
    turns: Semaphore,
    /// What the web layer asks for without waiting.
    used: AtomicBool,
    cookie: SyncMutex<CookieChange>,
}

impl Session {
    fn open(manager: SessionManager, presented: Option<SessionId>) -> Self {
        let state = State::unread(&manager);
        Self::with_state(manager, presented, state)
    }

    fn with_state(manager: SessionManager, presented: Option<SessionId>, state: State) -> Self {
        let (state, turns) = (Mutex::new(state), Semaphore::new(1));
        let (used, cookie) = (AtomicBool::new(false), SyncMutex::default());
        Self(Arc::new(Inner { manager, presented, state, turns, used, cookie }))
    }

    /// The value of an entry, or `None` when there is none of this name.
    ///
    /// The first use of a handle reads the session, in one round trip; further uses cost nothing.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when the stored value is not a `T`, and those of the
    /// transport.
    pub async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.ready().await?.data.get(name)
    }

    /// Sets an entry. It is saved with the session, at the end of the request.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when the value cannot be encoded, and those of
    /// the transport.
    pub async fn insert<T: Serialize + Send>(&self, name: &str, value: T) -> Result<()> {
        self.ready().await?.data.insert(name, value)
    }

    /// Removes an entry and returns the value that it had.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn remove<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.ready().await?.data.remove(name)
    }

    /// Removes all entries. The session stays; [`delete`](Self::delete) ends it.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn clear(&self) -> Result<()> {
        self.ready().await?.data.clear();
        Ok(())
    }

    /// Whether there is an entry of this name.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn contains(&self, name: &str) -> Result<bool> {
        Ok(self.ready().await?.data.contains(name))
    }

    /// The names of all entries, in order.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn names(&self) -> Result<Vec<String>> {
        Ok(self.ready().await?.data.names())
    }

    /// Whether there are no entries.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.ready().await?.data.is_empty())
    }

    /// Reads, changes and saves the session as one atomic step: `change` sees the latest data,
    /// and nobody else commits between its view and its result.
    ///
    /// It runs again when somebody did, so it must have no side effects but on the data. What it
    /// returns is returned of the run that was saved, which was saved exactly once. When it fails,
    /// nothing is saved. Changes made through this handle before are saved along.
    ///
    /// The committers of one process take turns, so that they do not disturb each other. There is
    /// no lock in the store unless other servers get in the way again and again.
    ///
    /// ```
    /// # use session_core::{MemoryStore, Result, SessionManager};
    /// # async fn example() -> Result<()> {
    /// let sessions = SessionManager::new(MemoryStore::new())?;
    /// let session = sessions.open(None);
    /// let count = session
    ///     .update(|data| {
    ///         let count = data.get::<u64>("count")?.unwrap_or_default() + 1;
    ///         data.insert("count", count)?;
    ///         Ok(count)
    ///     })
    ///     .await?;
    /// assert_eq!(count, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - What `change` returns.
    /// - [`NotFound`](crate::ErrorKind::NotFound): the session was ended; it is not brought back.
    /// - [`LockTimeout`](crate::ErrorKind::LockTimeout): it was not its turn within the commit timeout.
    /// - [`TooManyWaiters`](crate::ErrorKind::TooManyWaiters): too many others wait for their turn.
    /// - [`TooLarge`](crate::ErrorKind::TooLarge): the session is larger than the store takes.
    /// - [`Conflict`](crate::ErrorKind::Conflict): a merge rule refuses, others kept committing until
    ///   the commit timeout, or a log-in has just replaced the session's id. With
    ///   [`maybe_applied`](crate::Error::maybe_applied), replies were
    ///   lost and the outcome is unknown.
    pub async fn update<R: Send>(
        &self,
        mut change: impl FnMut(&mut SessionData) -> Result<R> + Send,
    ) -> Result<R> {
        let deadline = self.commit_deadline();
        let _alone = self.alone(deadline).await?;
        let mut state = self.state().await;
        state.engaged = true;
        let turn = match self.line_key(&state) {
            Some(key) => Some(self.manager().stand_in_line(key.digest(), deadline).await?),
            None => None,
        };
        self.read_again(&mut state).await?;
        // Handlers that await it are to have small futures.
        Box::pin(self.transact(&mut state, &mut change, deadline, turn)).await
    }

    /// Saves the changes now, in one round trip; the web layers do it at the end of each request.
    ///
    /// If somebody else saved in between, the changed entries are merged onto the newer record,
    /// entry by entry, and the save is repeated. Without changes nothing is written; if enough of
    /// the session's idle lifetime has passed, its life is extended. A new session without entries
    /// is not stored. An id that is due for it is renewed
    /// ([`SessionManagerBuilder::renew_id_after`]).
    ///
    /// Dropping the future saves all or nothing; like after a lost reply, nobody knows which. Saving
    /// again is safe but for an entry with [`MergeRule::Counter`](crate::MergeRule::Counter), which
    /// may then be counted twice.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub async fn save(&self) -> Result<()> {
        if self.manager().settings().renew_id_after.is_some() {
            Box::pin(self.renew_if_due()).await?;
        }
        // To be saved at the end of the request is no use.
        let mut state = self.0.state.lock().await;
        if !state.is_to_be_saved() {
            return if state.engaged { self.touch_if_due(&mut state).await } else { Ok(()) };
        }
        drop(state);
        let deadline = self.commit_deadline();
        let _alone = self.alone(deadline).await?;
        let mut state = self.state().await;
        // Most requests change nothing, and are to have small futures.
        Box::pin(self.transact(&mut state, &mut |_| Ok(()), deadline, None)).await
    }

    /// When the session began, and how long it lives; `None` when it has not been saved yet.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn facts(&self) -> Result<Option<SessionFacts>> {
        Ok(self.facts_of(&*self.ready().await?))
    }

    /// Sets how long this session lives without activity ("remember me"), instead of the
    /// manager's idle lifetime. It is stored with the session and holds for later requests. The
    /// absolute deadline stays.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn set_idle_lifetime(&self, idle: Duration) -> Result<()> {
        let mut state = self.ready().await?;
        state.new_idle = NewIdle::Own(idle.into());
        state.data.force();
        Ok(())
    }

    /// Undoes [`set_idle_lifetime`](Self::set_idle_lifetime): the manager's idle lifetime holds again.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn reset_idle_lifetime(&self) -> Result<()> {
        let mut state = self.ready().await?;
        state.new_idle = NewIdle::Managers;
        state.data.force();
        Ok(())
    }

    /// Whether the session was used in any way: then the response depends on the cookie.
    #[must_use]
    pub fn was_used(&self) -> bool {
        self.0.used.load(Ordering::Relaxed)
    }

    /// What the response has to do about the cookie. Ask after [`save`](Self::save).
    #[must_use]
    pub fn cookie_change(&self) -> CookieChange {
        self.cookie().clone()
    }

    /// Makes [`cookie_change`](Self::cookie_change) ask for the id to be sent again, if the session is
    /// still there and has the id that was presented: for web layers that write ids in another way by
    /// now. It costs a read, unless the session was just saved.
    pub async fn resend_id(&self) {
        let state = self.0.state.lock().await;
        let Phase::Stored(place) = &state.phase else { return };
        if place.aliased || self.cookie_change() != CookieChange::None {
            return;
        }
        // A parallel request may have rotated the id since it was read, and its response must not
        // be undone by this one.
        let found = self.manager().backend().load(&place.key, ReadOptions::latest()).await;
        let incarnation = place.revision.incarnation();
        if matches!(found, Ok(Some(record)) if record.revision.incarnation() == incarnation) {
            self.extend_cookie(place, place.remaining());
        }
    }

    /// The state, read from the store.
    async fn ready(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state().await;
        state.engaged = true;
        self.read(&mut state, ReadOptions::latest()).await?;
        Ok(state)
    }

    async fn state(&self) -> MutexGuard<'_, State> {
        self.mark_used();
        self.0.state.lock().await
    }

    fn manager(&self) -> &SessionManager {
        &self.0.manager
    }

    fn presented(&self) -> Option<&SessionId> {
        self.0.presented.as_ref()
    }

    fn turns(&self) -> &Semaphore {
        &self.0.turns
    }

    fn commit_deadline(&self) -> Instant {
        instant_after(self.manager().settings().commit_timeout)
    }

    /// The key whose committers take turns; none for a session that only this handle knows.
    fn line_key(&self, state: &State) -> Option<crate::Key> {
        match &state.phase {
            Phase::Stored(place) => Some(place.key.clone()),
            Phase::Unread => self.presented().map(|id| self.presented_key(id)),
            _ => None,
        }
    }

    fn facts_of(&self, state: &State) -> Option<SessionFacts> {
        let Phase::Stored(place) = &state.phase else { return None };
        Some(SessionFacts {
            log_id: place.key.log_id(),
            created_at: state.header.created_at,
            authenticated_at: state.header.authenticated_at,
            handle: state.header.handle,
            absolute_deadline: state.meta.absolute_deadline,
            remaining: place.remaining(),
        })
    }

    fn cookie(&self) -> SyncGuard<'_, CookieChange> {
        self.0.cookie.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark_used(&self) {
        self.0.used.store(true, Ordering::Relaxed);
    }

    fn set_cookie(&self, change: CookieChange) {
        *self.cookie() = change;
    }

    fn has_set_cookie(&self) -> bool {
        matches!(*self.cookie(), CookieChange::Set { .. })
    }

    /// The session lives longer. An id that was just set goes with the new lifetime; an alias is
    /// not worth sending again.
    fn extend_cookie(&self, place: &Place, remaining: Ttl) {
        let mut cookie = self.cookie();
        match (&mut *cookie, &self.0.presented) {
            (CookieChange::Set { remaining: shown, .. }, _) => *shown = remaining,
            (change, Some(id)) if !place.aliased => {
                *change = CookieChange::Extend { id: id.clone(), remaining };
            }
            _ => {}
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("presented", &self.presented().is_some())
            .field("used", &self.was_used())
            .finish_non_exhaustive()
    }
}

/// What is known of a session besides its entries; safe to show to its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionFacts {
    /// The log-safe name of the session.
    pub log_id: LogId,
    /// When the session began.
    pub created_at: Timestamp,
    /// When its user last showed who he is.
    pub authenticated_at: Option<Timestamp>,
    /// Its name in the list of its principal's sessions.
    pub handle: Option<SessionHandle>,
    /// When it ends at the latest, whatever the activity.
    pub absolute_deadline: Option<Timestamp>,
    /// How long it lives without further activity.
    pub remaining: Ttl,
}
