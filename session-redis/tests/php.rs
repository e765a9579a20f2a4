//! Real PHP with phpredis, and our store, at the same live sessions.

use std::{process::ExitCode, sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::SessionStore;
use session_redis::{
    Endpoint, RedisConfig, Servers,
    php::{PhpLayout, PhpLock, PhpServer, PhpStore},
};
use test_php::{Layout, Lock, Php, Place, Promises, Result};
use test_servers::redis::{Cluster, Options, Server};
use tokio::sync::OnceCell;

/// As many servers as the layout with several has.
static SERVERS: OnceCell<Vec<Server>> = OnceCell::const_new();
static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

fn main() -> ExitCode {
    test_php::main(
        |place| Box::pin(open(place)),
        vec![Arc::new(Kind::Locked), Arc::new(Kind::Weighted), Arc::new(Kind::Cluster)],
    )
}

/// How PHP is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One server, with locks.
    Locked,
    /// Three servers with the weights 1, 2, 3, without locks: PHP gives them back on the wrong one.
    Weighted,
    /// A cluster, where PHP does not lock.
    Cluster,
}

#[derive(Debug)]
struct Prefixed {
    kind: Kind,
    prefix: String,
    addresses: Vec<String>,
}

async fn servers() -> Result<&'static [Server]> {
    let start = || async {
        let mut servers = Vec::new();
        for _ in 0..3 {
            servers.push(Server::start(&Options::redis()).await?);
        }
        test_servers::Result::Ok(servers)
    };
    Ok(SERVERS.get_or_try_init(start).await?)
}

async fn cluster() -> Result<&'static Cluster> {
    Ok(CLUSTER.get_or_try_init(|| async { Cluster::start(&Options::redis()).await }).await?)
}

#[async_trait]
impl Layout for Kind {
    fn name(&self) -> &str {
        match self {
            Self::Locked => "phpredis",
            Self::Weighted => "phpredis-weighted",
            Self::Cluster => "phpredis-cluster",
        }
    }

    fn words(&self) -> &'static [&'static str] {
        &["redis"]
    }

    fn missing(&self) -> Option<String> {
        Server::missing(&Options::redis()).or_else(|| test_servers::php::missing(&["redis"]))
    }

    fn promises(&self) -> Promises {
        match self {
            Self::Locked => Promises::new(Lock::Expires).by_server(),
            Self::Weighted => Promises::new(Lock::None).by_server(),
            Self::Cluster => Promises::new(Lock::None).by_server().without_strict_mode(),
        }
    }

    async fn place(&self) -> Result<Arc<dyn Place>> {
        let prefix = format!("p{:016x}:", fastrand::u64(..));
        let addresses = match self {
            Self::Locked => servers().await?.iter().take(1).map(Server::address).collect(),
            Self::Weighted => servers().await?.iter().map(Server::address).collect(),
            Self::Cluster => cluster().await?.addresses(),
        };
        Ok(Arc::new(Prefixed { kind: *self, prefix, addresses }))
    }
}

#[async_trait]
impl Place for Prefixed {
    fn php(&self) -> Php {
        let prefix = &self.prefix;
        let seeds = self.addresses.iter().map(|address| format!("seed[]={address}"));
        let hosts =
            self.addresses.iter().zip(1..).map(|(address, weight)| {
                format!("tcp://{address}?weight={weight}&prefix={prefix}")
            });
        if self.kind == Kind::Cluster {
            let path = seeds.chain([format!("prefix={prefix}")]).collect::<Vec<_>>().join("&");
            return Php::default()
                .ini("session.save_handler", "rediscluster")
                .ini("session.save_path", path);
        }
        Php::default()
            .ini("session.save_handler", "redis")
            .ini("session.save_path", hosts.collect::<Vec<_>>().join(","))
            .ini("redis.session.locking_enabled", u8::from(self.kind == Kind::Locked))
            .ini("redis.session.lock_expire", 60)
            .ini("redis.session.lock_retries", -1)
            .ini("redis.session.lock_wait_time", 2_000)
            .brief("redis.session.lock_expire", 1)
    }

    fn peer(&self) -> String {
        format!("{:?} {} {}", self.kind, self.prefix, self.addresses.join(" "))
    }

    async fn age(&self, id: &str, by: Duration) -> Result<bool> {
        let name = format!("{}{id}", self.prefix);
        let holders: Vec<&Server> = match self.kind {
            Kind::Cluster => {
                let cluster = cluster().await?;
                vec![cluster.owner(cluster.slot(&name).await?).await?]
            }
            _ => servers().await?.iter().collect(),
        };
        for server in holders {
            let left: i128 = server.command(&["PTTL", &name]).await?.parse()?;
            if left > 0 {
                let left = left - i128::try_from(by.as_millis())?;
                server.command(&["PEXPIRE", &name, &left.to_string()]).await?;
                return Ok(true);
            }
        }
        // It has expired already, as the case expects of it.
        Ok(true)
    }
}

async fn open(place: String) -> Result<Arc<dyn SessionStore>> {
    let mut words = place.split(' ');
    let (kind, prefix) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut endpoints = Vec::new();
    for word in words {
        let (host, port) = word.rsplit_once(':').ok_or("an address has a port")?;
        endpoints.push(Endpoint::new(host, port.parse()?));
    }
    let server = |servers| PhpServer::new(config(servers)).with_prefix(prefix);
    if kind == "Cluster" {
        let layout = PhpLayout::new(server(Servers::Cluster(endpoints)));
        return Ok(Arc::new(PhpStore::open(layout).await?));
    }
    let mut hosts = endpoints
        .into_iter()
        .zip(1..)
        .map(|(endpoint, weight)| server(Servers::One(endpoint)).with_weight(weight));
    let mut layout = PhpLayout::new(hosts.next().ok_or("a server is needed")?);
    layout.servers.extend(hosts);
    layout.lock = (kind == "Locked").then(PhpLock::new);
    Ok(Arc::new(PhpStore::open(layout).await?))
}

/// A machine may be busy.
fn config(servers: Servers) -> RedisConfig {
    let mut config = RedisConfig::new(servers);
    config.timeout = Duration::from_secs(120);
    config.response_timeout = Duration::from_secs(60);
    config.connect_timeout = Duration::from_secs(60);
    config
}
