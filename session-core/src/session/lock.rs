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
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    Session, SessionFacts,
    data::SessionData,
    events::SessionEvent,
    load::{MAX_HOPS, gone},
    manager::SessionManager,
    resend::Resend,
    state::{Phase, State},
};
use crate::{
    Error, ErrorKind, Key, Lease, LockRequest, OpToken, Operation, ReadOptions, Record, Result,
    SessionStore, instant_after,
};

/// A lease that is given back when the guard is dropped, in the background.
pub(super) struct Hold {
    store: Arc<dyn SessionStore>,
    key: Key,
    lease: Lease,
    /// Where it is given back; guards may be dropped outside. Without a runtime the lock becomes
    /// free at the end of its lease.
    runtime: Option<Handle>,
    granted: Instant,
    armed: bool,
}

impl Hold {
    fn new(store: &Arc<dyn SessionStore>, key: &Key, lease: Lease) -> Self {
        let (runtime, granted) = (Handle::try_current().ok(), Instant::now());
        Self { store: Arc::clone(store), key: key.clone(), lease, runtime, granted, armed: true }
    }

    fn granted(mut self, lease: Lease) -> Self {
        (self.lease, self.granted) = (lease, Instant::now());
        self
    }

    pub(super) const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Gives the lock back and waits for it.
    pub(super) async fn release(mut self) -> Result<()> {
        let outcome = (*self.store).release(&self.key, &self.lease).await;
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
        if let Some(runtime) = self.runtime.take().filter(|_| self.armed) {
            let (store, key, lease) =
                (Arc::clone(&self.store), self.key.clone(), self.lease.clone());
            runtime.spawn(async move { (*store).release(&key, &lease).await });
        }
    }
}

impl SessionManager {
    /// Takes a key's lock, and reads; asked for again if the reply was lost. A request that is
    /// dropped, or whose reply never comes, may have been granted all the same: as its token is the
    /// lease's, the lock is given back then, too.
    pub(super) async fn lock(
        &self,
        key: &Key,
        deadline: Instant,
    ) -> Result<(Option<Hold>, Option<Record>)> {
        let (op, lease) = (OpToken::generate()?, self.settings().lock_lease);
        let mut hold = Hold::new(self.store(), key, Lease::new(op, lease));
        let mut resend = Resend::of_repeatable();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let outcome = self.backend().lock(key, LockRequest::new(op, lease, left)).await;
            if resend.is_due(&outcome).await {
                continue;
            }
            hold.armed = outcome.is_ok() || resend.is_unsure_of(&outcome);
            let locked = outcome?;
            return Ok(match locked.lease {
                Some(lease) => (Some(hold.granted(lease)), locked.record),
                None => {
                    hold.disarm();
                    (None, locked.record)
                }
            });
        }
    }
}

impl Session {
    /// Takes the session's lock, and takes over the record that came with it. `None` when there is
    /// no record: nobody else knows a session that was not saved yet.
    pub(super) async fn acquire(
        &self,
        state: &mut State,
        deadline: Instant,
    ) -> Result<Option<Hold>> {
        for _ in 0..=MAX_HOPS {
            let Some(key) = self.lock_key(state)? else {
                // Without an id there is nothing to read either.
                self.read(state, ReadOptions::latest()).await?;
                return Ok(None);
            };
            let (hold, record) = self.manager().lock(&key, deadline).await?;
            let found = self.manager().resolve(&key, record, ReadOptions::latest()).await?;
            if matches!(state.phase, Phase::Unread) {
                self.settle(state, &key, found)?;
            } else {
                self.take_over(state, &key, found)?;
            }
            match (hold, &state.phase) {
                (Some(hold), Phase::Stored(place)) if place.key == key => return Ok(Some(hold)),
                // The id leads elsewhere: the lock to take is that of the successor. Or it leads
                // nowhere, and there is nothing to lock. This lock is given back either way.
                (Some(hold), _) => hold.release().await?,
                (None, _) => {}
            }
        }
        Err(Error::new(ErrorKind::Conflict, "session", Operation::Lock)
            .with_detail("the session's id was rotated too often"))
    }

    /// The key to lock: where the record is, or where it would be if it was not read yet.
    fn lock_key(&self, state: &State) -> Result<Option<Key>> {
        match &state.phase {
            Phase::Stored(place) => Ok(Some(place.key.clone())),
            Phase::Unread => Ok(self.presented().map(|id| self.presented_key(id))),
            Phase::New | Phase::JustRetired(_) => Ok(None),
            Phase::Gone => Err(gone(Operation::Lock)),
        }
    }

    /// Waits until no other task commits or locks through this handle. Whoever holds its lock needs
    /// its state to commit, so nobody may wait for the lock while he has the state to himself.
    pub(super) async fn alone(&self, deadline: Instant) -> Result<Alone> {
        if let Some(alone) = self.alone_now() {
            return Ok(alone);
        }
        let turn = Box::pin(timeout_at(deadline, self.turns().acquire())).await;
        let turn = turn.ok().and_then(Result::ok);
        let turn = turn.ok_or_else(|| {
            Error::new(ErrorKind::LockTimeout, "session", Operation::Lock)
                .with_detail("this request holds the session's lock itself")
        })?;
        turn.forget();
        Ok(Alone(self.clone()))
    }
}

impl Session {
    /// The turn, if nobody has it.
    pub(super) fn alone_now(&self) -> Option<Alone> {
        let turn = self.turns().try_acquire().ok()?;
        turn.forget();
        Some(Alone(self.clone()))
    }
}

/// The turn to commit or lock through a handle.
pub(super) struct Alone(Session);

impl Drop for Alone {
    fn drop(&mut self) {
        self.0.turns().add_permits(1);
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
    pub(super) data: SessionData,
    /// What the handle had changed before, which went along into `data`.
    pub(super) carried: SessionData,
    pub(super) held: Option<Renewed>,
    alone: Alone,
}

impl Session {
    /// Takes the session for exclusive use, waiting for it for up to `wait`.
    ///
    /// One round trip locks and reads. While the lock is held nobody else can change the session;
    /// reads and touches go on. A session that has not been saved yet is nobody else's, so there
    /// is nothing to lock.
    ///
    /// Changes made through this handle before go along into the locked session. While it is
    /// locked, work on the [`LockedSession`]: a [`save`](Self::save), [`update`](Self::update) or
    /// rotation of the same session waits for its end like everybody's, also in the task that holds
    /// it, and fails with [`LockTimeout`](ErrorKind::LockTimeout) when the commit timeout is over.
    ///
    /// # Errors
    /// - [`LockTimeout`](ErrorKind::LockTimeout), [`TooManyWaiters`](ErrorKind::TooManyWaiters):
    ///   the lock was not won; nothing is left behind.
    /// - [`NotFound`](ErrorKind::NotFound): the session was ended meanwhile.
    /// - [`Unsupported`](ErrorKind::Unsupported): the store has no locks.
    pub async fn lock(&self, wait: Duration) -> Result<LockedSession> {
        let deadline = instant_after(wait);
        let alone = self.alone(deadline).await?;
        let mut state = self.state().await;
        state.engaged = true;
        let hold = self.acquire(&mut state, deadline).await?;
        let held = hold.map(|hold| Renewed::start(hold, self.manager()));
        let (data, carried) = (state.data.clone(), state.data.clone());
        Ok(LockedSession { data, carried, held, alone })
    }
}

impl LockedSession {
    /// Saves the changes and unlocks, in one round trip. Without changes it only unlocks.
    ///
    /// # Errors
    /// - [`LockLost`](ErrorKind::LockLost): somebody else took the lock; nothing was written.
    /// - [`NotFound`](ErrorKind::NotFound): the session was ended; it is not brought back.
    /// - [`TooLarge`](ErrorKind::TooLarge): nothing was written.
    /// - [`Conflict`](ErrorKind::Conflict): an entry was changed through the unlocked handle as
    ///   well, and its merge rule refuses; nothing was written.
    ///
    /// The session is unlocked in any case.
    pub async fn commit(mut self) -> Result<()> {
        let session = self.session().clone();
        let mut state = session.state().await;
        let later = state.data.changed_since(&self.carried);
        let rules = &session.manager().settings().rules;
        let mut over = None;
        let mut step = |data: &mut SessionData| {
            *data = self.data.rebased(Arc::clone(data.base()), rules)?;
            over = later.as_ref().map(|later| later.on_top_of(data, rules)).transpose()?;
            Ok(())
        };
        match self.held.take() {
            Some(held) => session.transact_held(&mut state, &mut step, held.stop()).await?,
            // There was no record to lock, so these changes make it.
            None => {
                let deadline = session.commit_deadline();
                session.transact(&mut state, &mut step, deadline, None).await?;
            }
        }
        state.data = over.unwrap_or_else(|| state.data.unchanged());
        Ok(())
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

    /// Ends the session, as [`Session::delete`] does. Its lock goes with this value, and its changes
    /// with the session.
    ///
    /// # Errors
    /// Those of [`Session::delete`].
    pub async fn delete(&self) -> Result<()> {
        self.session().delete().await
    }

    /// Whether this request itself ended the session while it was locked: there is nothing to save.
    pub async fn is_ended(&self) -> bool {
        self.held.is_some() && matches!(self.session().state().await.phase, Phase::New)
    }

    /// When the session began, and how long it lives; `None` when it has not been saved yet.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn facts(&self) -> Result<Option<SessionFacts>> {
        self.session().facts().await
    }

    /// Whether the lock is no longer ours, or cannot be renewed in time. What was changed cannot
    /// be counted on to be saved.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.renewing.has_changed().is_err())
    }

    /// Returns when the lock is lost; never, while all is well. Cancel safe.
    pub async fn lost(&self) {
        let Some(held) = &self.held else { return std::future::pending().await };
        let mut renewing = held.renewing.clone();
        while renewing.changed().await.is_ok() {}
    }

    pub(super) const fn session(&self) -> &Session {
        &self.alone.0
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
    /// Closed when the renewal has come to its end, however it did.
    renewing: watch::Receiver<()>,
}

struct Renewal(JoinHandle<()>);

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Renewed {
    pub(super) fn start(hold: Hold, manager: &SessionManager) -> Self {
        let (end, renewing) = watch::channel(());
        let (store, key, lease) = (Arc::clone(&hold.store), hold.key.clone(), hold.lease.clone());
        let (granted, max_hold) = (hold.granted, manager.settings().max_hold);
        let manager = manager.clone();
        let renewal = tokio::spawn(async move {
            let _end = end;
            renew(&*store, &key, &lease, granted, max_hold).await;
            manager.tell(SessionEvent::LockLost, &key);
        });
        Self { hold, renewal: Renewal(renewal), renewing }
    }

    /// Ends the renewal and leaves the lease.
    pub(super) fn stop(self) -> Hold {
        drop(self.renewal);
        self.hold
    }

    pub(super) const fn lease(&self) -> &Lease {
        self.hold.lease()
    }
}

/// Renews at a third of the lease, more often after a failure, until the lease is lost or `max_hold`
/// has passed since the grant; returns when it cannot be counted on any longer.
async fn renew(
    store: &dyn SessionStore,
    key: &Key,
    lease: &Lease,
    granted: Instant,
    max_hold: Duration,
) {
    let whole = lease.duration();
    let safe = whole - whole / 10;
    let since_grant =
        |duration: Duration| instant_after(duration.saturating_sub(granted.elapsed()));
    let last_call = since_grant(max_hold);
    let (mut safe_until, mut next) = (since_grant(safe), since_grant(whole / 3));
    while next < last_call && next < safe_until {
        sleep_until(next).await;
        let (new_safe_until, new_next) = (instant_after(safe), instant_after(whole / 3));
        // A renewal that is not answered must not keep the holder from being told in time.
        let patience = new_next.min(safe_until);
        match timeout_at(patience, store.renew(key, lease, whole)).await {
            Ok(Ok(())) => (safe_until, next) = (new_safe_until, new_next),
            Ok(Err(error)) if is_final(&error) => return,
            _ => next = instant_after(whole / 10),
        }
    }
    sleep_until(safe_until).await;
}

fn is_final(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::LockLost | ErrorKind::NotFound | ErrorKind::Unsupported)
}
