//! Saving: conditional commits, merged and retried.

use tokio::time::Instant;

use super::{
    Session,
    data::SessionData,
    events::SessionEvent,
    load::{gone, replaced},
    lock::Hold,
    manager::SessionManager,
    resend::Resend,
    state::{CookieChange, Phase, Place, State},
};
use crate::{
    Document, Error, ErrorKind, Expected, Key, KeyDigest, Lineage, OpToken, Operation, QueueError,
    Result, Revision, SessionId, Then, Ttl, Turn, Under, Write,
};

/// After so many conflicts a committer takes the store's lock, so that it is its turn for sure.
/// Conflicts within the process are avoided by the line, so these come from other servers.
pub(super) const MAX_CONFLICTS: u32 = 4;

/// How often a fresh id may turn out to be taken. Once would be a miracle.
const MAX_COLLISIONS: u32 = 3;

/// What a commit makes of the data: nothing more (a save), or a closure's changes (an update).
pub(super) type Step<'a, R> = &'a mut (dyn FnMut(&mut SessionData) -> Result<R> + Send);

impl Session {
    /// Applies `step` to the session and saves it, again and again until nobody was in between.
    pub(super) async fn transact<R: Send>(
        &self,
        state: &mut State,
        step: Step<'_, R>,
        deadline: Instant,
        mut turn: Option<Turn>,
    ) -> Result<R> {
        let mut conflicts = 0;
        loop {
            let Phase::Stored(place) = &state.phase else {
                return Box::pin(self.create(state, step)).await;
            };
            let place = place.clone();
            let mut data = state.data.clone();
            let outcome = step(&mut data)?;
            if !data.is_changed() {
                return Ok(outcome);
            }
            let expected = Expected::Revision(place.revision);
            let Err(error) = self.save_at(state, &place, &data, expected).await else {
                return Ok(outcome);
            };
            conflicts += 1;
            if error.maybe_applied() || Instant::now() >= deadline {
                return Err(self.note(state, &place.key, error));
            }
            match error.kind() {
                ErrorKind::LockHeld => {
                    break Box::pin(self.line_up(&place.key, &mut turn, deadline)).await?;
                }
                ErrorKind::Conflict if conflicts > MAX_CONFLICTS && self.can_lock() => break,
                ErrorKind::Conflict => {
                    let caught = self.catch_up(state, &place.key, &mut turn, error, deadline);
                    Box::pin(caught).await?;
                }
                _ => return Err(self.note(state, &place.key, error)),
            }
        }
        Box::pin(self.transact_locked(state, step, deadline)).await
    }

    /// Takes the store's lock for one commit.
    async fn transact_locked<R: Send>(
        &self,
        state: &mut State,
        step: Step<'_, R>,
        deadline: Instant,
    ) -> Result<R> {
        let Some(hold) = self.acquire(state, deadline).await? else {
            return self.create(state, step).await;
        };
        self.transact_held(state, step, hold).await
    }

    /// Applies `step` and saves under a lock, which is free with it in any case.
    pub(super) async fn transact_held<R: Send>(
        &self,
        state: &mut State,
        step: Step<'_, R>,
        hold: Hold,
    ) -> Result<R> {
        let Phase::Stored(place) = &state.phase else { return Err(gone(Operation::Save)) };
        let place = place.clone();
        let mut data = state.data.clone();
        let outcome = step(&mut data)?;
        if !data.is_changed() {
            hold.release().await?;
            return Ok(outcome);
        }
        let (revision, then) = (place.revision, Then::Release);
        let expected = Expected::Lease { lease: hold.lease(), revision, then };
        match self.save_at(state, &place, &data, expected).await {
            Ok(()) => {
                hold.disarm();
                Ok(outcome)
            }
            // The guard goes out of scope and frees the lock, if it is still ours.
            Err(error) => Err(self.note(state, &place.key, error)),
        }
    }

    /// Writes `data` where the record is and takes over what was written.
    async fn save_at(
        &self,
        state: &mut State,
        place: &Place,
        data: &SessionData,
        expected: Expected<'_>,
    ) -> Result<()> {
        let document = state.document(data.current());
        let write = self.write(state, &document)?;
        let ttl = write.ttl;
        let op = state.token_of(place.revision, &write)?;
        let revision = self.manager().save(&place.key, write, expected, op).await?;
        let remaining = self.remaining(state, ttl);
        let place = Place::new(place.key.clone(), revision, remaining, place.aliased);
        self.extend_cookie(&place, remaining);
        state.saved(place, document.entries);
        Ok(())
    }

    /// Stands in line with the process' other committers of the session.
    async fn line_up(&self, key: &Key, turn: &mut Option<Turn>, deadline: Instant) -> Result<()> {
        if turn.is_none() {
            *turn = Some(self.manager().stand_in_line(key.digest(), deadline).await?);
        }
        Ok(())
    }

    /// After a conflict: stands in line with the process' other committers, and goes on from the
    /// record that won, if it came with the error and nobody was in line before, or reads again.
    async fn catch_up(
        &self,
        state: &mut State,
        key: &Key,
        turn: &mut Option<Turn>,
        mut error: Error,
        deadline: Instant,
    ) -> Result<()> {
        if turn.is_none() {
            let is_next = self.manager().line().waiting(key.digest()) == 0;
            self.line_up(key, turn, deadline).await?;
            if !is_next {
                return self.read_again(state).await;
            }
        }
        let Some(current) = error.take_current() else { return self.read_again(state).await };
        let found = self.manager().resolve(key, Some(current), Default::default()).await?;
        self.take_over(state, key, found)
    }

    /// Makes the first record of a session, under an id of its own.
    pub(super) async fn create<R: Send>(&self, state: &mut State, step: Step<'_, R>) -> Result<R> {
        match state.phase {
            Phase::New => {}
            Phase::JustRetired(_) => return Err(replaced(Operation::Create)),
            _ => return Err(gone(Operation::Save)),
        }
        let mut data = state.data.clone();
        let outcome = step(&mut data)?;
        let entries = data.current();
        if !state.is_worth_storing(&entries) {
            state.data = data;
            return Ok(outcome);
        }
        let document = state.document(entries);
        let write = self.write(state, &document)?;
        let remaining = self.remaining(state, write.ttl);
        let (id, revision) = self.manager().create_fresh(write, None).await?;
        let key = self.manager().key(&id);
        self.manager().tell(SessionEvent::Created, &key);
        state.saved(Place::new(key, revision, remaining, false), document.entries);
        self.set_cookie(CookieChange::Set { id, remaining });
        self.keep_if_sure(state).await?;
        Ok(outcome)
    }

    /// Extends a session that was used and not changed, if enough of its life has passed.
    pub(super) async fn touch_if_due(&self, state: &mut State) -> Result<()> {
        let ttl = self.idle(state);
        let full = self.remaining(state, ttl);
        let Phase::Stored(place) = &mut state.phase else { return Ok(()) };
        let passed = self.manager().settings().touch_after(ttl);
        let due = match (full.duration(), place.remaining().duration()) {
            // A store that rounds up may show more than the full life.
            (Some(_), Some(_)) if passed.is_zero() => true,
            (Some(full), Some(left)) => left.saturating_add(passed) <= full,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if !due {
            return Ok(());
        }
        let op = OpToken::generate()?;
        let incarnation = place.revision.incarnation();
        match self.manager().backend().touch(&place.key, ttl, incarnation, op).await {
            Ok(()) => {
                place.extended(full);
                let place = place.clone();
                self.extend_cookie(&place, full);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.manager().tell(SessionEvent::Gone, &place.key);
                state.phase = Phase::Gone;
                Ok(())
            }
            // The id was rotated by a parallel request, which counts as activity.
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            // A layout without a touch keeps its sessions alive by saves only, and says so.
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn write(&self, state: &State, document: &Document) -> Result<Write> {
        let payload = self.manager().format().encode(document)?;
        Ok(Write::new(payload, self.idle(state)).with_meta(state.meta))
    }

    pub(super) fn idle(&self, state: &State) -> Ttl {
        let own = state.life.or(state.own_idle());
        self.manager().settings().idle(own)
    }

    /// What is left of the session's life after a write that lasts for `ttl`.
    pub(super) fn remaining(&self, state: &State, ttl: Ttl) -> Ttl {
        let now = self.manager().now();
        crate::Deadline::after(now, ttl, state.meta.absolute_deadline).remaining(now)
    }

    pub(super) fn can_lock(&self) -> bool {
        self.manager().backend().capabilities().locking.is_yes()
    }

    /// Remembers what an error says about the session, and passes it on.
    pub(super) fn note(&self, state: &mut State, key: &Key, error: Error) -> Error {
        match error.kind() {
            ErrorKind::NotFound => {
                self.manager().tell(SessionEvent::Gone, key);
                state.phase = Phase::Gone;
            }
            ErrorKind::LockLost => self.manager().tell(SessionEvent::LockLost, key),
            _ => {}
        }
        error
    }
}

impl SessionManager {
    /// Stands in the line of this process' committers of one session.
    pub(super) async fn stand_in_line(&self, key: &KeyDigest, deadline: Instant) -> Result<Turn> {
        let kind = match self.line().enter(key, deadline).await {
            Ok(turn) => return Ok(turn),
            Err(QueueError::Full) => ErrorKind::TooManyWaiters,
            Err(QueueError::Timeout) => ErrorKind::LockTimeout,
        };
        Err(Error::new(kind, "session", Operation::Save)
            .with_detail("others kept changing the session"))
    }

    /// One save; sent again if its reply was lost.
    pub(super) async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        let mut resend = Resend::new(self.backend().capabilities());
        loop {
            let outcome = self.backend().save(key, write.clone(), expected, op).await;
            if !resend.is_due(&outcome).await {
                return resend.settle(outcome);
            }
        }
    }

    /// Creates a record under a new id; sent again if its reply was lost.
    pub(super) async fn create_fresh(
        &self,
        write: Write,
        under: Option<Under<'_>>,
    ) -> Result<(SessionId, Revision)> {
        let mut collisions = 0;
        loop {
            let id = self.settings().id_form.generate()?;
            match self.create_at(&self.key(&id), write.clone(), under).await {
                Err(error)
                    if error.kind() == ErrorKind::AlreadyExists
                        && !error.maybe_applied()
                        && collisions < MAX_COLLISIONS =>
                {
                    collisions += 1;
                }
                outcome => return outcome.map(|revision| (id, revision)),
            }
        }
    }

    pub(super) async fn create_at(
        &self,
        key: &Key,
        write: Write,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        let write = write.with_lineage(Lineage::Continue);
        let op = OpToken::generate()?;
        let mut resend = Resend::new(self.backend().capabilities());
        loop {
            let outcome = self.backend().create(key, write.clone(), op, under).await;
            if !resend.is_due(&outcome).await {
                return resend.settle(outcome);
            }
        }
    }
}
