//! axum_session, by its database pools: its session store is private, and puts this JSON into them. Its
//! copy of sessions in each process, which others do not see change, is left out.

use std::collections::HashMap;

use async_trait::async_trait;
use axum_session::DatabasePool;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    compare::library::{COUNT, Change, Kept, Library, Mode, Rotated, any_part, entries},
    measure::Result,
};

const TABLE: &str = "axum_sessions";
const LIFE: i64 = 3600;

pub(crate) struct Axum<P> {
    pool: P,
    bytes: usize,
}

/// Written as its own type of this name, which is private.
#[derive(Default, Serialize, Deserialize)]
struct SessionData {
    data: HashMap<String, String>,
    longterm: bool,
}

impl SessionData {
    fn count(&self) -> Result<u64> {
        let count = self.data.get(COUNT).map(|text| serde_json::from_str(text)).transpose()?;
        Ok(count.unwrap_or_default())
    }
}

impl<P: DatabasePool> Axum<P> {
    pub(crate) async fn new(pool: P, bytes: usize) -> Result<Self> {
        pool.initiate(TABLE).await?;
        Ok(Self { pool, bytes })
    }

    async fn load(&self, id: &str) -> Result<Option<SessionData>> {
        let text = self.pool.load(id, TABLE).await?;
        Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    async fn store(&self, id: &str, session: &SessionData) -> Result<()> {
        let expires = OffsetDateTime::now_utc().unix_timestamp() + LIFE;
        let text = serde_json::to_string(session)?;
        Ok(self.pool.store(id, &text, expires, TABLE).await?)
    }
}

/// As random as its own, which are UUIDs.
fn fresh_id() -> String {
    BASE64URL_NOPAD.encode(&fastrand::u128(..).to_be_bytes())
}

#[async_trait]
impl<P: DatabasePool + Send + Sync + 'static> Library for Axum<P> {
    fn modes(&self) -> &'static [Mode] {
        &[Mode::Plain]
    }

    async fn create(&self) -> Result<String> {
        let mut session = SessionData::default();
        session.data.insert(COUNT.to_owned(), "0".to_owned());
        for (name, text) in entries(self.bytes) {
            session.data.insert(name, serde_json::to_string(&text)?);
        }
        let id = fresh_id();
        self.store(&id, &session).await?;
        Ok(id)
    }

    async fn read(&self, id: &str) -> Result<bool> {
        let session = self.load(id).await?.unwrap_or_default();
        let text = session.data.get(&any_part());
        Ok(text.map(|text| serde_json::from_str::<String>(text)).transpose()?.is_some())
    }

    async fn change(&self, id: &str, change: &Change, _mode: Mode) -> Result<Option<String>> {
        let mut session = self.load(id).await?.unwrap_or_default();
        let next = session.count()? + 1;
        change.work().await;
        session.data.insert(COUNT.to_owned(), next.to_string());
        session.data.insert(change.entry.clone(), "1".to_owned());
        self.store(id, &session).await?;
        Ok(None)
    }

    async fn touch(&self, id: &str) -> Result<()> {
        let session = self.load(id).await?.ok_or("no session")?;
        self.store(id, &session).await
    }

    async fn destroy(&self, id: &str) -> Result<()> {
        self.load(id).await?;
        Ok(self.pool.delete_one_by_id(id, TABLE).await?)
    }

    async fn rotate(&self, id: &str) -> Result<Rotated> {
        let session = self.load(id).await?.unwrap_or_default();
        self.pool.delete_one_by_id(id, TABLE).await?;
        let fresh = fresh_id();
        self.store(&fresh, &session).await?;
        Ok(Rotated::To(fresh))
    }

    async fn kept(&self, id: &str) -> Result<Option<Kept>> {
        let Some(session) = self.load(id).await? else { return Ok(None) };
        Ok(Kept::of(Some(session.count()?), session.data.keys()))
    }
}
