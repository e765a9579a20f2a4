//! The bare commands on fred, another client crate.

use std::sync::Arc;

use fred::{
    prelude::{Builder, Client, ClientLike, Config, Expiration, KeysInterface, TcpConfig},
    types::RespVersion,
};

use super::{TTL_SECONDS, names, place::Place};
use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    setup::Setup,
};

/// A client on one connection to each server.
pub(crate) async fn client(place: &Place) -> Result<Client> {
    let urls = place.urls();
    let first = urls.first().ok_or("no server")?;
    let url =
        if place.is_cluster() { first.replace("redis:", "redis-cluster:") } else { first.clone() };
    connect(&url).await
}

/// A client of the server or cluster at this URL. The runtime in which it is made drives its connections.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let mut config = Config::from_url(url)?;
    config.version = RespVersion::RESP3;
    let mut builder = Builder::from_config(config);
    builder.with_connection_config(|connection| {
        connection.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
    });
    let client = builder.build()?;
    client.init().await?;
    Ok(client)
}

pub(crate) async fn contenders(place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    let client = client(place).await?;
    let value = [vec![0; 185], setup.payload.to_vec()].concat();
    let value = bytes::Bytes::from(value);
    let names: Arc<Vec<String>> = Arc::new(names(setup, "fred:"));
    let base = Base { client, names, value };
    for index in 0..setup.sessions {
        base.set(index).await?;
    }
    let (get, set) = (base.clone(), base);
    use Operation::{Read, Write};
    Ok(vec![
        Contender::new("fred GET", Role::Client, Read, move |share| Get(get.clone(), share)),
        Contender::new("fred SET EX", Role::Client, Write, move |share| Set(set.clone(), share)),
    ])
}

#[derive(Clone)]
struct Base {
    client: Client,
    names: Arc<Vec<String>>,
    value: bytes::Bytes,
}

impl Base {
    async fn set(&self, index: usize) -> Result<()> {
        let expire = Some(Expiration::EX(TTL_SECONDS));
        let (name, value) = (self.names[index].as_str(), self.value.clone());
        let () = self.client.set(name, value, expire, None, false).await?;
        Ok(())
    }
}

struct Get(Base, Share);
struct Set(Base, Share);

impl Work for Get {
    async fn step(&mut self) -> Result<()> {
        let Self(base, share) = self;
        let found: bytes::Bytes = base.client.get(base.names[share.any()].as_str()).await?;
        if found.len() != base.value.len() {
            return Err("another value".into());
        }
        Ok(())
    }
}

impl Work for Set {
    async fn step(&mut self) -> Result<()> {
        self.0.set(self.1.any_own()).await
    }
}
