//! ruts: every entry is stored and read by itself.

use std::str::FromStr;

use async_trait::async_trait;
use ruts::{
    Id,
    store::{SessionStore, Ttl},
};

use crate::{
    compare::library::{COUNT, Change, FIRST, Kept, Library, Mode, Rotated, any_part, entries},
    measure::Result,
};

const LIFE: i64 = 3600;
/// What its other entries are called is not told by the store; those of changes have these names.
const MOST: usize = 1000;

pub(crate) struct Ruts<S> {
    store: S,
    bytes: usize,
}

impl<S: SessionStore> Ruts<S> {
    pub(crate) fn new(store: S, bytes: usize) -> Self {
        Self { store, bytes }
    }

    async fn set<T: serde::Serialize + Send + Sync>(
        &self,
        id: &Id,
        name: &str,
        value: &T,
    ) -> Result<()> {
        Ok(self.store.set(id, name, value, Ttl::new(LIFE)?, None).await?)
    }
}

fn id_of(text: &str) -> Result<Id> {
    Id::from_str(text).map_err(|error| error.to_string().into())
}

#[async_trait]
impl<S: SessionStore> Library for Ruts<S> {
    fn modes(&self) -> &'static [Mode] {
        &[Mode::Plain]
    }

    /// One statement for each entry: so are its sessions made.
    async fn create(&self) -> Result<String> {
        let id = Id::default();
        for (name, text) in entries(self.bytes) {
            self.set(&id, &name, &text).await?;
        }
        self.set(&id, COUNT, &0_u64).await?;
        Ok(id.to_string())
    }

    async fn read(&self, id: &str) -> Result<bool> {
        Ok(self.store.get::<String>(&id_of(id)?, &any_part()).await?.is_some())
    }

    async fn change(&self, id: &str, change: &Change, _mode: Mode) -> Result<Option<String>> {
        let id = id_of(id)?;
        let count = self.store.get::<u64>(&id, COUNT).await?.unwrap_or_default();
        change.work().await;
        self.set(&id, COUNT, &(count + 1)).await?;
        self.set(&id, &change.entry, &1_u64).await?;
        Ok(None)
    }

    async fn touch(&self, id: &str) -> Result<()> {
        let (id, part) = (id_of(id)?, any_part());
        self.store.get::<String>(&id, &part).await?;
        self.store.expire_field(&id, &part, Ttl::new(LIFE)?).await?;
        Ok(())
    }

    async fn destroy(&self, id: &str) -> Result<()> {
        self.store.delete(&id_of(id)?).await?;
        Ok(())
    }

    async fn rotate(&self, id: &str) -> Result<Rotated> {
        let fresh = Id::default();
        self.store.rename_session_id(&id_of(id)?, &fresh).await?;
        Ok(Rotated::To(fresh.to_string()))
    }

    async fn kept(&self, id: &str) -> Result<Option<Kept>> {
        let Some(all) = self.store.get_all(&id_of(id)?).await? else { return Ok(None) };
        let count = all.get::<u64>(COUNT)?;
        let names = (0..MOST).map(|index| format!("k{index}"));
        let added = names.filter(|name| matches!(all.get::<u64>(name), Ok(Some(_))));
        let first = all.get::<String>(FIRST)?.map(|_| FIRST.to_owned());
        Ok(Kept::of(count, added.chain(first)))
    }
}
