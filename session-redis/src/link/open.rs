//! From settings to a link.

use std::sync::{Arc, atomic::AtomicBool};

use session_core::ErrorKind;
use tokio::time::Instant;

use super::{
    Inner, OnMessage,
    batch::Replicas,
    cluster::Cluster,
    dial::{Address, Dialer},
    fault::Fault,
    info::Info,
    pushes::Channels,
    retry,
    sentinel::Sentinels,
    server::{Common, Origin, Server},
    tls::Tls,
    topology::Topology,
};
use crate::{Endpoint, Protocol, RedisConfig, Servers, Tls as TlsSetting};

pub(super) async fn open(config: &RedisConfig, on_message: OnMessage) -> Result<Inner, Fault> {
    let reads_replicas = !config.replica_staleness.is_zero();
    let dialer = dialer(config)?;
    let channels = Channels::new(on_message);
    let common = Arc::new(Common {
        dialer: dialer.clone(),
        response_timeout: config.response_timeout,
        replicas: (config.wait_replicas > 0)
            .then_some(Replicas { count: config.wait_replicas, within: config.wait_timeout }),
        channels: Arc::clone(&channels),
    });
    let topology = Arc::new(topology(config, &dialer, &common));
    let keeper = tokio::spawn(Arc::clone(&channels).keep(Arc::downgrade(&topology)));
    let keeper = keeper.abort_handle();
    let timeout = config.timeout;
    let info = Info::default();
    let mut inner = Inner { topology, channels, dialer, timeout, reads_replicas, info, keeper };
    let asked = retry::ask(&inner.topology, Info::request(), Instant::now() + timeout).await;
    inner.info = match asked {
        Ok(answer) => Info::read(&answer.values),
        // Sessions can be kept without the right to ask.
        Err(fault) if fault.lacks_permission() => Info::default(),
        Err(fault) => return Err(fault),
    };
    inner.info.warn();
    let cluster = matches!(*inner.topology, Topology::Cluster(_));
    if inner.info.clustered && !cluster {
        let detail = "the server is one of a cluster, whose URL begins with redis+cluster";
        return Err(Fault::new(ErrorKind::Config, detail));
    }
    inner.channels.set_sharded(cluster && inner.info.has_sharded_channels());
    Ok(inner)
}

fn dialer(config: &RedisConfig) -> Result<Dialer, Fault> {
    let tls = tls(&config.tls)?;
    Ok(Dialer {
        tls,
        user: config.user.clone(),
        password: config.password.clone(),
        database: config.database.into(),
        name: config.client_name.clone(),
        timeout: config.connect_timeout,
        silence: config.timeout,
        old_protocol: Arc::new(AtomicBool::new(config.protocol == Protocol::Resp2)),
    })
}

fn tls(setting: &TlsSetting) -> Result<Option<Tls>, Fault> {
    let wrong = |detail| Fault::new(ErrorKind::Config, detail);
    let tls = match setting {
        TlsSetting::Off => return Ok(None),
        TlsSetting::On => Tls::of_the_system().ok(),
        TlsSetting::Insecure => {
            tracing::warn!("any certificate is taken for the server's: use this for tests only");
            Tls::insecure().ok()
        }
        TlsSetting::Ca(path) => {
            let unreadable = |_| wrong("the file of the authority cannot be read");
            let authorities = std::fs::read(path).map_err(unreadable)?;
            let none = || wrong("the file of the authority has no certificates");
            Some(Tls::of(&authorities).ok_or_else(none)?)
        }
    };
    tls.map(Some).ok_or_else(|| wrong("the program's cryptography has no TLS"))
}

fn topology(config: &RedisConfig, dialer: &Dialer, common: &Arc<Common>) -> Topology {
    let mut named = None;
    let origin = match &config.servers {
        Servers::One(endpoint) => Origin::At(address(endpoint)),
        Servers::Unix(path) => Origin::At(Address::Unix(path.clone())),
        Servers::Sentinel { sentinels, service } => {
            let dialer = Dialer {
                user: config.sentinel_user.clone(),
                password: config.sentinel_password.clone(),
                database: 0,
                name: None,
                old_protocol: Arc::default(),
                ..dialer.clone()
            };
            let addresses = sentinels.iter().map(address).collect();
            let sentinels = Arc::new(Sentinels::new(addresses, service.clone(), dialer));
            named = Some(Arc::clone(&sentinels));
            Origin::Primary(sentinels)
        }
        Servers::Cluster(nodes) => {
            let seeds = nodes.iter().map(address).collect();
            return Topology::Cluster(Cluster::new(seeds, Arc::clone(common)));
        }
    };
    let server = |origin| Server::new(origin, Arc::clone(common));
    let reader = config.reader.as_ref().map(|reader| Origin::At(address(reader)));
    let reader = reader.or_else(|| named.map(Origin::Replica)).map(server);
    Topology::One { primary: server(origin), reader }
}

fn address(endpoint: &Endpoint) -> Address {
    Address::Tcp(endpoint.host.clone(), endpoint.port)
}
