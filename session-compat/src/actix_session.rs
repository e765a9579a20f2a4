//! A store for actix-session.

mod state;

use std::{sync::Arc, time::Duration};

use actix_session::storage::{
    LoadError, SaveError, SessionKey, SessionStore as ActixSessionStore, UpdateError,
};
use actix_web::cookie::time::Duration as Lifetime;
use session_core::{
    ErrorKind, KeyDigest, Result, SessionId, SessionManager, SessionManagerBuilder,
    SessionSnapshot, SessionStore,
};

use self::state::{State, from_state, to_state};
use crate::bridge::{self, Bridge, Recent};

/// A store for `actix_session::SessionMiddleware`. A clone is a handle to the same store.
///
/// ```
/// use actix_session::SessionMiddleware;
/// use actix_web::cookie::Key;
/// use session_compat::ActixStore;
/// use session_core::MemoryStore;
///
/// # fn main() -> session_core::Result<()> {
/// let store = ActixStore::new(MemoryStore::new())?;
/// let middleware = SessionMiddleware::new(store, Key::generate());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ActixStore {
    bridge: Bridge,
    /// What was loaded a moment ago: an extension of its life names only the key.
    seen: Arc<Recent<KeyDigest, SessionSnapshot>>,
}

impl ActixStore {
    /// Keeps the sessions in `store`.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the operating system gives no
    /// random bytes.
    pub fn new(store: impl SessionStore) -> Result<Self> {
        Self::from_manager(Self::manager(store).build()?)
    }

    /// The settings that [`new`](Self::new) takes, to be changed: merge rules, a pepper, the format.
    ///
    /// How long sessions live is said by actix-session, so the idle lifetime is of no effect. There is
    /// no absolute one until you set one.
    pub fn manager(store: impl SessionStore) -> SessionManagerBuilder {
        bridge::manager(store)
    }

    /// Keeps the sessions as `manager` does.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the operating system gives no
    /// random bytes.
    pub fn from_manager(manager: SessionManager) -> Result<Self> {
        Ok(Self { bridge: Bridge::new(manager)?, seen: Arc::new(Recent::new()) })
    }

    async fn find(&self, key: &SessionKey) -> Result<Option<State>> {
        // What is no id of ours is not asked for.
        let Ok(id) = SessionId::parse(key.as_ref()) else { return Ok(None) };
        let Some(loaded) = self.bridge.load(id).await? else { return Ok(None) };
        self.seen.put(*loaded.snapshot.key().digest(), loaded.snapshot);
        to_state(loaded.values).map(Some)
    }

    async fn create(&self, state: State, life: &Lifetime) -> Result<SessionId> {
        let (id, _) = self.bridge.create(&from_state(state)?, positive(life)).await?;
        Ok(id)
    }

    async fn replace(&self, key: &SessionKey, state: State, life: &Lifetime) -> Result<()> {
        let id = SessionId::parse(key.as_ref())?;
        self.bridge.save(id, &from_state(state)?, positive(life)).await
    }

    async fn extend(&self, key: &SessionKey, life: &Lifetime) -> Result<()> {
        let Ok(id) = SessionId::parse(key.as_ref()) else { return Ok(()) };
        let digest = *self.bridge.manager().key_hasher().key(&id).digest();
        let seen = match self.seen.get(&digest) {
            Some(seen) => Some(seen),
            None => self.bridge.manager().open(Some(id)).snapshot().await?,
        };
        let Some(seen) = seen else { return Ok(()) };
        let session = self.bridge.manager().resume(seen);
        session.keep_for(positive(life)).await?;
        match session.save().await {
            // It was ended meanwhile: there is nothing to extend, and nothing is lost.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    async fn end(&self, key: &SessionKey) -> Result<()> {
        match SessionId::parse(key.as_ref()) {
            Ok(id) => self.bridge.end(id).await,
            Err(_not_ours) => Ok(()),
        }
    }
}

/// A lifetime that is over is none.
fn positive(life: &Lifetime) -> Duration {
    Duration::try_from(*life).unwrap_or(Duration::ZERO)
}

impl ActixSessionStore for ActixStore {
    /// Every failure is [`LoadError::Other`], which refuses the request: the middleware would go on
    /// from [`LoadError::Deserialization`] with an empty session under the same key.
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        let found = self.find(key).await.inspect_err(bridge::report);
        found.map_err(|error| LoadError::Other(error.into()))
    }

    async fn save(&self, state: State, life: &Lifetime) -> Result<SessionKey, SaveError> {
        let created = self.create(state, life).await.inspect_err(bridge::report);
        let id = created.map_err(|error| SaveError::Other(error.into()))?;
        let key = SessionKey::try_from(id.expose().to_owned());
        key.map_err(|error| SaveError::Other(error.into()))
    }

    async fn update(
        &self,
        key: SessionKey,
        state: State,
        life: &Lifetime,
    ) -> Result<SessionKey, UpdateError> {
        let saved = self.replace(&key, state, life).await.inspect_err(bridge::report);
        saved.map_err(|error| UpdateError::Other(error.into()))?;
        Ok(key)
    }

    async fn update_ttl(&self, key: &SessionKey, life: &Lifetime) -> Result<(), anyhow::Error> {
        Ok(self.extend(key, life).await.inspect_err(bridge::report)?)
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        Ok(self.end(key).await.inspect_err(bridge::report)?)
    }
}
