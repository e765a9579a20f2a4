//! A server, or several, for the suite: the store on them, and everything else that may be done
//! to them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;
use session_conformance::{
    Backend, Damage, MovableClock, Namespace, RawAccess, SingleConnectionOpen, Skew, SkewedOpen,
    WriteCounter,
};
use session_core::{
    Clock, Error, ErrorKind, Key, OffsetClock, Operation, Result, SessionStore, SystemClock,
};
use session_memcached::MemcachedStore;
use test_servers::memcached::{Options, Server};
use tokio::sync::OnceCell;

use crate::watch::Watch;

/// What is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One server, and a clock that is moved.
    One,
    /// One server, to which the older protocol is spoken.
    Classic,
    /// Three servers.
    Ring,
    /// One server with TLS and a password.
    Tls,
}

/// How often a server is asked for its keys.
const LOOKS: usize = 3;
/// Where the payload begins in a stored record.
const BEFORE_PAYLOAD: usize = 184;

/// A machine may be busy: no case is about how long a server takes.
pub(crate) const PATIENCE: &str =
    "session.timeout=120s&session.response_timeout=60s&session.connect_timeout=60s";

impl Kind {
    fn options(self) -> Options {
        // Room for what the server tells of writes.
        let options = Options::new()
            .argument("-o")
            .argument("watcher_logbuf_size=16384,worker_logbuf_size=8192");
        match self {
            Self::Tls => options.tls().login("sess", "s3cret"),
            _ => options,
        }
    }

    const fn servers(self) -> usize {
        if matches!(self, Self::Ring) { 3 } else { 1 }
    }

    /// Why it cannot be started here.
    pub(crate) fn missing(self) -> Option<String> {
        Server::missing(&self.options())
    }
}

/// The servers, and what watches over them.
#[derive(Debug)]
pub(crate) struct Started {
    servers: Vec<(Server, Watch)>,
    /// The keys that a server has named in a namespace.
    known: Mutex<HashMap<(usize, String), BTreeSet<String>>>,
}

impl Started {
    async fn start(kind: Kind) -> test_servers::Result<Self> {
        let mut servers = Vec::new();
        for _ in 0..kind.servers() {
            let server = Server::start(&kind.options()).await?;
            let watch = Watch::start(&server).await?;
            servers.push((server, watch));
        }
        Ok(Self { servers, known: Mutex::default() })
    }

    /// The URL of the store, without the prefix of its keys.
    pub(crate) fn url(&self, kind: Kind) -> String {
        let addresses: Vec<String> =
            self.servers.iter().map(|(server, _)| server.address()).collect();
        let query = match (kind, self.servers.first()) {
            (Kind::Classic, _) => "protocol=classic&".to_owned(),
            (Kind::Tls, Some((server, _))) => {
                let files = server.certificates();
                let file = files.map(|files| files.authority.display().to_string());
                format!("session.tls_ca={}&", file.unwrap_or_default())
            }
            _ => String::new(),
        };
        match kind {
            Kind::Tls => format!("memcacheds://sess:s3cret@{}?{query}", addresses.join(",")),
            _ => format!("memcached://{}?{query}", addresses.join(",")),
        }
    }

    /// The keys of a namespace. A server that is asked while items come and go may leave one out, so
    /// each is asked several times, and what it named before counts as well.
    async fn keys(&self, namespace: &Namespace) -> test_servers::Result<Vec<(&Server, String)>> {
        let mut all = Vec::new();
        for (n, (server, _)) in self.servers.iter().enumerate() {
            let mut named = BTreeSet::new();
            for _ in 0..LOOKS {
                named.extend(keys_of(server, namespace).await?);
            }
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let known = known.entry((n, namespace.to_string())).or_default();
            known.extend(named);
            all.extend(known.iter().map(|key| (server, key.clone())));
        }
        Ok(all)
    }
}

async fn keys_of(server: &Server, namespace: &Namespace) -> test_servers::Result<BTreeSet<String>> {
    let keys = server.client().await?.keys().await?;
    let keys = keys.into_iter().map(|key| key.replace("%3A", ":"));
    Ok(keys.filter(|key| key.starts_with(namespace.as_str())).collect())
}

/// A store under test.
#[derive(Debug)]
pub(crate) struct Lane {
    name: &'static str,
    kind: Kind,
    started: OnceCell<Started>,
    clocks: Mutex<HashMap<String, Arc<OffsetClock>>>,
}

impl Lane {
    pub(crate) fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, started: OnceCell::new(), clocks: Mutex::default() }
    }

    pub(crate) async fn started(&self) -> Result<&Started> {
        self.started
            .get_or_try_init(|| async { Started::start(self.kind).await.map_err(failed) })
            .await
    }

    fn clock_of(&self, namespace: &Namespace) -> Arc<OffsetClock> {
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let clock = clocks.entry(namespace.to_string());
        Arc::clone(clock.or_insert_with(|| Arc::new(OffsetClock::new(SystemClock::default()))))
    }

    async fn open_with(
        &self,
        namespace: &Namespace,
        clock: impl Clock,
    ) -> Result<Arc<dyn SessionStore>> {
        let url = self.started().await?.url(self.kind);
        let builder =
            MemcachedStore::builder(&format!("{url}{PATIENCE}&session.prefix={namespace}:"))?;
        Ok(Arc::new(builder.clock(clock).open().await?))
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Backend, "fixture", Operation::Open).with_source(error)
}

#[async_trait]
impl Backend for Lane {
    fn name(&self) -> &str {
        self.name
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        self.open_with(namespace, self.clock_of(namespace)).await
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        for (server, key) in self.started().await?.keys(namespace).await.map_err(failed)? {
            server.command(&format!("delete {key}\r\n")).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn server_version(&self) -> Option<String> {
        Some(format!("memcached {}", Server::version().ok()?))
    }

    fn clock(&self) -> Option<&dyn MovableClock> {
        (self.kind == Kind::One).then_some(self)
    }

    fn skewed(&self) -> Option<&dyn SkewedOpen> {
        Some(self)
    }

    fn write_counter(&self) -> Option<&dyn WriteCounter> {
        // Servers that many stores are busy with leave lines out; these two lanes tell enough.
        matches!(self.kind, Kind::One | Kind::Classic).then_some(self)
    }

    fn raw(&self) -> Option<&dyn RawAccess> {
        Some(self)
    }

    fn single_connection(&self) -> Option<&dyn SingleConnectionOpen> {
        Some(self)
    }
}

#[async_trait]
impl MovableClock for Lane {
    async fn advance(&self, namespace: &Namespace, by: Duration) -> Result<()> {
        self.clock_of(namespace).advance(by);
        Ok(())
    }

    async fn step_back(&self, namespace: &Namespace, by: Duration) -> Result<()> {
        self.clock_of(namespace).step_back(by);
        Ok(())
    }
}

#[async_trait]
impl SkewedOpen for Lane {
    async fn open_skewed(
        &self,
        namespace: &Namespace,
        skew: Skew,
    ) -> Result<Arc<dyn SessionStore>> {
        let clock = OffsetClock::new(self.clock_of(namespace));
        match skew {
            Skew::Ahead(by) => clock.advance(by),
            Skew::Behind(by) => clock.step_back(by),
            _ => {}
        }
        self.open_with(namespace, clock).await
    }
}

#[async_trait]
impl WriteCounter for Lane {
    async fn writes(&self, namespace: &Namespace) -> Result<u64> {
        let mut sum = 0;
        for (server, watch) in &self.started().await?.servers {
            sum += watch.writes(server, namespace.as_str()).await.map_err(failed)?;
        }
        Ok(sum)
    }
}

#[async_trait]
impl RawAccess for Lane {
    async fn damage(&self, namespace: &Namespace, key: &Key, damage: Damage) -> Result<()> {
        let digest = BASE64URL_NOPAD.encode(key.digest().as_bytes());
        let keys = self.started().await?.keys(namespace).await.map_err(failed)?;
        for (server, name) in keys.into_iter().filter(|(_, name)| name.ends_with(&digest)) {
            let mut client = server.client().await.map_err(failed)?;
            let Some((mut value, number)) = client.item(&name).await.map_err(failed)? else {
                continue;
            };
            match damage {
                Damage::Truncated => value.truncate(value.len() / 2),
                _ => {
                    let middle = (BEFORE_PAYLOAD + value.len()) / 2;
                    value.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1);
                }
            }
            let mut command =
                format!("cas {name} 0 3600 {} {number}\r\n", value.len()).into_bytes();
            command.extend(value);
            command.extend(b"\r\n");
            client.send(&command).await.map_err(failed)?;
            let reply = client.next_line().await.map_err(failed)?;
            if reply != "STORED" {
                return Err(failed(std::io::Error::other(reply)));
            }
        }
        Ok(())
    }

    async fn dump(&self, namespace: &Namespace) -> Result<Vec<Vec<u8>>> {
        let mut items = Vec::new();
        for (server, name) in self.started().await?.keys(namespace).await.map_err(failed)? {
            let mut client = server.client().await.map_err(failed)?;
            let item = client.item(&name).await.map_err(failed)?;
            items.extend(item.map(|(value, _)| [name.into_bytes(), value].concat()));
        }
        Ok(items)
    }
}

#[async_trait]
impl SingleConnectionOpen for Lane {
    async fn open_single(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        let url = self.started().await?.url(self.kind);
        let url = format!("{url}{PATIENCE}&session.connections=1&session.prefix={namespace}:");
        let builder = MemcachedStore::builder(&url)?.clock(self.clock_of(namespace));
        Ok(Arc::new(builder.open().await?))
    }
}
