//! The servers of a cluster, and which of them has which slot.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as StdMutex, PoisonError, RwLock},
    time::Duration,
};

use session_core::ErrorKind;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};

use super::{
    Boxed, Command, Value,
    connection::Why,
    dial::Address,
    fault::Fault,
    server::{Common, Origin, Server, Use},
    slot::{SLOTS, slot},
};

/// A map that is younger than this is not asked for again.
const FRESH: Duration = Duration::from_millis(100);
/// After this a map without replicas is asked for again.
const STALE: Duration = Duration::from_secs(1);
/// How long one server may take to tell the map.
const PATIENCE: Duration = Duration::from_millis(500);

/// A cluster.
pub(super) struct Cluster {
    common: Arc<Common>,
    seeds: Vec<Address>,
    map: RwLock<Arc<Map>>,
    /// Servers that others named and that have no slot yet.
    strangers: StdMutex<HashMap<Address, Arc<Server>>>,
    /// Held by the one who asks for the map; when it was asked for last.
    asking: Mutex<Option<Instant>>,
}

/// Who has which slot.
#[derive(Default)]
pub(super) struct Map {
    /// For each slot a position in `shards`.
    slots: Vec<u16>,
    shards: Vec<Shard>,
    servers: HashMap<Address, Arc<Server>>,
    made: Option<Instant>,
}

struct Shard {
    primary: Arc<Server>,
    replicas: Vec<Arc<Server>>,
}

pub(super) fn uncovered() -> Fault {
    Fault::new(ErrorKind::Unavailable, "no server has this part of the cluster")
}

impl Cluster {
    pub(super) fn new(seeds: Vec<Address>, common: Arc<Common>) -> Self {
        let (map, strangers, asking) = Default::default();
        Self { common, seeds, map, strangers, asking }
    }

    fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The server that has a key; any one for no key. `None` when the map is to be asked for.
    pub(super) fn known(&self, key: &[u8], replica: bool) -> Option<Arc<Server>> {
        let map = self.map();
        // A replica is not announced before it has its data.
        let may_have_one = || replica && map.age() > STALE && !map.has_replica(key);
        map.server(key, replica).filter(|_| !may_have_one())
    }

    /// The same by a new map.
    pub(super) async fn find(
        &self,
        key: &[u8],
        replica: bool,
        deadline: Instant,
    ) -> Result<Arc<Server>, Fault> {
        self.refresh(None, deadline).await?;
        self.map().server(key, replica).ok_or_else(uncovered)
    }

    /// The server at an address that a server named as `host:port`; `from` named it.
    pub(super) fn server_at(&self, target: &str, from: &Server) -> Option<Arc<Server>> {
        let (host, port) = target.rsplit_once(':')?;
        let host = match (host.trim_start_matches('[').trim_end_matches(']'), &from.origin) {
            ("", Origin::At(Address::Tcp(host, _))) => host.as_str(),
            (host, _) => host,
        };
        let address = Address::Tcp(host.to_owned(), port.parse().ok()?);
        if let Some(known) = self.map().servers.get(&address) {
            return Some(Arc::clone(known));
        }
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let stranger = strangers.entry(address).or_insert_with_key(|at| self.meet(at.clone()));
        Some(Arc::clone(stranger))
    }

    fn meet(&self, address: Address) -> Arc<Server> {
        Server::new(Origin::At(address), Arc::clone(&self.common))
    }

    /// Asks for the map, `first` before all others. Of many callers one asks.
    pub(super) fn refresh<'a>(
        &'a self,
        first: Option<&'a Arc<Server>>,
        deadline: Instant,
    ) -> Boxed<'a, Result<(), Fault>> {
        Box::pin(self.refresh_by(first, deadline))
    }

    async fn refresh_by(
        &self,
        first: Option<&Arc<Server>>,
        deadline: Instant,
    ) -> Result<(), Fault> {
        let came = Instant::now();
        timeout_at(deadline, async {
            let mut asked = self.asking.lock().await;
            if asked.is_some_and(|asked| asked + FRESH > came) {
                return Ok(());
            }
            let asking = self.ask_one_after_the_other(first).await;
            *asked = Some(Instant::now());
            asking
        })
        .await
        .unwrap_or_else(|_| Err(Fault::timeout()))
    }

    async fn ask_one_after_the_other(&self, first: Option<&Arc<Server>>) -> Result<(), Fault> {
        let old = self.map();
        let mut servers: Vec<Arc<Server>> = old.servers.values().cloned().collect();
        fastrand::shuffle(&mut servers);
        // Those that seem dead come last.
        servers.sort_by_key(|server| !server.is_well());
        servers.splice(0..0, first.cloned());
        let seeds = self.seeds.iter().filter(|seed| !old.servers.contains_key(seed));
        let mut seeds: Vec<_> = seeds.map(|seed| self.meet(seed.clone())).collect();
        // Should one take all the time that the caller has, the next caller begins elsewhere.
        fastrand::shuffle(&mut seeds);
        servers.extend(seeds);
        let mut last: Option<Fault> = None;
        for server in servers {
            match self.ask(&server, &old).await {
                Ok(map) => {
                    // Those that are redirected to again are met again.
                    self.strangers.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    *self.map.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(map);
                    self.common.channels.look_again();
                    return Ok(());
                }
                // What passes tells more: the others may know the cluster yet.
                Err(fault) if fault.passes() || !last.as_ref().is_some_and(Fault::passes) => {
                    last = Some(fault);
                }
                Err(_) => {}
            }
        }
        let nobody = || Fault::new(ErrorKind::Unavailable, "no server tells of the cluster");
        Err(last.unwrap_or_else(nobody))
    }

    async fn ask(&self, server: &Arc<Server>, old: &Map) -> Result<Map, Fault> {
        let deadline = Instant::now() + PATIENCE.max(self.common.dialer.timeout);
        let connection = server.connection(Use::Read, deadline).await?;
        let command = Command::new("CLUSTER", &[b"SLOTS"]);
        let asked = connection.ask(&[command], Instant::now() + PATIENCE).await;
        let reply = asked.map_err(Why::into_fault)?.pop();
        let map = reply.and_then(|reply| self.read(reply, server, old));
        map.ok_or_else(|| Fault::new(ErrorKind::Config, "the server is not part of a cluster"))
    }

    /// Reads what a server said of the slots. Servers that were known keep their connections.
    fn read(&self, reply: Value, from: &Arc<Server>, old: &Map) -> Option<Map> {
        let Value::Array(ranges) = reply else { return None };
        let mut map = Map {
            slots: vec![u16::MAX; SLOTS.into()],
            made: Some(Instant::now()),
            ..Map::default()
        };
        for range in ranges {
            let Value::Array(parts) = range else { return None };
            let mut parts = parts.into_iter();
            let (Value::Int(first), Value::Int(last)) = (parts.next()?, parts.next()?) else {
                return None;
            };
            let mut servers = parts.filter_map(|node| {
                let address = address(node, from)?;
                let known = map.servers.get(&address).or_else(|| old.servers.get(&address));
                let known =
                    known.cloned().or_else(|| is_at(from, &address).then(|| Arc::clone(from)));
                let server = known.unwrap_or_else(|| self.meet(address.clone()));
                map.servers.insert(address, Arc::clone(&server));
                Some(server)
            });
            let shard = Shard { primary: servers.next()?, replicas: servers.collect() };
            let shards = u16::try_from(map.shards.len()).ok()?;
            map.shards.push(shard);
            let range = usize::try_from(first).ok()?..=usize::try_from(last).ok()?;
            map.slots.get_mut(range)?.fill(shards);
        }
        (!map.shards.is_empty()).then_some(map)
    }
}

impl Map {
    fn age(&self) -> Duration {
        self.made.map_or(Duration::MAX, |made| made.elapsed())
    }

    fn shard(&self, key: &[u8]) -> Option<&Shard> {
        if key.is_empty() {
            return fastrand::choice(&self.shards);
        }
        self.shards.get(usize::from(*self.slots.get(usize::from(slot(key)))?))
    }

    fn has_replica(&self, key: &[u8]) -> bool {
        self.shard(key).is_some_and(|shard| !shard.replicas.is_empty())
    }

    fn server(&self, key: &[u8], replica: bool) -> Option<Arc<Server>> {
        let shard = self.shard(key)?;
        let replica = replica.then(|| fastrand::choice(&shard.replicas)).flatten();
        Some(Arc::clone(replica.unwrap_or(&shard.primary)))
    }
}

fn is_at(server: &Server, address: &Address) -> bool {
    matches!(&server.origin, Origin::At(at) if at == address)
}

/// The address of a node; one without a host is where the answer came from.
fn address(node: Value, from: &Server) -> Option<Address> {
    let Value::Array(parts) = node else { return None };
    let mut parts = parts.into_iter();
    let host = match (parts.next()?, &from.origin) {
        (Value::BulkString(host), _) if *host == b"?"[..] => return None,
        (Value::BulkString(host), _) if !host.is_empty() => String::from_utf8(host.into()).ok()?,
        (_, Origin::At(Address::Tcp(host, _))) => host.clone(),
        _ => return None,
    };
    let Value::Int(port) = parts.next()? else { return None };
    Some(Address::Tcp(host, u16::try_from(port).ok()?))
}
