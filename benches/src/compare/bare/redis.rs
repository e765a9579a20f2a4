//! The redis crate, with one multiplexed connection, as our store has.

use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, aio::MultiplexedConnection};

use super::{LIFE, Values};
use crate::measure::Result;

pub(crate) struct Redis(MultiplexedConnection);

impl Redis {
    pub(crate) async fn connect(address: &str) -> Result<Self> {
        let client = Client::open(format!("redis://{address}/?protocol=resp3"))?;
        let config = AsyncConnectionConfig::new();
        Ok(Self(client.get_multiplexed_async_connection_with_config(&config).await?))
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        Ok(command.query_async(&mut self.0.clone()).await?)
    }
}

fn set(name: &str, value: &[u8]) -> Cmd {
    let mut set = redis::cmd("SET");
    set.arg(name).arg(value).arg("EX").arg(LIFE);
    set
}

impl Values for Redis {
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.ask(redis::cmd("GET").arg(name)).await
    }

    async fn add(&self, name: &str, value: &[u8]) -> Result<()> {
        self.ask(set(name, value).arg("NX")).await
    }

    async fn set(&self, name: &str, value: &[u8]) -> Result<()> {
        self.ask(&set(name, value)).await
    }

    async fn extend(&self, name: &str) -> Result<()> {
        self.ask(redis::cmd("EXPIRE").arg(name).arg(LIFE)).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.ask(redis::cmd("DEL").arg(name)).await
    }
}
