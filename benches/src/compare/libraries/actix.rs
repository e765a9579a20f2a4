//! actix-session, by its store: its handle lives inside its middleware, and does what is done here.

use std::collections::HashMap;

use actix_session::storage::{RedisSessionStore, SessionKey, SessionStore};
use async_trait::async_trait;
use time::Duration;

use crate::{
    compare::library::{COUNT, Change, Kept, Library, Mode, Rotated, any_part, entries},
    measure::Result,
};

const TTL: Duration = Duration::HOUR;

type State = HashMap<String, String>;

pub(crate) struct Actix {
    store: RedisSessionStore,
    bytes: usize,
}

impl Actix {
    pub(crate) async fn new(url: &str, bytes: usize) -> Result<Self> {
        Ok(Self { store: RedisSessionStore::new(url).await?, bytes })
    }

    async fn load(&self, id: &str) -> Result<Option<State>> {
        Ok(self.store.load(&key(id)?).await?)
    }

    /// What it does when there is no session: an empty one, which is saved under a fresh key.
    async fn save(&self, id: &str, known: bool, state: State) -> Result<String> {
        let key = if known {
            self.store.update(key(id)?, state, &TTL).await?
        } else {
            self.store.save(state, &TTL).await?
        };
        Ok(key.into())
    }
}

fn key(id: &str) -> Result<SessionKey> {
    Ok(SessionKey::try_from(id.to_owned())?)
}

fn count(state: &State) -> Result<u64> {
    Ok(state.get(COUNT).map(|text| serde_json::from_str(text)).transpose()?.unwrap_or_default())
}

#[async_trait]
impl Library for Actix {
    fn modes(&self) -> &'static [Mode] {
        &[Mode::Plain]
    }

    async fn create(&self) -> Result<String> {
        let mut state = State::from([(COUNT.to_owned(), "0".to_owned())]);
        for (name, text) in entries(self.bytes) {
            state.insert(name, serde_json::to_string(&text)?);
        }
        Ok(self.store.save(state, &TTL).await?.into())
    }

    async fn read(&self, id: &str) -> Result<bool> {
        let state = self.load(id).await?.unwrap_or_default();
        let text = state.get(&any_part());
        Ok(text.map(|text| serde_json::from_str::<String>(text)).transpose()?.is_some())
    }

    async fn change(&self, id: &str, change: &Change, _mode: Mode) -> Result<Option<String>> {
        let found = self.load(id).await?;
        let known = found.is_some();
        let mut state = found.unwrap_or_default();
        let next = count(&state)? + 1;
        change.work().await;
        state.insert(COUNT.to_owned(), next.to_string());
        state.insert(change.entry.clone(), "1".to_owned());
        let now = self.save(id, known, state).await?;
        Ok((now != id).then_some(now))
    }

    async fn touch(&self, id: &str) -> Result<()> {
        self.load(id).await?;
        Ok(self.store.update_ttl(&key(id)?, &TTL).await?)
    }

    async fn destroy(&self, id: &str) -> Result<()> {
        self.load(id).await?;
        Ok(self.store.delete(&key(id)?).await?)
    }

    async fn rotate(&self, id: &str) -> Result<Rotated> {
        let state = self.load(id).await?.unwrap_or_default();
        self.store.delete(&key(id)?).await?;
        Ok(Rotated::To(self.store.save(state, &TTL).await?.into()))
    }

    async fn kept(&self, id: &str) -> Result<Option<Kept>> {
        let Some(state) = self.load(id).await? else { return Ok(None) };
        Ok(Kept::of(Some(count(&state)?), state.keys()))
    }
}
