//! Stores of php-memcached.

use std::sync::Arc;

use session_memcached::{
    Endpoint, Hashing,
    php::{PhpLayout, PhpLock, PhpStore},
};
use session_php::{MemcachedHashing, MemcachedPath};

use crate::core::{Result, SessionStore};

pub(super) async fn open(path: MemcachedPath) -> Result<Arc<dyn SessionStore>> {
    Ok(Arc::new(PhpStore::open(layout(path)?).await?))
}

fn layout(path: MemcachedPath) -> Result<PhpLayout> {
    let endpoint = |server: session_php::MemcachedServer| {
        Endpoint::new(server.host, server.port).weight(server.weight)
    };
    let mut layout = PhpLayout::new(path.servers.into_iter().map(endpoint).collect::<Vec<_>>());
    let config = &mut layout.memcached;
    config.prefix = path.prefix;
    config.connect_timeout = path.connect_timeout.unwrap_or(config.connect_timeout);
    config.hashing = match path.hashing {
        MemcachedHashing::Ketama => Hashing::Ketama,
        MemcachedHashing::KetamaWeighted => Hashing::KetamaWeighted,
        MemcachedHashing::Modulo => Hashing::Modulo,
        _ => return Err(super::wrong("memcached.sess_consistent_hash_type: no store has it")),
    };
    layout.lock = path.lock.map(|lock| PhpLock::new().with_pause(lock.pause));
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::php::{Ini, SavePath};

    #[test]
    fn every_parameter_reaches_the_store() {
        let pairs = [
            ("session.save_handler", "memcached"),
            ("session.save_path", "a:1:3,b:2"),
            ("memcached.sess_consistent_hash_type", "ketama_weighted"),
            ("memcached.sess_prefix", "x."),
            ("memcached.sess_connect_timeout", "300"),
            ("memcached.sess_lock_wait_max", "70"),
            ("memcached.sess_lock_wait_min", "10"),
        ];
        let SavePath::Memcached(path) = SavePath::of(&Ini::from_iter(pairs)).unwrap() else {
            panic!("another handler");
        };
        let layout = layout(path).unwrap();
        let config = &layout.memcached;
        assert_eq!(config.servers, [Endpoint::new("a", 1).weight(3), Endpoint::new("b", 2)]);
        assert_eq!((config.hashing, &*config.prefix), (Hashing::KetamaWeighted, "x."));
        assert_eq!(config.connect_timeout, Duration::from_millis(300));
        assert_eq!(layout.lock.unwrap().pause, Duration::from_millis(70));
    }
}
