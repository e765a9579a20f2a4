//! The bare client of each server: values by name, nothing encoded, nothing checked. It is the limit.

mod dynamodb;
mod local;
mod memcached;
mod redis;
mod sql;

use std::future::Future;

use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;

pub(crate) use self::{
    dynamodb::{DynamoDb, client as dynamodb_client},
    local::{Files, Memory},
    memcached::Memcached,
    redis::Redis,
    sql::{mysql, postgres, sqlite},
};
use super::library::{Change, Kept, Library, Mode, Rotated};
use crate::measure::Result;

/// What a store of ours keeps beside the payload; the bare commands move as many bytes.
const OVERHEAD: usize = 256;
/// As many connections for every client that has several.
pub(crate) const CONNECTIONS: usize = 16;
/// Seconds that a value lives.
const LIFE: u32 = 3600;

/// What a server is asked by its client crate.
pub(crate) trait Values: Send + Sync + 'static {
    /// Whether a life can be extended.
    const EXTENDS: bool = true;

    fn get(&self, name: &str) -> impl Future<Output = Result<Option<Vec<u8>>>> + Send;

    /// Where there is none.
    fn add(&self, name: &str, value: &[u8]) -> impl Future<Output = Result<()>> + Send;

    fn set(&self, name: &str, value: &[u8]) -> impl Future<Output = Result<()>> + Send;

    fn extend(&self, name: &str) -> impl Future<Output = Result<()>> + Send;

    fn delete(&self, name: &str) -> impl Future<Output = Result<()>> + Send;
}

/// Requests of an application that does with bare commands what it would do with a session.
pub(crate) struct Bare<V> {
    values: V,
    value: Vec<u8>,
}

impl<V: Values> Bare<V> {
    pub(crate) fn new(values: V, bytes: usize) -> Self {
        Self { values, value: vec![b'x'; bytes + OVERHEAD] }
    }
}

#[async_trait]
impl<V: Values> Library for Bare<V> {
    fn modes(&self) -> &'static [Mode] {
        &[Mode::Plain]
    }

    fn touches(&self) -> bool {
        V::EXTENDS
    }

    async fn create(&self) -> Result<String> {
        let mut id = [0; 32];
        fastrand::fill(&mut id);
        let name = BASE64URL_NOPAD.encode(&id);
        self.values.add(&name, &self.value).await?;
        Ok(name)
    }

    async fn read(&self, id: &str) -> Result<bool> {
        Ok(self.values.get(id).await?.is_some())
    }

    async fn change(&self, id: &str, change: &Change, _mode: Mode) -> Result<Option<String>> {
        let value = self.values.get(id).await?;
        change.work().await;
        self.values.set(id, value.as_deref().unwrap_or(&self.value)).await?;
        Ok(None)
    }

    async fn touch(&self, id: &str) -> Result<()> {
        self.values.get(id).await?;
        self.values.extend(id).await
    }

    async fn destroy(&self, id: &str) -> Result<()> {
        self.values.delete(id).await
    }

    async fn rotate(&self, id: &str) -> Result<Rotated> {
        self.values.get(id).await?;
        let fresh = self.create().await?;
        self.values.delete(id).await?;
        Ok(Rotated::To(fresh))
    }

    /// It knows no entries.
    async fn kept(&self, id: &str) -> Result<Option<Kept>> {
        Ok(self.read(id).await?.then(Kept::default))
    }
}
