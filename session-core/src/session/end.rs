//! Ending a session.

use super::{
    Session,
    commit::MAX_CONFLICTS,
    events::SessionEvent,
    load::Found,
    manager::SessionManager,
    resend::Resend,
    snapshot::SessionSnapshot,
    state::{CookieChange, Phase, Snapshot, State},
};
use crate::{
    Error, ErrorKind, Expected, Incarnation, Key, Meta, OpToken, Operation, ReadOptions, Result,
};

/// How many rotations of its id a deletion follows: more than a session has in its life.
const MAX_ROTATIONS: usize = 256;

impl Session {
    /// Ends the session: when this returns, it is gone from the store for every server, and no
    /// request in flight brings it back. What is inserted afterwards belongs to a new session.
    ///
    /// It waits for nobody: a holder of the lock is refused at his commit. Under an id that was
    /// rotated away it ends the session that the id became, also after the grace.
    ///
    /// # Errors
    /// - [`Corrupt`](ErrorKind::Corrupt): the record cannot be read, and so not be told from one
    ///   that leads elsewhere. It stays.
    /// - Those of the transport. The session may then still be there.
    pub async fn delete(&self) -> Result<()> {
        let mut state = self.state().await;
        state.engaged = true;
        if let Some((key, known)) = self.to_end(&state) {
            self.manager().end(key, known).await?;
        }
        self.forget(&mut state);
        Ok(())
    }

    /// The session has ended; what is inserted from now on belongs to a new one.
    pub(super) fn forget(&self, state: &mut State) {
        let had_cookie = self.presented().is_some() || self.has_set_cookie();
        self.set_cookie(if had_cookie { CookieChange::Clear } else { CookieChange::None });
        state.start_over(self.manager());
    }

    /// [`delete`](Self::delete), under the name that users of tower-sessions know.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    pub async fn flush(&self) -> Result<()> {
        self.delete().await
    }

    /// Ends the session like [`delete`](Self::delete), and returns it as it was in the moment when
    /// it ended, with all that others had saved by then. `None` when there was none.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    pub async fn take(&self) -> Result<Option<SessionSnapshot>> {
        let mut state = self.state().await;
        let taken = match self.to_end(&state) {
            Some((key, _)) => self.manager().take(key).await?,
            None => None,
        };
        state.start_over(self.manager());
        Ok(taken.map(|snapshot| self.manager().snapshot(snapshot)))
    }

    /// What there may be to end: the session that was read or made, and failing that, what the
    /// id that was presented leads to by now.
    fn to_end(&self, state: &State) -> Option<(Key, Option<Incarnation>)> {
        match &state.phase {
            Phase::Stored(place) => Some((place.key.clone(), Some(place.revision.incarnation()))),
            _ => self.presented().map(|id| (self.presented_key(id), None)),
        }
    }
}

impl SessionManager {
    /// Deletes the session that a key leads to, whoever changes or holds it.
    async fn end(&self, key: Key, known: Option<Incarnation>) -> Result<()> {
        if let Some(key) = self.end_if(key, known, |_| true).await? {
            self.tell(SessionEvent::Destroyed, &key);
        }
        Ok(())
    }

    /// The same for a session that is still what the caller takes it for; returns where it was.
    /// Only a rotation in between has to be seen and followed: it makes another incarnation.
    pub(super) async fn end_if(
        &self,
        mut key: Key,
        mut known: Option<Incarnation>,
        is_meant: impl Fn(&Meta) -> bool + Send + Sync,
    ) -> Result<Option<Key>> {
        for _ in 0..MAX_ROTATIONS {
            let incarnation = match known.take() {
                Some(incarnation) => incarnation,
                None => match self.trace(&key).await? {
                    Found::Absent => return Ok(None),
                    Found::Retired(alias) => {
                        key = Key::from_digest(alias.successor);
                        continue;
                    }
                    Found::Live(snapshot) if !is_meant(&snapshot.meta) => return Ok(None),
                    Found::Live(snapshot) => {
                        key = snapshot.place.key;
                        snapshot.place.revision.incarnation()
                    }
                },
            };
            match self.delete(&key, Expected::Incarnation(incarnation)).await {
                Ok(()) => return Ok(Some(key)),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(rotated_too_often())
    }

    /// Deletes the session that a key leads to in the state that it returns. Who commits in between
    /// is waited for, a few times; who holds the lock is not.
    async fn take(&self, mut key: Key) -> Result<Option<Snapshot>> {
        let mut patience = MAX_CONFLICTS;
        for _ in 0..MAX_ROTATIONS {
            let snapshot = match self.find(&key, ReadOptions::latest()).await? {
                Found::Absent => return Ok(None),
                Found::Retired(alias) => {
                    key = Key::from_digest(alias.successor);
                    continue;
                }
                Found::Live(snapshot) => snapshot,
            };
            key = snapshot.place.key.clone();
            let revision = snapshot.place.revision;
            let expected = match patience {
                0 => Expected::Incarnation(revision.incarnation()),
                _ => Expected::Revision(revision),
            };
            match self.delete(&key, expected).await {
                Ok(()) => {
                    self.tell(SessionEvent::Destroyed, &key);
                    return Ok(Some(*snapshot));
                }
                Err(error) if error.kind() == ErrorKind::LockHeld => patience = 0,
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    patience = patience.saturating_sub(1);
                }
                Err(error) => return Err(error),
            }
        }
        Err(rotated_too_often())
    }

    /// One deletion; sent again if its reply was lost.
    pub(super) async fn delete(&self, key: &Key, expected: Expected<'_>) -> Result<()> {
        let op = OpToken::generate()?;
        let mut resend = Resend::of_repeatable();
        loop {
            let outcome = self.backend().delete(key, expected, op).await;
            if !resend.is_due(&outcome).await {
                return outcome;
            }
        }
    }
}

fn rotated_too_often() -> Error {
    Error::new(ErrorKind::Conflict, "session", Operation::Delete)
        .with_detail("the session's id was rotated too often")
}
