//! Reading sessions: aliases, revocation, and what a missing record means.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    Session,
    config::EpochCheck,
    events::SessionEvent,
    manager::SessionManager,
    state::{CookieChange, Phase, Place, Snapshot, State},
};
use crate::{
    Alias, DocumentState, Error, ErrorKind, Key, Meta, Operation, ReadOptions, Record, Result,
    SessionId,
};

/// How many ids, each rotated away within its grace, a read follows.
pub(super) const MAX_HOPS: usize = 8;

/// What a record shows.
enum Sight {
    Found(Found),
    /// The id was rotated away a moment ago.
    Moved(Alias),
}

pub(super) enum Found {
    Live(Box<Snapshot>),
    Absent,
    /// The id was rotated away, and its grace is over (or it leads through too many others).
    Retired(Alias),
}

impl SessionManager {
    /// Reads the session that a key leads to, unless it was revoked.
    pub(super) async fn find(&self, key: &Key, options: ReadOptions) -> Result<Found> {
        let record = self.backend().load(key, options).await?;
        // Handlers await this: what is rare is not to make it large.
        match self.look(key, record, 0)? {
            Sight::Found(found) if self.settings().epoch_check == EpochCheck::Off => Ok(found),
            sight => Box::pin(self.look_further(sight, options)).await,
        }
    }

    /// Goes on from a record that was read under `key`, to a session that was not revoked.
    pub(super) async fn resolve(
        &self,
        key: &Key,
        record: Option<Record>,
        options: ReadOptions,
    ) -> Result<Found> {
        let sight = self.look(key, record, 0)?;
        self.look_further(sight, options).await
    }

    async fn look_further(&self, sight: Sight, options: ReadOptions) -> Result<Found> {
        let found = self.follow(sight, options).await?;
        match self.settings().epoch_check {
            EpochCheck::Off => Ok(found),
            EpochCheck::EachLoad => self.unless_revoked(found).await,
        }
    }

    async fn unless_revoked(&self, found: Found) -> Result<Found> {
        let Found::Live(snapshot) = &found else { return Ok(found) };
        if !self.is_outdated(&snapshot.meta).await? {
            return Ok(found);
        }
        // Who revokes all sessions but his own makes his own an exception a moment later.
        sleep(EXCEPTED_WITHIN).await;
        let mut again = self.trace(&snapshot.place.key).await?;
        if let Found::Live(now) = &mut again {
            now.place.aliased |= snapshot.place.aliased;
            if self.is_outdated(&now.meta).await? {
                self.tell(SessionEvent::Revoked, &now.place.key);
                return Ok(Found::Absent);
            }
        }
        Ok(again)
    }

    /// Reads the session that a key leads to, whether or not it was revoked.
    pub(super) async fn trace(&self, key: &Key) -> Result<Found> {
        let record = self.backend().load(key, ReadOptions::latest()).await?;
        let sight = self.look(key, record, 0)?;
        self.follow(sight, ReadOptions::latest()).await
    }

    /// Follows the aliases.
    async fn follow(&self, mut sight: Sight, options: ReadOptions) -> Result<Found> {
        let mut hops = 0;
        loop {
            let alias = match sight {
                Sight::Found(found) => return Ok(found),
                Sight::Moved(alias) => alias,
            };
            hops += 1;
            let key = Key::from_digest(alias.successor);
            let record = self.backend().load(&key, options).await?;
            sight = self.look(&key, record, hops)?;
        }
    }

    fn look(&self, key: &Key, record: Option<Record>, hops: usize) -> Result<Sight> {
        let Some(record) = record else { return Ok(Sight::Found(Found::Absent)) };
        let document = self.decode(key, &record)?;
        Ok(match document.header.state {
            DocumentState::Alias(alias) if hops < MAX_HOPS && self.now() < alias.redirect_until => {
                Sight::Moved(alias)
            }
            DocumentState::Alias(alias) => Sight::Found(Found::Retired(alias)),
            _ => {
                let Record { revision, remaining, meta, .. } = record;
                let place = Place::new(key.clone(), revision, remaining, hops > 0);
                let (header, entries) = (document.header, document.entries);
                Sight::Found(Found::Live(Box::new(Snapshot { place, header, meta, entries })))
            }
        })
    }

    pub(super) fn decode(&self, key: &Key, record: &Record) -> Result<crate::Document> {
        let document = self.format().decode(&record.payload);
        document.inspect_err(|error| {
            self.tell(|session| SessionEvent::Unreadable(session, error.kind()), key);
        })
    }

    /// Whether the principal's sessions were revoked since this one was authenticated.
    pub(super) async fn is_outdated(&self, meta: &Meta) -> Result<bool> {
        match (meta.principal, self.backend().principal_index()) {
            (Some(principal), Some(index)) => Ok(index.epoch(&principal).await? > meta.epoch),
            _ => Ok(false),
        }
    }
}

impl Session {
    /// Reads the session if it was not read yet.
    pub(super) async fn read(&self, state: &mut State, options: ReadOptions) -> Result<()> {
        if !matches!(state.phase, Phase::Unread) {
            return Ok(());
        }
        let Some(id) = self.presented() else {
            state.phase = Phase::New;
            return Ok(());
        };
        let key = self.presented_key(id);
        let mut found = self.manager().find(&key, options).await?;
        if !matches!(found, Found::Live(_)) && options != ReadOptions::latest() {
            // A replica may not know the session yet; to take it for none would begin another.
            found = Box::pin(self.manager().find(&key, ReadOptions::latest())).await?;
        }
        self.settle(state, &key, found)
    }

    /// The key of the id that was presented; from here on the response depends on the cookie.
    pub(super) fn presented_key(&self, id: &SessionId) -> Key {
        self.mark_used();
        self.manager().key(id)
    }

    /// Takes over what the first read found under the id that was presented.
    pub(super) fn settle(&self, state: &mut State, key: &Key, found: Found) -> Result<()> {
        match found {
            Found::Live(snapshot) => state.adopt(*snapshot, &self.manager().settings().rules)?,
            Found::Absent => {
                self.manager().tell(SessionEvent::UnknownId, key);
                state.phase = Phase::New;
            }
            Found::Retired(alias) => {
                self.manager().tell(SessionEvent::RetiredIdUsed, key);
                // Whatever the grace for reading, the browser may still be about to learn the
                // new id from the response that rotated it.
                let barred = alias.rotated_at.after(JUST_RETIRED);
                let just_now = self.manager().now() < barred;
                state.phase =
                    if just_now { Phase::JustRetired(alias.successor) } else { Phase::New };
            }
        }
        Ok(())
    }

    /// Reads the session again, and puts the changes made so far on top.
    pub(super) async fn read_again(&self, state: &mut State) -> Result<()> {
        let Phase::Stored(place) = &state.phase else {
            return self.read(state, ReadOptions::latest()).await;
        };
        let key = place.key.clone();
        let found = self.manager().find(&key, ReadOptions::latest()).await?;
        self.take_over(state, &key, found)
    }

    /// Goes on with what was found where the session was.
    pub(super) fn take_over(&self, state: &mut State, key: &Key, found: Found) -> Result<()> {
        let mut snapshot = match found {
            Found::Live(snapshot) => snapshot,
            Found::Retired(alias) => {
                // Who replaced it has sent the new id.
                self.set_cookie(CookieChange::None);
                state.phase = Phase::JustRetired(alias.successor);
                return Err(replaced(Operation::Load));
            }
            Found::Absent => {
                self.manager().tell(SessionEvent::Gone, key);
                state.phase = Phase::Gone;
                return Err(gone(Operation::Load));
            }
        };
        let aliased = matches!(&state.phase, Phase::Stored(place) if place.aliased);
        snapshot.place.aliased |= aliased;
        state.adopt(*snapshot, &self.manager().settings().rules)
    }
}

/// For how long after a rotation the old id cannot start a session of its own.
const JUST_RETIRED: Duration = Duration::from_secs(30);

/// How long a session may look revoked that is the exception of a revocation.
const EXCEPTED_WITHIN: Duration = Duration::from_millis(50);

pub(super) fn replaced(operation: Operation) -> Error {
    Error::new(ErrorKind::Conflict, "session", operation)
        .with_detail("the session's id was replaced a moment ago")
}

pub(super) fn gone(operation: Operation) -> Error {
    Error::new(ErrorKind::NotFound, "session", operation)
        .with_detail("the session was ended while this request was using it")
}
