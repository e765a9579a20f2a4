//! async-memcached, with 16 connections: it sends no second command before the first is answered.

use std::sync::{Mutex, PoisonError};

use async_memcached::{AsciiProtocol, Client};
use tokio::sync::Semaphore;

use super::{CONNECTIONS, LIFE, Values};
use crate::measure::Result;

pub(crate) struct Memcached {
    idle: Mutex<Vec<Client>>,
    slots: Semaphore,
}

impl Memcached {
    pub(crate) async fn connect(address: &str) -> Result<Self> {
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            idle.push(Client::new(format!("tcp://{address}")).await?);
        }
        Ok(Self { idle: Mutex::new(idle), slots: Semaphore::new(CONNECTIONS) })
    }

    fn take(&self) -> Result<Client> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.ok_or_else(|| "no connection".into())
    }

    fn give(&self, client: Client) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
    }
}

impl Values for Memcached {
    const EXTENDS: bool = false;

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let _slot = self.slots.acquire().await?;
        let mut client = self.take()?;
        let found = client.get(name).await;
        self.give(client);
        Ok(found?.and_then(|value| value.data))
    }

    async fn add(&self, name: &str, value: &[u8]) -> Result<()> {
        let _slot = self.slots.acquire().await?;
        let mut client = self.take()?;
        let added = client.add(name, value, Some(i64::from(LIFE)), None).await;
        self.give(client);
        Ok(added?)
    }

    async fn set(&self, name: &str, value: &[u8]) -> Result<()> {
        let _slot = self.slots.acquire().await?;
        let mut client = self.take()?;
        let set = client.set(name, value, Some(i64::from(LIFE)), None).await;
        self.give(client);
        Ok(set?)
    }

    async fn extend(&self, _name: &str) -> Result<()> {
        Err("the crate has no such command".into())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let _slot = self.slots.acquire().await?;
        let mut client = self.take()?;
        let deleted = client.delete(name).await;
        self.give(client);
        Ok(deleted?)
    }
}
