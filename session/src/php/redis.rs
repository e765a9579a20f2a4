//! Stores of phpredis.

use std::sync::Arc;

use session_php::{RedisAccess, RedisAddress, RedisClusterPath, RedisPath, RedisServer};
use session_redis::{
    Endpoint, RedisConfig, Servers, Tls,
    php::{PhpLayout, PhpLock, PhpServer, PhpStore},
};

use crate::core::{Result, SessionStore};

/// The servers of `redis`.
pub(super) async fn open(path: RedisPath) -> Result<Arc<dyn SessionStore>> {
    Ok(Arc::new(PhpStore::open(layout(path)?).await?))
}

/// The cluster of `rediscluster`, where PHP does not lock.
pub(super) async fn open_cluster(path: RedisClusterPath) -> Result<Arc<dyn SessionStore>> {
    let nodes = path.seeds.into_iter().map(|(host, port)| Endpoint::new(host, port)).collect();
    let cluster = used_with(RedisConfig::new(Servers::Cluster(nodes)), path.access);
    Ok(Arc::new(PhpStore::open(PhpLayout::new(cluster)).await?))
}

fn layout(path: RedisPath) -> Result<PhpLayout> {
    let mut servers = path.servers.into_iter().map(server).collect::<Result<Vec<_>>>()?.into_iter();
    let first = servers.next().ok_or_else(|| super::wrong("session.save_path: no server"))?;
    let mut layout = servers.fold(PhpLayout::new(first), PhpLayout::with_server);
    layout.lock = path.lock.map(|lock| PhpLock::new().with_pause(lock.pause));
    Ok(layout)
}

fn server(server: RedisServer) -> Result<PhpServer> {
    let (servers, tls) = match server.address {
        RedisAddress::Tcp(host, port) => (Servers::One(Endpoint::new(host, port)), Tls::Off),
        RedisAddress::Tls(host, port) => (Servers::One(Endpoint::new(host, port)), Tls::On),
        RedisAddress::Unix(path) => (Servers::Unix(path.into()), Tls::Off),
        _ => return Err(super::wrong("session.save_path: no store reaches such a server")),
    };
    let mut config = RedisConfig::new(servers);
    config.tls = tls;
    config.database = server.database.unwrap_or_default();
    Ok(used_with(config, server.access).with_weight(server.weight))
}

fn used_with(mut config: RedisConfig, access: RedisAccess) -> PhpServer {
    (config.user, config.password) = (access.user, access.password);
    config.connect_timeout = access.timeout.unwrap_or(config.connect_timeout);
    config.response_timeout = access.read_timeout.unwrap_or(config.response_timeout);
    PhpServer::new(config).with_prefix(access.prefix)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::php::{Ini, SavePath};

    fn layout_of(path: &str) -> PhpLayout {
        let pairs = [
            ("session.save_handler", "redis"),
            ("session.save_path", path),
            ("redis.session.locking_enabled", "1"),
            ("redis.session.lock_wait_time", "5000"),
        ];
        let SavePath::Redis(path) = SavePath::of(&Ini::from_iter(pairs)).unwrap() else {
            panic!("another handler");
        };
        layout(path).unwrap()
    }

    #[test]
    fn every_parameter_of_a_server_reaches_its_store() {
        let layout = layout_of(
            "tls://a:1?weight=2&database=3&prefix=x:&timeout=2.5&read_timeout=4&auth[]=ada&auth[]=pw, \
             unix:///run/b.sock",
        );
        let [a, b] = &*layout.servers else { panic!("two servers: {layout:?}") };
        assert_eq!((a.weight, &*a.prefix), (2, &b"x:"[..]));
        assert_eq!(a.redis.servers, Servers::One(Endpoint::new("a", 1)));
        assert_eq!((&a.redis.tls, a.redis.database), (&Tls::On, 3));
        assert_eq!(a.redis.connect_timeout, Duration::from_millis(2_500));
        assert_eq!(a.redis.response_timeout, Duration::from_secs(4));
        assert_eq!(
            (a.redis.user.as_deref(), a.redis.password.as_deref()),
            (Some("ada"), Some("pw"))
        );
        assert_eq!(b.redis.servers, Servers::Unix("/run/b.sock".into()));
        assert_eq!((b.weight, &*b.prefix), (1, PhpServer::PREFIX.as_bytes()));
        assert_eq!(layout.lock.unwrap().pause, Duration::from_millis(5));
    }
}
