//! Ending a session.

use super::{
    Session, events,
    load::Found,
    manager::SessionManager,
    state::{CookieChange, Phase, State},
};
use crate::{Error, ErrorKind, Expected, Key, OpToken, Operation, ReadOptions, Result, Revision};

/// How often a deletion follows a session that others keep changing.
const MAX_ATTEMPTS: usize = 64;

impl Session {
    /// Ends the session: when this returns, it is gone from the store for every server, and no
    /// request in flight brings it back. What is inserted afterwards belongs to a new session.
    ///
    /// It waits for nobody: a holder of the lock is refused at his commit. Under an id that was
    /// rotated away it ends the session that the id became, also after the grace.
    ///
    /// # Errors
    /// Those of the transport. The session may then still be there.
    pub async fn delete(&self) -> Result<()> {
        let mut state = self.state().await;
        state.engaged = true;
        if let Some((key, known)) = self.to_end(&state) {
            self.manager().end(key, known).await?;
        }
        let had_cookie = self.presented().is_some() || self.has_set_cookie();
        self.set_cookie(if had_cookie { CookieChange::Clear } else { CookieChange::None });
        state.start_over(self.manager());
        Ok(())
    }

    /// [`delete`](Self::delete), under the name that users of tower-sessions know.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    pub async fn flush(&self) -> Result<()> {
        self.delete().await
    }

    /// What there may be to end, and its revision if it was read.
    fn to_end(&self, state: &State) -> Option<(Key, Option<Revision>)> {
        match &state.phase {
            Phase::Stored(place) => Some((place.key.clone(), Some(place.revision))),
            Phase::Unread | Phase::JustRetired => {
                self.presented().map(|id| (self.presented_key(id), None))
            }
            Phase::New | Phase::Gone => None,
        }
    }
}

impl SessionManager {
    /// Deletes the session that a key leads to. It does so by revision, so that a rotation in
    /// between is seen and followed.
    async fn end(&self, key: Key, known: Option<Revision>) -> Result<()> {
        let mut next = known.map(|revision| (key.clone(), revision));
        let mut key = key;
        let mut locked = false;
        for _ in 0..MAX_ATTEMPTS {
            let (at, revision) = match next.take() {
                Some(known) => known,
                None => match self.find(&key, ReadOptions::latest()).await? {
                    Found::Absent => return Ok(()),
                    Found::Retired(alias) => {
                        key = Key::from_digest(alias.successor);
                        continue;
                    }
                    Found::Live(snapshot) => (snapshot.place.key, snapshot.place.revision),
                },
            };
            let expected = if locked { Expected::Any } else { Expected::Revision(revision) };
            match self.store().delete(&at, expected, OpToken::generate()?).await {
                Ok(()) => {
                    events::destroyed(&at);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                // A log-out waits for no holder.
                Err(error) if error.kind() == ErrorKind::LockHeld => locked = true,
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::Conflict, "session", Operation::Delete)
            .with_detail("others kept changing the session"))
    }
}
