//! Reading sessions: aliases, revocation, and what a missing record means.

use super::{
    Session,
    config::EpochCheck,
    events,
    manager::SessionManager,
    state::{Phase, Place, Snapshot, State},
};
use crate::{
    Alias, DocumentState, Error, ErrorKind, Key, Operation, ReadOptions, Record, Result, SessionId,
};

/// How many ids, each rotated away within its grace, a read follows.
pub(super) const MAX_HOPS: usize = 8;

pub(super) enum Found {
    Live(Box<Snapshot>),
    Absent,
    /// The id was rotated away, and its grace is over (or it leads through too many others).
    Retired(Alias),
}

impl SessionManager {
    /// Reads the session that a key leads to.
    pub(super) async fn find(&self, key: &Key, options: ReadOptions) -> Result<Found> {
        let record = self.backend().load(key, options).await?;
        self.resolve(key, record, options).await
    }

    /// Follows the aliases from a record that was read under `key`.
    pub(super) async fn resolve(
        &self,
        key: &Key,
        record: Option<Record>,
        options: ReadOptions,
    ) -> Result<Found> {
        let (mut key, mut record, mut hops) = (key.clone(), record, 0);
        loop {
            let Some(found) = record else { return Ok(Found::Absent) };
            let document = self.decode(&key, &found)?;
            match document.header.state {
                DocumentState::Alias(alias)
                    if hops < MAX_HOPS && self.now() < alias.redirect_until =>
                {
                    hops += 1;
                    key = Key::from_digest(alias.successor);
                    record = self.backend().load(&key, options).await?;
                }
                DocumentState::Alias(alias) => return Ok(Found::Retired(alias)),
                _ => {
                    if self.is_revoked(&found).await? {
                        events::revoked(&key);
                        return Ok(Found::Absent);
                    }
                    let place = Place::new(key, found.revision, found.remaining, hops > 0);
                    return Ok(Found::Live(Box::new(Snapshot {
                        place,
                        header: document.header,
                        meta: found.meta,
                        entries: document.entries,
                    })));
                }
            }
        }
    }

    fn decode(&self, key: &Key, record: &Record) -> Result<crate::Document> {
        let document = self.format().decode(&record.payload);
        document.inspect_err(|error| events::unreadable(key, error.kind()))
    }

    async fn is_revoked(&self, record: &Record) -> Result<bool> {
        let checked = self.settings().epoch_check == EpochCheck::EachLoad;
        match (record.meta.principal, self.backend().principal_index()) {
            (Some(principal), Some(index)) if checked => {
                Ok(index.epoch(&principal).await? > record.meta.epoch)
            }
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
            found = self.manager().find(&key, ReadOptions::latest()).await?;
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
                events::unknown(key);
                state.phase = Phase::New;
            }
            Found::Retired(alias) => {
                events::retired(key);
                // Whatever the grace for reading, the browser may still be about to learn the
                // new id from the response that rotated it.
                let barred = alias.rotated_at.after(JUST_RETIRED);
                let just_now = self.manager().now() < barred;
                state.phase = if just_now { Phase::JustRetired } else { Phase::New };
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
            Found::Retired(_) => {
                state.phase = Phase::JustRetired;
                return Err(replaced(Operation::Load));
            }
            Found::Absent => {
                events::gone(key);
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
const JUST_RETIRED: std::time::Duration = std::time::Duration::from_secs(30);

pub(super) fn replaced(operation: Operation) -> Error {
    Error::new(ErrorKind::Conflict, "session", operation)
        .with_detail("the session's id was replaced a moment ago")
}

pub(super) fn gone(operation: Operation) -> Error {
    Error::new(ErrorKind::NotFound, "session", operation)
        .with_detail("the session was ended while this request was using it")
}
