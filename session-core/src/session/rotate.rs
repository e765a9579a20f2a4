//! Changing a session's id while it goes on.
//!
//! Two steps, each atomic: a copy of the session is created under a new id, which nobody knows
//! yet; then the old record becomes an alias of it, provided that it is still as it was copied. A
//! crash before the second step leaves the old session as it was, and a copy that nobody can
//! reach and that expires; a crash after it leaves the new session, which the alias leads to. At no
//! instant can two copies be reached, or none.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    LockedSession, Session,
    commit::MAX_CONFLICTS,
    events,
    load::gone,
    lock::{Hold, Renewed},
    state::{CookieChange, Phase, Place, State},
};
use crate::{
    Alias, Document, DocumentState, Entries, Error, ErrorKind, Expected, Key, Lease, Lineage, Meta,
    OpToken, Operation, PrincipalDigest, ReadOptions, Result, SessionId, Then, Timestamp, Under,
    Write,
};

/// What a rotation changes besides the id.
#[derive(Clone, Copy)]
pub(super) struct Change {
    grace: Duration,
    login: Option<Authenticated>,
}

/// A log-in whose credentials were right.
#[derive(Clone, Copy)]
struct Authenticated {
    principal: PrincipalDigest,
    epoch: u64,
    at: Timestamp,
}

/// A copy of the session under a new id.
struct Copy {
    id: SessionId,
    place: Place,
    entries: Entries,
}

impl Session {
    /// Changes the session's id now and keeps everything else, the absolute deadline included.
    ///
    /// For a grace ([`SessionManagerBuilder::grace`](crate::SessionManagerBuilder::grace)) the old
    /// id still leads to the session, so that the other requests of a page do not lose it; it
    /// cannot be rotated again, and the new id is not shown to who presents it. After the grace its
    /// use is reported as an event. Changes made so far are saved with the rotation.
    ///
    /// A session that has not been saved yet has no id to change: nothing happens.
    ///
    /// When a parallel request rotates the same id, one of the two wins; this call then returns
    /// without an error, and the handle goes on with the session under the winner's id.
    ///
    /// # Errors
    /// - [`Conflict`](ErrorKind::Conflict): the id that was presented was rotated away earlier.
    /// - [`NotFound`](ErrorKind::NotFound): the session was ended meanwhile.
    /// - [`Unsupported`](ErrorKind::Unsupported): the format has no room for an alias.
    pub async fn cycle_id(&self) -> Result<()> {
        self.rotate(Change { grace: self.manager().settings().grace, login: None }).await
    }

    /// Makes the session one of `principal`, from now on authenticated, under a new id.
    ///
    /// The old id ends at once, without a grace: whoever planted or saw it before the log-in
    /// holds nothing (session fixation). Data and the absolute deadline stay.
    ///
    /// The principal's epoch is read by this call. If sessions are revoked by epoch, use
    /// [`begin_login`](Self::begin_login) before checking the password instead.
    ///
    /// # Errors
    /// As [`cycle_id`](Self::cycle_id). Losing against a parallel rotation is a
    /// [`Conflict`](ErrorKind::Conflict) here.
    pub async fn login(&self, principal: &str) -> Result<()> {
        self.begin_login(principal).await?.complete().await
    }

    /// Starts a log-in: reads the principal's epoch, so that a revocation that comes while the
    /// password is being checked ends the new session too.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn begin_login(&self, principal: &str) -> Result<Login> {
        let principal = self.manager().key_hasher().principal(principal);
        let epoch = match self.manager().backend().principal_index() {
            Some(index) => index.epoch(&principal).await?,
            None => 0,
        };
        Ok(Login { session: self.clone(), principal, epoch })
    }

    async fn rotate(&self, change: Change) -> Result<()> {
        let deadline = self.commit_deadline();
        let _alone = self.alone(deadline).await?;
        let state = &mut *self.ready().await?;
        for conflicts in 0_u32.. {
            let place = match &state.phase {
                Phase::Stored(place) if place.aliased => return Err(rotated_before()),
                Phase::Stored(place) => place.clone(),
                Phase::New => {
                    self.mark_login(state, change);
                    return Ok(());
                }
                Phase::JustRetired => return Err(rotated_before()),
                Phase::Gone | Phase::Unread => return Err(gone(Operation::Rotate)),
            };
            if conflicts > MAX_CONFLICTS && self.can_lock() {
                break;
            }
            let copy = self.copy(state, state.data.current(), change, None).await?;
            let expected = Expected::Revision(place.revision);
            let Err(error) = self.retire(state, &place.key, &copy, change, expected).await else {
                return self.move_to(state, &place.key, copy, change);
            };
            if error.maybe_applied() {
                // The old id may lead to the copy already: it must stay.
                return Err(error);
            }
            self.discard(&copy).await?;
            let in_time = Instant::now() < deadline;
            match error.kind() {
                ErrorKind::LockHeld if in_time => break,
                ErrorKind::Conflict if in_time => {
                    self.read_again(state).await?;
                    if matches!(&state.phase, Phase::Stored(now) if now.key != place.key) {
                        return if change.login.is_some() { Err(error) } else { Ok(()) };
                    }
                }
                _ => return Err(self.note(state, &place.key, error)),
            }
        }
        self.rotate_in_turn(state, change, deadline).await
    }

    /// Waits for the holder of the lock, and rotates under a lock of its own.
    async fn rotate_in_turn(
        &self,
        state: &mut State,
        change: Change,
        deadline: Instant,
    ) -> Result<()> {
        let hold = self.acquire(state, deadline).await?.ok_or_else(|| gone(Operation::Rotate))?;
        let Phase::Stored(place) = &state.phase else { return Err(gone(Operation::Rotate)) };
        if place.aliased {
            hold.release().await?;
            return if change.login.is_some() { Err(rotated_before()) } else { Ok(()) };
        }
        let place = place.clone();
        let copy = self.copy(state, state.data.current(), change, None).await?;
        self.retire_held(state, &place, &copy, change, hold.lease()).await?;
        hold.disarm();
        self.move_to(state, &place.key, copy, change)
    }

    /// Creates the copy, under a lease of the new key if there is one.
    async fn copy(
        &self,
        state: &State,
        entries: Entries,
        change: Change,
        under: Option<(SessionId, Under<'_>)>,
    ) -> Result<Copy> {
        let mut document = state.document(entries);
        let mut meta = state.meta;
        if let Some(Authenticated { principal, epoch, at }) = change.login {
            document.header.authenticated_at = Some(at);
            meta = meta.with_principal(Some(principal), epoch);
        }
        let payload = self.manager().format().encode(&document)?;
        let ttl = self.idle(state);
        let write = Write::new(payload, ttl).with_meta(meta);
        let (id, revision) = match under {
            None => self.manager().create_fresh(write, None).await?,
            Some((id, under)) => {
                let key = self.manager().key(&id);
                let revision = self.manager().create_at(&key, write, Some(under)).await?;
                (id, revision)
            }
        };
        let place =
            Place::new(self.manager().key(&id), revision, self.remaining(state, ttl), false);
        Ok(Copy { id, place, entries: document.entries })
    }

    /// Turns the old record into an alias of the copy.
    async fn retire(
        &self,
        state: &State,
        old: &Key,
        copy: &Copy,
        change: Change,
        expected: Expected<'_>,
    ) -> Result<()> {
        let now = self.manager().now();
        let successor = *copy.place.key.digest();
        let mut document = Document::from_parts(state.header.clone(), Entries::new());
        document.header.state =
            DocumentState::Alias(Alias::new(successor, now.after(change.grace), now));
        let payload = self.manager().format().encode(&document)?;
        // It belongs to nobody, so that no index lists it, and it dies no later than the session.
        let meta = Meta::new().with_absolute_deadline(state.meta.absolute_deadline);
        let write = Write::new(payload, self.idle(state)).with_meta(meta);
        let write = write.with_lineage(Lineage::Restart);
        match self.manager().save(old, write, expected, OpToken::generate()?).await {
            // The new id must not be lost because a reply was: a look tells what came of it.
            Err(error) if error.maybe_applied() && self.leads_to(old, copy).await => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Whether the old id leads to the copy, as far as the store can be read.
    async fn leads_to(&self, old: &Key, copy: &Copy) -> bool {
        let read = self.manager().store().load(old, ReadOptions::latest()).await;
        let Ok(Some(record)) = read else { return false };
        let document = self.manager().format().decode(&record.payload);
        let state = document.map(|document| document.header.state);
        matches!(state, Ok(DocumentState::Alias(alias)) if alias.successor == *copy.place.key.digest())
    }

    /// The same under the lease of the old key, which ends with it.
    async fn retire_held(
        &self,
        state: &State,
        place: &Place,
        copy: &Copy,
        change: Change,
        lease: &Lease,
    ) -> Result<()> {
        let then = Then::Release;
        let expected = Expected::Lease { lease, revision: place.revision, then };
        let outcome = self.retire(state, &place.key, copy, change, expected).await;
        if outcome.as_ref().is_err_and(|error| !error.maybe_applied()) {
            self.discard(copy).await?;
        }
        outcome
    }

    /// Removes a copy that nobody knows of.
    async fn discard(&self, copy: &Copy) -> Result<()> {
        self.manager().delete(&copy.place.key, Expected::Any).await
    }

    fn move_to(&self, state: &mut State, old: &Key, copy: Copy, change: Change) -> Result<()> {
        events::rotated(old, &copy.place.key);
        self.mark_login(state, change);
        let remaining = copy.place.remaining();
        state.saved(copy.place, copy.entries);
        self.set_cookie(CookieChange::Set { id: copy.id, remaining });
        Ok(())
    }

    fn mark_login(&self, state: &mut State, change: Change) {
        if let Some(Authenticated { principal, epoch, at }) = change.login {
            state.header.authenticated_at = Some(at);
            state.meta = state.meta.with_principal(Some(principal), epoch);
            if let Phase::Stored(place) = &state.phase {
                events::authenticated(&place.key);
            }
        }
    }
}

/// A log-in that was begun: the credentials are to be checked now.
#[derive(Debug)]
#[must_use = "a log-in must be completed"]
pub struct Login {
    session: Session,
    principal: PrincipalDigest,
    epoch: u64,
}

impl Login {
    /// The credentials were right: the session becomes the principal's, under a new id.
    ///
    /// # Errors
    /// As [`Session::login`].
    pub async fn complete(self) -> Result<()> {
        let (principal, epoch) = (self.principal, self.epoch);
        let login = Some(Authenticated { principal, epoch, at: self.session.manager().now() });
        self.session.rotate(Change { grace: Duration::ZERO, login }).await
    }
}

impl LockedSession {
    /// Changes the session's id and goes on holding the lock, under the new id; the changes made
    /// so far are saved. The old id becomes an alias as with [`Session::cycle_id`], and its lock
    /// is free.
    ///
    /// # Errors
    /// - [`LockLost`](ErrorKind::LockLost): somebody else took the lock; nothing was changed.
    /// - [`Conflict`](ErrorKind::Conflict): the id that was presented was rotated away earlier.
    /// - [`NotFound`](ErrorKind::NotFound): the session was ended meanwhile.
    pub async fn cycle_id(&mut self) -> Result<()> {
        let session = self.session().clone();
        let mut state = session.state().await;
        let Some(lease) = self.held.as_ref().map(|held| held.lease().clone()) else {
            return Ok(());
        };
        let place = match &state.phase {
            Phase::Stored(place) if place.aliased => return Err(rotated_before()),
            Phase::Stored(place) => place.clone(),
            _ => return Err(gone(Operation::Rotate)),
        };
        let later = state.data.changed_since(&self.carried);
        let rules = &session.manager().settings().rules;
        let over = later.map(|later| later.on_top_of(&self.data, rules)).transpose()?;
        let change = Change { grace: session.manager().settings().grace, login: None };
        let (copy, next) = session.locked_copy(&state, self.data.current(), change).await?;
        session.retire_held(&state, &place, &copy, change, &lease).await?;
        if let Some(former) = self.held.take() {
            former.stop().disarm();
        }
        self.held = Some(Renewed::start(next, session.manager()));
        session.move_to(&mut state, &place.key, copy, change)?;
        (self.data, self.carried) = (state.data.clone(), state.data.clone());
        state.data = over.unwrap_or_else(|| state.data.unchanged());
        Ok(())
    }
}

impl Session {
    /// Creates the copy and holds its lock, which is free for sure: nobody else knows the id until
    /// the old one leads to it.
    async fn locked_copy(
        &self,
        state: &State,
        entries: Entries,
        change: Change,
    ) -> Result<(Copy, Hold)> {
        let id = self.manager().settings().id_form.generate()?;
        let (hold, _) = self.manager().lock(&self.manager().key(&id), Instant::now()).await?;
        if let Some(hold) = hold {
            let under = Some((id, Under::new(hold.lease(), Then::Keep)));
            return Ok((self.copy(state, entries, change, under).await?, hold));
        }
        // The store holds no key without a record. Winning a lock may change the revision.
        let mut copy = self.copy(state, entries, change, None).await?;
        match self.manager().lock(&copy.place.key, Instant::now()).await {
            Ok((Some(hold), Some(record))) => {
                copy.place.revision = record.revision;
                Ok((copy, hold))
            }
            outcome => {
                self.discard(&copy).await?;
                outcome.and_then(|_| Err(gone(Operation::Rotate)))
            }
        }
    }
}

fn rotated_before() -> Error {
    Error::new(ErrorKind::Conflict, "session", Operation::Rotate)
        .with_detail("the id that was presented was rotated away before")
}
