//! The bare commands on the client crate that our store uses, with the settings it uses.

use std::sync::Arc;

use redis::{
    AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo, ProtocolVersion, aio::ConnectionLike,
    cluster::ClusterClient, io::tcp::TcpSettings,
};

use super::{TTL_SECONDS, names, place::Place};
use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    setup::Setup,
};

/// What our store keeps beside the payload; the bare commands move as many bytes.
const HEADER: usize = 185;
const EXTEND: &str = "local value = redis.call('GET', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return value";

pub(crate) async fn contenders(place: &Place, setup: &Setup) -> Result<Vec<Contender>> {
    let urls = place.urls();
    if place.is_cluster() {
        let client = ClusterClient::builder(urls).use_protocol(ProtocolVersion::RESP3).build()?;
        return on(client.get_async_connection().await?, setup).await;
    }
    let first = urls.first().ok_or("no server")?.as_str();
    let info = first.into_connection_info()?;
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let tcp = TcpSettings::default().set_nodelay(true);
    let client = Client::open(info.set_redis_settings(redis).set_tcp_settings(tcp))?;
    let config = AsyncConnectionConfig::new();
    on(client.get_multiplexed_async_connection_with_config(&config).await?, setup).await
}

async fn on<C>(mut connection: C, setup: &Setup) -> Result<Vec<Contender>>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    let value = Arc::new([vec![0; HEADER], setup.payload.to_vec()].concat());
    let names: Arc<Vec<String>> = Arc::new(names(setup, "bare:"));
    for name in names.iter() {
        set(name, &value).exec_async(&mut connection).await?;
    }
    let mut load = redis::cmd("SCRIPT");
    let sha: String = load.arg("LOAD").arg(EXTEND).query_async(&mut connection).await?;
    let sha: Arc<str> = sha.into();
    let base = Bare { connection, names, value, sha };
    let make = |kind| {
        let base = base.clone();
        move |share| Commands { base: base.clone(), kind, share }
    };
    use Operation::{Locked, Read, Touch, Write};
    Ok(vec![
        Contender::new("GET", Role::Bare, Read, make(Kind::Get)),
        // What lies between these two is noise.
        Contender::new("GET again", Role::Bare, Read, make(Kind::Get)),
        Contender::new("SET EX", Role::Bare, Write, make(Kind::Set)),
        Contender::new("EVALSHA (GET, PEXPIRE)", Role::Bare, Touch, make(Kind::Script)),
        Contender::new("two such EVALSHA", Role::Bare, Locked, make(Kind::TwoScripts)),
    ])
}

#[derive(Clone)]
struct Bare<C> {
    connection: C,
    names: Arc<Vec<String>>,
    value: Arc<Vec<u8>>,
    sha: Arc<str>,
}

impl<C: ConnectionLike + Send + Sync + 'static> Bare<C> {
    async fn script(&mut self, index: usize) -> Result<()> {
        let mut run = redis::cmd("EVALSHA");
        run.arg(&*self.sha).arg(1).arg(&self.names[index]).arg(TTL_SECONDS * 1000);
        let found: Vec<u8> = run.query_async(&mut self.connection).await?;
        if found.len() != self.value.len() {
            return Err("another value".into());
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Get,
    Set,
    Script,
    /// What a locked cycle would be if its scripts were as small as scripts can be.
    TwoScripts,
}

struct Commands<C> {
    base: Bare<C>,
    kind: Kind,
    share: Share,
}

fn set(name: &str, value: &[u8]) -> Cmd {
    let mut set = redis::cmd("SET");
    set.arg(name).arg(value).arg("EX").arg(TTL_SECONDS);
    set
}

impl<C: ConnectionLike + Send + Sync + 'static> Work for Commands<C> {
    async fn step(&mut self) -> Result<()> {
        let Bare { connection, names, value, .. } = &mut self.base;
        match self.kind {
            Kind::Get => {
                let mut get = redis::cmd("GET");
                get.arg(&names[self.share.any()]);
                let found: Vec<u8> = get.query_async(connection).await?;
                if found.len() != value.len() {
                    return Err("another value".into());
                }
            }
            Kind::Set => set(&names[self.share.any_own()], value).exec_async(connection).await?,
            Kind::Script => self.base.script(self.share.any()).await?,
            Kind::TwoScripts => {
                let index = self.share.any();
                self.base.script(index).await?;
                self.base.script(index).await?;
            }
        }
        Ok(())
    }
}
