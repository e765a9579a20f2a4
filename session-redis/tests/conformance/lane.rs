//! A server, or several, for the suite: the store on them, and everything else that may be done
//! to them.

use std::sync::Arc;

use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;
use redis::{AsyncCommands, aio::MultiplexedConnection};
use session_conformance::{
    Backend, Damage, Namespace, RawAccess, SingleConnectionOpen, WriteCounter,
};
use session_core::{Error, ErrorKind, Key, Operation, Result, SessionStore};
use session_redis::RedisStore;
use test_servers::redis::{Cluster, Flavor, Options, Sentinels, Server};
use tokio::sync::OnceCell;

use crate::monitor::{Monitors, connect};

/// What is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Redis,
    Valkey,
    Tls,
    Sentinel,
    Cluster,
}

/// The user of the lane with TLS may do what the documentation says, and nothing else.
const RULES: &str = "~conf* &conf* -@all +get +pttl +evalsha +eval +set +setrange +getrange \
                     +pexpire +pexpireat +unlink +time +publish \
                     +zadd +zrem +zrangebylex +zrandmember +incr +subscribe +unsubscribe +ping \
                     +info +client|setname +hello";

/// A machine may be busy: no case is about how long a server takes.
pub(crate) const PATIENCE: &str =
    "session.timeout=120s&session.response_timeout=60s&session.connect_timeout=60s";

/// Where the payload begins in a stored record.
const BEFORE_PAYLOAD: usize = 185;

impl Kind {
    fn options(self) -> Options {
        match self {
            Self::Redis | Self::Sentinel => Options::redis(),
            Self::Valkey | Self::Cluster => Options::valkey(),
            Self::Tls => Options::redis().tls().user("sess", "s3cret", RULES),
        }
    }

    const fn flavor(self) -> Flavor {
        match self {
            Self::Redis | Self::Sentinel | Self::Tls => Flavor::Redis,
            Self::Valkey | Self::Cluster => Flavor::Valkey,
        }
    }

    /// Why it cannot be started here.
    pub(crate) fn missing(self) -> Option<String> {
        Server::missing(&self.options())
    }
}

/// What was started.
#[derive(Debug)]
pub(crate) enum Servers {
    One(Box<Server>),
    Sentinels(Sentinels),
    Cluster(Cluster),
}

impl Servers {
    async fn start(kind: Kind) -> test_servers::Result<Self> {
        let options = kind.options();
        Ok(match kind {
            Kind::Redis | Kind::Valkey | Kind::Tls => {
                Self::One(Box::new(Server::start(&options).await?))
            }
            Kind::Sentinel => Self::Sentinels(Sentinels::start(&options).await?),
            Kind::Cluster => Self::Cluster(Cluster::start(&options).await?),
        })
    }

    /// The URL of the store, without the prefix of its keys.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::One(server) => match server.certificates() {
                Some(files) => {
                    format!("{}?session.tls_ca={}&", server.url(), files.authority.display())
                }
                None => format!("{}?", server.url()),
            },
            Self::Sentinels(pair) => {
                let addresses: Vec<String> = pair.sentinels().iter().map(Server::address).collect();
                format!("redis+sentinel://{}/{}?", addresses.join(","), Sentinels::NAME)
            }
            Self::Cluster(cluster) => {
                format!("valkey+cluster://{}?", cluster.addresses().join(","))
            }
        }
    }

    /// The servers that keep the data.
    async fn primaries(&self) -> test_servers::Result<Vec<&Server>> {
        Ok(match self {
            Self::One(server) => vec![server],
            Self::Sentinels(pair) => vec![pair.primary().await?],
            Self::Cluster(cluster) => cluster.primaries().await?,
        })
    }
}

/// The servers, and the connections of this fixture to them.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) servers: Servers,
    direct: Vec<Direct>,
    monitors: Monitors,
}

/// A connection that sees all keys of a server.
#[derive(Clone)]
struct Direct(MultiplexedConnection);

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Direct")
    }
}

impl Direct {
    /// All that is stored under a name.
    async fn content(&self, name: &[u8]) -> redis::RedisResult<Vec<u8>> {
        let mut connection = self.0.clone();
        match connection.key_type(name).await? {
            redis::ValueType::ZSet => {
                let members: Vec<Vec<u8>> = connection.zrange(name, 0, -1).await?;
                Ok(members.concat())
            }
            redis::ValueType::String => connection.get(name).await,
            // It expired meanwhile.
            _ => Ok(Vec::new()),
        }
    }
}

impl Started {
    async fn start(kind: Kind) -> Result<Self> {
        let servers = Servers::start(kind).await.map_err(failed)?;
        let (mut direct, mut addresses) = (Vec::new(), Vec::new());
        for server in servers.primaries().await.map_err(failed)? {
            // Over the socket, past TLS and, as its administrator, past the limits of the user.
            let client = redis::Client::open(server.administrator_url()).map_err(failed)?;
            direct.push(Direct(connect(&client).await.map_err(failed)?));
            addresses.push(client);
        }
        let monitors = Monitors::start(addresses).await.map_err(failed)?;
        Ok(Self { servers, direct, monitors })
    }

    async fn names(&self, direct: &Direct, namespace: &Namespace) -> Result<Vec<Vec<u8>>> {
        let mut connection = direct.0.clone();
        let names = connection.scan_match::<_, Vec<u8>>(format!("{namespace}:*")).await;
        let mut names = names.map_err(failed)?;
        let mut all = Vec::new();
        while let Some(name) = names.next_item().await {
            all.push(name.map_err(failed)?);
        }
        Ok(all)
    }
}

/// A store under test.
#[derive(Debug)]
pub(crate) struct Lane {
    name: &'static str,
    kind: Kind,
    started: OnceCell<Started>,
}

impl Lane {
    pub(crate) fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, started: OnceCell::new() }
    }

    pub(crate) async fn started(&self) -> Result<&Started> {
        self.started.get_or_try_init(|| Started::start(self.kind)).await
    }
}

pub(crate) fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Backend, "fixture", Operation::Open).with_source(error)
}

#[async_trait]
impl Backend for Lane {
    fn name(&self) -> &str {
        self.name
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        let url = self.started().await?.servers.url();
        let url = format!("{url}{PATIENCE}&session.prefix={namespace}:");
        Ok(Arc::new(RedisStore::open(&url).await?))
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        let started = self.started().await?;
        for direct in &started.direct {
            for name in started.names(direct, namespace).await? {
                direct.0.clone().unlink::<_, ()>(name).await.map_err(failed)?;
            }
        }
        Ok(())
    }

    async fn server_version(&self) -> Option<String> {
        let flavor = self.kind.flavor();
        Some(format!("{} {}", flavor.name(), flavor.version().ok()?))
    }

    fn write_counter(&self) -> Option<&dyn WriteCounter> {
        Some(self)
    }

    fn raw(&self) -> Option<&dyn RawAccess> {
        Some(self)
    }

    fn single_connection(&self) -> Option<&dyn SingleConnectionOpen> {
        Some(self)
    }
}

#[async_trait]
impl WriteCounter for Lane {
    async fn writes(&self, namespace: &Namespace) -> Result<u64> {
        self.started().await?.monitors.writes(namespace.as_str()).await.map_err(failed)
    }
}

#[async_trait]
impl RawAccess for Lane {
    async fn damage(&self, namespace: &Namespace, key: &Key, damage: Damage) -> Result<()> {
        let started = self.started().await?;
        let digest = BASE64URL_NOPAD.encode(key.digest().as_bytes());
        for direct in &started.direct {
            let names = started.names(direct, namespace).await?;
            for name in names.into_iter().filter(|name| name.ends_with(digest.as_bytes())) {
                let mut connection = direct.0.clone();
                let mut value: Vec<u8> = connection.get(&name).await.map_err(failed)?;
                match damage {
                    Damage::Truncated => value.truncate(value.len() / 2),
                    _ => {
                        let middle = (BEFORE_PAYLOAD + value.len()) / 2;
                        value.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1);
                    }
                }
                let options =
                    redis::SetOptions::default().with_expiration(redis::SetExpiry::KEEPTTL);
                let set = connection.set_options::<_, _, ()>(&name, value, options);
                set.await.map_err(failed)?;
            }
        }
        Ok(())
    }

    async fn dump(&self, namespace: &Namespace) -> Result<Vec<Vec<u8>>> {
        let started = self.started().await?;
        let mut items = Vec::new();
        for direct in &started.direct {
            for mut name in started.names(direct, namespace).await? {
                name.extend(direct.content(&name).await.map_err(failed)?);
                items.push(name);
            }
        }
        Ok(items)
    }
}

/// A store has a single connection to each server, which its callers share.
#[async_trait]
impl SingleConnectionOpen for Lane {
    async fn open_single(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        self.open(namespace).await
    }
}
