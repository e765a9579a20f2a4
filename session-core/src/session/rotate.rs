//! Changing a session's id while it goes on.
//!
//! Two steps, each atomic: a copy of the session is created under a new id, which nobody knows
//! yet; then the old record becomes an alias of it, provided that it is still as it was copied. A
//! crash before the second step leaves the old session as it was, and a copy that nobody can
//! reach and that expires; a crash after it leaves the new session, which the alias leads to. At no
//! instant can two copies be reached, or none.
//!
//! Where the format has no room for an alias, as PHP's, the old record goes in the second step.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    LockedSession, Session,
    commit::MAX_CONFLICTS,
    config::Settings,
    events::SessionEvent,
    load::{Found, MAX_HOPS, gone},
    lock::{Hold, Renewed},
    state::{CookieChange, Phase, Place, State},
};
use crate::{
    Alias, Binding, ClientHint, Document, DocumentState, Entries, Error, ErrorKind, Expected,
    Header, Key, Lease, Lineage, Meta, OpToken, Operation, PrincipalDigest, ReadOptions, Result,
    SessionHandle, SessionId, Then, Timestamp, Under, Write,
};

/// What a rotation changes besides the id.
#[derive(Clone)]
pub(super) enum Change {
    /// Nothing.
    Id,
    /// The principal has shown again who he is.
    Reauthentication,
    /// It becomes a principal's.
    Login(Authenticated),
}

/// A log-in whose credentials were right.
#[derive(Clone)]
pub(super) struct Authenticated {
    pub(super) principal: PrincipalDigest,
    pub(super) epoch: u64,
    pub(super) handle: Option<SessionHandle>,
    pub(super) client: Option<ClientHint>,
    pub(super) binding: Option<Binding>,
}

impl Change {
    /// A log-in has no grace: who planted or saw the id before it must hold nothing.
    fn grace(&self, settings: &Settings) -> Duration {
        if self.is_login() { Duration::ZERO } else { settings.grace }
    }

    const fn is_login(&self) -> bool {
        matches!(self, Self::Login(_))
    }

    pub(super) fn apply(&self, header: &mut Header, meta: &mut Meta, now: Timestamp) {
        match self {
            Self::Id => {}
            Self::Reauthentication => header.authenticated_at = Some(now),
            Self::Login(login) => {
                header.authenticated_at = Some(now);
                header.handle = login.handle;
                header.client.clone_from(&login.client);
                header.binding = login.binding;
                *meta = meta.with_principal(Some(login.principal), login.epoch);
            }
        }
    }
}

/// A copy of the session under a new id.
struct Copy {
    id: SessionId,
    place: Place,
    header: Header,
    meta: Meta,
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
    /// In a format that has no room for an alias
    /// ([`FormatCapabilities::alias`](crate::FormatCapabilities::alias)), the old id ends at once: the
    /// other requests of a page that present it find no session, and the loser of a parallel
    /// rotation is told `NotFound`.
    ///
    /// # Errors
    /// - [`Conflict`](ErrorKind::Conflict): the id that was presented was rotated away earlier.
    /// - [`NotFound`](ErrorKind::NotFound): the session was ended meanwhile.
    pub async fn cycle_id(&self) -> Result<()> {
        self.rotate(Change::Id).await
    }

    pub(super) async fn rotate(&self, change: Change) -> Result<()> {
        let deadline = self.commit_deadline();
        let _alone = self.alone(deadline).await?;
        let state = &mut *self.ready().await?;
        if matches!(state.phase, Phase::New) {
            return if change.is_login() { self.create_as(state, &change).await } else { Ok(()) };
        }
        self.rotate_stored(state, &change, deadline).await?;
        match change {
            Change::Login(_) => self.keep_if_sure(state).await,
            _ => self.end_if_revoked(state).await,
        }
    }

    async fn rotate_stored(
        &self,
        state: &mut State,
        change: &Change,
        deadline: Instant,
    ) -> Result<()> {
        for conflicts in 0_u32.. {
            let place = match &state.phase {
                Phase::Stored(place) if place.aliased => return Err(rotated_before()),
                Phase::Stored(place) => place.clone(),
                Phase::JustRetired(_) => {
                    self.join_log_in(state, change).await?;
                    continue;
                }
                _ => return Err(gone(Operation::Rotate)),
            };
            if conflicts > MAX_CONFLICTS && self.can_lock() {
                break;
            }
            let Err(error) = self.attempt(state, &place, change).await else { return Ok(()) };
            let in_time = Instant::now() < deadline && !error.maybe_applied();
            match error.kind() {
                ErrorKind::LockHeld if in_time => break,
                ErrorKind::Conflict if in_time => {
                    let again = self.read_again(state).await;
                    match &state.phase {
                        Phase::JustRetired(_) => {}
                        Phase::Stored(now) if now.key != place.key => {
                            return if change.is_login() { Err(error) } else { Ok(()) };
                        }
                        _ => again?,
                    }
                }
                _ => return Err(self.note(state, &place.key, error)),
            }
        }
        self.rotate_in_turn(state, change, deadline).await
    }

    /// Where the id that was presented ended a moment ago with a log-in of the same principal, as with
    /// a form that was sent twice, another log-in goes on from the session of that one. To whoever is
    /// another principal the id leads nowhere.
    pub(super) async fn join_log_in(&self, state: &mut State, change: &Change) -> Result<()> {
        let Change::Login(login) = change else { return Err(rotated_before()) };
        for _ in 0..MAX_HOPS {
            let Phase::JustRetired(successor) = state.phase else { return Ok(()) };
            match self.manager().find(&Key::from_digest(successor), ReadOptions::latest()).await? {
                Found::Retired(alias) => state.phase = Phase::JustRetired(alias.successor),
                Found::Live(mut snapshot) if snapshot.meta.principal == Some(login.principal) => {
                    snapshot.place.aliased = false;
                    return state.adopt(*snapshot, &self.manager().settings().rules);
                }
                _ => break,
            }
        }
        Err(rotated_before())
    }

    /// Rotates if nobody was in between.
    pub(super) async fn attempt(
        &self,
        state: &mut State,
        place: &Place,
        change: &Change,
    ) -> Result<()> {
        let copy = self.copy(state, state.data.current(), change, None).await?;
        let expected = Expected::Revision(place.revision);
        match self.retire(state, &place.key, &copy, change, expected).await {
            Ok(()) => {
                self.move_to(state, &place.key, copy, change);
                Ok(())
            }
            // The old id may lead to the copy already: it must stay.
            Err(error) if error.maybe_applied() => Err(error),
            Err(error) => {
                self.discard(&copy).await?;
                Err(error)
            }
        }
    }

    /// Waits for the holder of the lock, and rotates under a lock of its own.
    async fn rotate_in_turn(
        &self,
        state: &mut State,
        change: &Change,
        deadline: Instant,
    ) -> Result<()> {
        let hold = self.acquire(state, deadline).await?.ok_or_else(|| gone(Operation::Rotate))?;
        let Phase::Stored(place) = &state.phase else { return Err(gone(Operation::Rotate)) };
        if place.aliased {
            hold.release().await?;
            return if change.is_login() { Err(rotated_before()) } else { Ok(()) };
        }
        let place = place.clone();
        let copy = self.copy(state, state.data.current(), change, None).await?;
        self.retire_held(state, &place, &copy, change, hold.lease()).await?;
        hold.disarm();
        self.move_to(state, &place.key, copy, change);
        Ok(())
    }

    /// Creates the copy, under a lease of the new key if there is one.
    async fn copy(
        &self,
        state: &State,
        entries: Entries,
        change: &Change,
        under: Option<(SessionId, Under<'_>)>,
    ) -> Result<Copy> {
        let mut document = state.document(entries);
        let mut meta = state.meta;
        let now = self.manager().now();
        change.apply(&mut document.header, &mut meta, now);
        if self.manager().format().capabilities().rotated_at.is_yes() {
            document.header.rotated_at = Some(now);
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
        Ok(Copy { id, place, header: document.header, meta, entries: document.entries })
    }

    /// Turns the old record into an alias of the copy, or removes it where there is none.
    async fn retire(
        &self,
        state: &State,
        old: &Key,
        copy: &Copy,
        change: &Change,
        expected: Expected<'_>,
    ) -> Result<()> {
        let write = if self.manager().format().capabilities().alias.is_yes() {
            self.alias(state, copy, change)?
        } else {
            // Not a deletion: that succeeds also where somebody else has ended the session, which
            // would live on in the copy.
            Write::new(Bytes::new(), Duration::ZERO)
        };
        match self.manager().save(old, write, expected, OpToken::generate()?).await {
            // The new id must not be lost because a reply was: a look tells what came of it.
            Err(error) if error.maybe_applied() && self.leads_to(old, copy).await => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    fn alias(&self, state: &State, copy: &Copy, change: &Change) -> Result<Write> {
        let now = self.manager().now();
        let until = now.after(change.grace(self.manager().settings()));
        let successor = *copy.place.key.digest();
        let mut document = Document::new(state.header.codec, state.header.created_at);
        document.header.state = DocumentState::Alias(Alias::new(successor, until, now));
        let payload = self.manager().format().encode(&document)?;
        // It belongs to nobody, so that no index lists it, and it dies no later than the session.
        let meta = Meta::new().with_absolute_deadline(state.meta.absolute_deadline);
        Ok(Write::new(payload, self.idle(state)).with_meta(meta).with_lineage(Lineage::Restart))
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
        change: &Change,
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

    fn move_to(&self, state: &mut State, old: &Key, copy: Copy, change: &Change) {
        let manager = self.manager();
        let former = old.log_id();
        manager.tell(|session| SessionEvent::Rotated { session, former }, &copy.place.key);
        self.tell_of(change, &copy.place.key);
        let remaining = copy.place.remaining();
        (state.header, state.meta) = (copy.header, copy.meta);
        state.saved(copy.place, copy.entries);
        self.set_cookie(CookieChange::Set { id: copy.id, remaining });
    }

    pub(super) fn tell_of(&self, change: &Change, key: &Key) {
        match change {
            Change::Id => {}
            Change::Reauthentication => self.manager().tell(SessionEvent::Reauthenticated, key),
            Change::Login(_) => self.manager().tell(SessionEvent::Authenticated, key),
        }
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
        let change = &Change::Id;
        let (copy, next) = session.locked_copy(&state, self.data.current(), change).await?;
        session.retire_held(&state, &place, &copy, change, &lease).await?;
        if let Some(former) = self.held.take() {
            former.stop().disarm();
        }
        self.held = Some(Renewed::start(next, session.manager()));
        session.move_to(&mut state, &place.key, copy, change);
        (self.data, self.carried) = (state.data.clone(), state.data.clone());
        state.data = over.unwrap_or_else(|| state.data.unchanged());
        session.end_if_revoked(&mut state).await
    }
}

impl Session {
    /// Creates the copy and holds its lock, which is free for sure: nobody else knows the id until
    /// the old one leads to it.
    async fn locked_copy(
        &self,
        state: &State,
        entries: Entries,
        change: &Change,
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
