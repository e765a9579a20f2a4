//! Read-only mode.

use serde::de::DeserializeOwned;

use super::Session;
use crate::{ReadOptions, Result, SessionFacts};

/// A session that can only be read: it is never saved and never touched, and costs one read at
/// most.
///
/// Made by [`Session::read_only`]. It shows what the request's [`Session`] shows, changes that
/// were not saved yet included. Being looked at does not count as activity.
#[derive(Debug, Clone)]
pub struct ReadOnlySession(pub(super) Session);

impl Session {
    /// The same session, to be read only. No I/O.
    #[must_use]
    pub fn read_only(&self) -> ReadOnlySession {
        ReadOnlySession(self.clone())
    }
}

impl ReadOnlySession {
    /// The value of an entry, or `None` when there is none of this name.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when the stored value is not a `T`, and those of the
    /// transport.
    pub async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.view(|data| data.get(name)).await?
    }

    /// Whether there is an entry of this name.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn contains(&self, name: &str) -> Result<bool> {
        self.view(|data| data.contains(name)).await
    }

    /// The names of all entries, in order.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn names(&self) -> Result<Vec<String>> {
        self.view(super::SessionData::names).await
    }

    /// Whether there are no entries.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn is_empty(&self) -> Result<bool> {
        self.view(super::SessionData::is_empty).await
    }

    /// When the session began, and how long it lives; `None` when it has not been saved yet.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn facts(&self) -> Result<Option<SessionFacts>> {
        self.view(|_| ()).await?;
        Ok(self.0.facts_of(&*self.0.state().await))
    }

    async fn view<R>(&self, look: impl FnOnce(&super::SessionData) -> R) -> Result<R> {
        let mut state = self.0.state().await;
        let staleness = self.0.manager().settings().read_staleness;
        self.0.read(&mut state, ReadOptions::max_staleness(staleness)).await?;
        Ok(look(&state.data))
    }
}
