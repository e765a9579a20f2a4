//! Exclusive mode: the lock of a session, held and renewed while a handler works.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Session,
    data::SessionData,
    events,
    load::gone,
    manager::SessionManager,
    state::{Phase, State},
};
use crate::{
    Error, ErrorKind, Key, Lease, LockRequest, OpToken, Operation, ReadOptions, Result,
    SessionStore,
};

/// A lease that is given back when the guard is dropped, in the background.
pub(super) struct Hold {
    store: Arc<dyn SessionStore>,
    key: Key,
    lease: Lease,
    armed: bool,
}

impl Hold {
    pub(super) fn new(store: &Arc<dyn SessionStore>, key: &Key, lease: Lease) -> Self {
        Self { store: Arc::clone(store), key: key.clone(), lease, armed: true }
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// Gives the lock back and waits for it.
    pub(super) async fn release(mut self) -> Result<()> {
        let outcome = self.store.release(&self.key, &self.lease).await;
        self.armed = outcome.is_err();
        outcome
    }

    /// The lock is free already.
    pub(super) fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        // Without a runtime the lock becomes free at the end of its lease.
        let Ok(runtime) = Handle::try_current() else { return };
        let (store, key, lease) = (Arc::clone(&self.store), self.key.clone(), self.lease.clone());
        runtime.spawn(async move { store.release(&key, &lease).await });
    }
}

impl Session {
    /// Takes the session's lock, and takes over the record that came with it. `None` when there is
    /// no record: nobody else knows a session that was not saved yet.
    pub(super) async fn acquire(&self, state: &mut State, wait: Duration) -> Result<Option<Hold>> {
        let deadline = Instant::now() + wait;
        loop {
            let Some(key) = self.lock_key(state)? else { return Ok(None) };
            let left = deadline.saturating_duration_since(Instant::now());
            let lease = self.manager().settings().lock_lease;
            let request = LockRequest::new(OpToken::generate()?, lease, left);
            let locked = self.manager().store().lock(&key, request).await?;
            let hold = locked.lease.map(|lease| Hold::new(self.manager().store(), &key, lease));
            let found = self.manager().resolve(&key, locked.record, ReadOptions::latest()).await?;
            if matches!(state.phase, Phase::Unread) {
                self.settle(state, &key, found)?;
            } else {
                self.take_over(state, &key, found)?;
            }
            match (hold, &state.phase) {
                (Some(hold), Phase::Stored(place)) if place.key == *hold.key() => {
                    return Ok(Some(hold));
                }
                // The id leads elsewhere: the lock to take is that of the successor. Or it leads
                // nowhere, and there is nothing to lock. This lock is given back either way.
                (Some(hold), _) => hold.release().await?,
                (None, _) => {}
            }
        }
    }

    /// The key to lock: where the record is, or where it would be if it was not read yet.
    fn lock_key(&self, state: &State) -> Result<Option<Key>> {
        match &state.phase {
            Phase::Stored(place) => Ok(Some(place.key.clone())),
            Phase::Unread => Ok(self.presented().map(|id| self.presented_key(id))),
            Phase::New | Phase::JustRetired => Ok(None),
            Phase::Gone => Err(gone(Operation::Lock)),
        }
    }
}

/// A session that its holder has to itself, as PHP's sessions are during a request.
///
/// Made by [`Session::lock`]. It works on the data as it was when the lock was won, with the
/// changes of this request on top; [`commit`](Self::commit) saves and unlocks in one round trip.
/// Dropping it gives up the changes made through it and unlocks in the background, also when a
/// handler panics.
///
/// The lease is renewed at a third of its length while this value lives. If it is lost
/// nonetheless, [`is_lost`](Self::is_lost) says so before the lease ends, and the commit is refused.
#[must_use = "dropping a locked session gives up its changes"]
pub struct LockedSession {
    session: Session,
    data: SessionData,
    /// What the handle had changed before, which went along into `data`.
    carried: SessionData,
    held: Option<Renewed>,
}

impl Session {
    /// Takes the session for exclusive use, waiting for it for up to `wait`.
    ///
    /// One round trip locks and reads. While the lock is held nobody else can change the session;
    /// reads and touches go on. A session that has not been saved yet is nobody else's, so there
    /// is nothing to lock.
    ///
    /// Changes made through this handle before go along into the locked session. While it is
    /// locked, work on the [`LockedSession`]: a [`save`](Self::save) or [`update`](Self::update) of
    /// the same session waits for the lock like everybody's.
    ///
    /// # Errors
    /// - [`LockTimeout`](ErrorKind::LockTimeout), [`TooManyWaiters`](ErrorKind::TooManyWaiters):
    ///   the lock was not won; nothing is left behind.
    /// - [`NotFound`](ErrorKind::NotFound): the session was ended meanwhile.
    /// - [`Unsupported`](ErrorKind::Unsupported): the store has no locks.
    pub async fn lock(&self, wait: Duration) -> Result<LockedSession> {
        let mut state = self.state().await;
        state.engaged = true;
        let hold = self.acquire(&mut state, wait).await?;
        let held = hold.map(|hold| Renewed::start(hold, self.manager()));
        let (data, carried) = (state.data.clone(), state.data.clone());
        Ok(LockedSession { session: self.clone(), data, carried, held })
    }
}

impl LockedSession {
    /// Saves the changes and unlocks, in one round trip. Without changes it only unlocks.
    ///
    /// # Errors
    /// - [`LockLost`](ErrorKind::LockLost): somebody else took the lock; nothing was written.
    /// - [`NotFound`](ErrorKind::NotFound): the session was ended; it is not brought back.
    /// - [`TooLarge`](ErrorKind::TooLarge): nothing was written.
    ///
    /// The session is unlocked in any case.
    pub async fn commit(mut self) -> Result<()> {
        let session = self.session.clone();
        let mut state = session.state().await;
        let later = state.data.changed_since(&self.carried);
        let data = self.data.clone();
        match self.held.take() {
            Some(held) => session.commit_held(&mut state, data, held.stop()).await?,
            None => session.commit_unheld(&mut state, data).await?,
        }
        session.put_on_top(&mut state, &later)
    }

    /// Unlocks and gives up the changes made through this value. Unlike a drop, it waits until
    /// the lock is free.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn rollback(mut self) -> Result<()> {
        match self.held.take() {
            Some(held) => held.stop().release().await,
            None => Ok(()),
        }
    }

    /// Whether the lock is no longer ours, or cannot be renewed in time. What was changed cannot
    /// be counted on to be saved.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.held.as_ref().is_some_and(|held| *held.lost.borrow())
    }

    /// Returns when the lock is lost; never, while all is well. Cancel safe.
    pub async fn lost(&self) {
        if let Some(held) = &self.held {
            let mut lost = held.lost.clone();
            if lost.wait_for(|lost| *lost).await.is_ok() {
                return;
            }
        }
        std::future::pending().await
    }

    pub(super) fn parts(&mut self) -> LockedParts<'_> {
        LockedParts { data: &mut self.data, carried: &mut self.carried, held: &mut self.held }
    }

    pub(super) fn session(&self) -> Session {
        self.session.clone()
    }
}

/// The parts of a locked session that a rotation replaces.
pub(super) struct LockedParts<'a> {
    pub(super) data: &'a mut SessionData,
    pub(super) carried: &'a mut SessionData,
    pub(super) held: &'a mut Option<Renewed>,
}

impl Session {
    /// What was changed under no lock, because there was no record, makes the record.
    async fn commit_unheld(&self, state: &mut State, data: SessionData) -> Result<()> {
        let deadline = self.commit_deadline();
        let mut step = |current: &mut SessionData| {
            *current = data.clone();
            Ok(())
        };
        self.transact(state, &mut step, deadline, None).await
    }

    /// Puts changes that were made through the handle while it was locked on top of what was saved.
    pub(super) fn put_on_top(&self, state: &mut State, later: &SessionData) -> Result<()> {
        let rules = &self.manager().settings().rules;
        state.data = later.rebased(state.data.current(), rules)?;
        Ok(())
    }
}

impl Deref for LockedSession {
    type Target = SessionData;

    fn deref(&self) -> &SessionData {
        &self.data
    }
}

impl DerefMut for LockedSession {
    fn deref_mut(&mut self) -> &mut SessionData {
        &mut self.data
    }
}

impl fmt::Debug for LockedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockedSession")
            .field("data", &self.data)
            .field("locked", &self.held.is_some())
            .field("lost", &self.is_lost())
            .finish_non_exhaustive()
    }
}

/// A lease that is renewed until this value is dropped or stopped.
pub(super) struct Renewed {
    hold: Hold,
    renewal: Renewal,
    lost: watch::Receiver<bool>,
}

struct Renewal(JoinHandle<()>);

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Renewed {
    pub(super) fn start(hold: Hold, manager: &SessionManager) -> Self {
        let (tell, lost) = watch::channel(false);
        let task = renew(
            Arc::clone(&hold.store),
            hold.key.clone(),
            hold.lease.clone(),
            manager.settings().max_hold,
            tell,
        );
        Self { hold, renewal: Renewal(tokio::spawn(task)), lost }
    }

    /// Ends the renewal and leaves the lease.
    pub(super) fn stop(self) -> Hold {
        drop(self.renewal);
        self.hold
    }

    pub(super) fn hold(&self) -> &Hold {
        &self.hold
    }
}

/// Renews at a third of the lease, more often after a failure, until the lease is lost or `max_hold`
/// has passed; then tells the holder.
async fn renew(
    store: Arc<dyn SessionStore>,
    key: Key,
    lease: Lease,
    max_hold: Duration,
    lost: watch::Sender<bool>,
) {
    let whole = lease.duration();
    let last_call = Instant::now() + max_hold;
    let mut safe_until = Instant::now() + whole * 9 / 10;
    let mut next = Instant::now() + whole / 3;
    while next < last_call && next < safe_until {
        sleep_until(next).await;
        let sent = Instant::now();
        match timeout(whole / 3, store.renew(&key, &lease, whole)).await {
            Ok(Ok(())) => {
                safe_until = sent + whole * 9 / 10;
                next = sent + whole / 3;
            }
            Ok(Err(error)) if is_final(&error) => {
                safe_until = sent;
                break;
            }
            _ => next = Instant::now() + whole / 10,
        }
    }
    sleep_until(safe_until).await;
    events::lock_lost(&key);
    lost.send_replace(true);
}

fn is_final(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::LockLost | ErrorKind::NotFound | ErrorKind::Unsupported)
}
