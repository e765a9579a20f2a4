//! The bare commands on other crates.

use std::sync::Arc;

use async_memcached::{AsciiProtocol, Client};
use test_servers::memcached::Server;
use tokio::sync::Mutex;

use super::name;
use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    setup::{Setup, TTL},
};

/// Connections: neither sends a second command before it has the reply to the first.
const CONNECTIONS: usize = 16;
const HEADER: usize = 184;

pub(crate) async fn contenders(server: &Server, setup: &Setup) -> Result<Vec<Contender>> {
    let value: Arc<[u8]> = [vec![b'x'; HEADER], setup.payload.to_vec()].concat().into();
    let names: Arc<[String]> = (0..setup.sessions).map(|index| name("crate:", index)).collect();
    let url = format!("memcache://{}?timeout=5&tcp_nodelay=true", server.address());
    let connects = move || memcache::Client::with_pool_size(url, CONNECTIONS as u32);
    let blocking = tokio::task::spawn_blocking(connects).await??;
    let mut pool = Vec::new();
    for _ in 0..CONNECTIONS {
        pool.push(Mutex::new(Client::new(format!("tcp://{}", server.address())).await?));
    }
    let pool: Arc<[Mutex<Client>]> = pool.into();
    for name in names.iter() {
        pool[0].lock().await.set(name, &*value, None, None).await?;
    }
    let blocks = |writes| {
        let (client, names, value) = (blocking.clone(), Arc::clone(&names), Arc::clone(&value));
        move |share| Blocking {
            client: client.clone(),
            names: Arc::clone(&names),
            value: Arc::clone(&value),
            writes,
            share,
        }
    };
    let waits = |writes| {
        let (pool, names, value) = (Arc::clone(&pool), Arc::clone(&names), Arc::clone(&value));
        move |share| Waiting {
            pool: Arc::clone(&pool),
            names: Arc::clone(&names),
            value: Arc::clone(&value),
            writes,
            share,
        }
    };
    use Operation::{Read, Write};
    Ok(vec![
        Contender::new("memcache get", Role::Client, Read, blocks(false)),
        Contender::new("memcache set", Role::Client, Write, blocks(true)),
        Contender::new("async-memcached get", Role::Client, Read, waits(false)),
        Contender::new("async-memcached set", Role::Client, Write, waits(true)),
    ])
}

/// `memcache` on threads of their own, since it blocks.
struct Blocking {
    client: memcache::Client,
    names: Arc<[String]>,
    value: Arc<[u8]>,
    writes: bool,
    share: Share,
}

impl Work for Blocking {
    async fn step(&mut self) -> Result<()> {
        let (client, names, value) =
            (self.client.clone(), Arc::clone(&self.names), Arc::clone(&self.value));
        if self.writes {
            let index = self.share.any_own();
            let seconds = u32::try_from(TTL.as_secs())?;
            let sets = move || client.set(&names[index], &*value, seconds);
            return Ok(tokio::task::spawn_blocking(sets).await??);
        }
        let index = self.share.any();
        let gets = move || client.get::<Vec<u8>>(&names[index]);
        let found = tokio::task::spawn_blocking(gets).await??;
        found.filter(|found| found.len() == self.value.len()).ok_or("another value")?;
        Ok(())
    }
}

/// `async-memcached`, of which each task has a connection, which others may have as well.
struct Waiting {
    pool: Arc<[Mutex<Client>]>,
    names: Arc<[String]>,
    value: Arc<[u8]>,
    writes: bool,
    share: Share,
}

impl Work for Waiting {
    async fn step(&mut self) -> Result<()> {
        let mut client = self.pool[self.share.index % self.pool.len()].lock().await;
        if self.writes {
            let name = &self.names[self.share.any_own()];
            let seconds = i64::try_from(TTL.as_secs())?;
            return Ok(client.set(name, &*self.value, Some(seconds), None).await?);
        }
        let found = client.get(&self.names[self.share.any()]).await?;
        let found = found.and_then(|value| value.data);
        found.filter(|found| found.len() == self.value.len()).ok_or("another value")?;
        Ok(())
    }
}
