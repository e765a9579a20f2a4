//! The `save_path` of php-memcached, and its `memcached.sess_…` settings.

use std::time::Duration;

use super::{
    Refusal,
    setting::{flag, number},
};
use crate::Ini;

/// Where php-memcached keeps sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemcachedPath {
    /// The servers, in PHP's order and by PHP's names for them.
    pub servers: Vec<MemcachedServer>,
    /// How keys are spread over them.
    pub hashing: MemcachedHashing,
    /// What keys begin with.
    pub prefix: String,
    /// How sessions are locked, if they are.
    pub lock: Option<MemcachedLock>,
    /// How long one attempt to connect may take, where PHP's settings say so.
    pub connect_timeout: Option<Duration>,
}

/// A server of php-memcached's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemcachedServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its share, which only [`MemcachedHashing::KetamaWeighted`] looks at.
    pub weight: u32,
}

/// How libmemcached spreads keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemcachedHashing {
    /// `sess_consistent_hash_type` `ketama`.
    Ketama,
    /// `sess_consistent_hash_type` `ketama_weighted`.
    KetamaWeighted,
    /// `sess_consistent_hash` off.
    Modulo,
}

/// How php-memcached locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemcachedLock {
    /// The longest pause between two tries.
    pub pause: Duration,
    /// How long PHP waits in all.
    pub wait: Duration,
    /// When a lock ends by itself, if it does.
    pub expire: Option<Duration>,
}

const PATH: &str = "session.save_path";

impl MemcachedPath {
    pub(super) fn parse(path: &str, ini: &Ini) -> Result<Self, Refusal> {
        refuse_what_is_not_kept(ini)?;
        if path.contains("PERSISTENT=") {
            return Err(Refusal::new(PATH, "PERSISTENT= is memcached.sess_persistent since 3.0"));
        }
        let servers = path.split(',').map(str::trim).filter(|server| !server.is_empty());
        let servers = servers.map(server).collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(Refusal::new(PATH, "there is no server"));
        }
        let prefix = ini.get("memcached.sess_prefix")?.unwrap_or("memc.sess.key.").to_owned();
        if prefix.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return Err(Refusal::new("memcached.sess_prefix", "it has blanks"));
        }
        let connect = number(ini, "memcached.sess_connect_timeout", 0)?;
        let connect = u64::try_from(connect).ok().filter(|millis| *millis > 0);
        Ok(Self {
            servers,
            hashing: hashing(ini)?,
            prefix,
            lock: flag(ini, "memcached.sess_locking", true)?.then(|| lock(ini)).transpose()?,
            connect_timeout: connect.map(Duration::from_millis),
        })
    }
}

/// What would put sessions where this side does not look for them.
fn refuse_what_is_not_kept(ini: &Ini) -> Result<(), Refusal> {
    for name in ["number_of_replicas", "remove_failed_servers", "server_failure_limit"] {
        let name = format!("memcached.sess_{name}");
        if flag(ini, &name, false)? {
            return Err(Refusal::new(name, "there is no store that keeps sessions so"));
        }
    }
    for name in ["memcached.sess_sasl_username", "memcached.sess_sasl_password"] {
        if ini.get(name)?.is_some_and(|value| !value.is_empty()) {
            return Err(Refusal::new(name, "the text protocol has no SASL"));
        }
    }
    Ok(())
}

/// `host`, `host:port`, `host:port:weight` or `host:port weight`.
fn server(text: &str) -> Result<MemcachedServer, Refusal> {
    let refuse = |reason| Refusal::new(PATH, reason);
    if text.starts_with('/') {
        return Err(refuse("there is no store on a Unix socket"));
    }
    let mut parts = text.split([':', ' ']).filter(|part| !part.is_empty());
    let host = parts.next().ok_or_else(|| refuse("a server has no name"))?;
    let port = parts.next().map_or(Ok(11_211), str::parse);
    let weight = parts.next().map_or(Ok(1), str::parse::<u32>);
    if parts.next().is_some() {
        return Err(refuse("a server has more than a name, a port and a weight"));
    }
    Ok(MemcachedServer {
        host: host.to_owned(),
        port: port.map_err(|_odd| refuse("a port is no number"))?,
        // libmemcached takes none for one.
        weight: weight.map_err(|_odd| refuse("a weight is no number"))?.max(1),
    })
}

fn hashing(ini: &Ini) -> Result<MemcachedHashing, Refusal> {
    const TYPE: &str = "memcached.sess_consistent_hash_type";
    if !flag(ini, "memcached.sess_consistent_hash", true)? {
        return Ok(MemcachedHashing::Modulo);
    }
    match ini.get(TYPE)?.unwrap_or("ketama") {
        "ketama" => Ok(MemcachedHashing::Ketama),
        "ketama_weighted" => Ok(MemcachedHashing::KetamaWeighted),
        _ => Err(Refusal::new(TYPE, "it is neither ketama nor ketama_weighted")),
    }
}

fn lock(ini: &Ini) -> Result<MemcachedLock, Refusal> {
    let millis = |name, default| -> Result<Duration, Refusal> {
        let millis = number(ini, name, default)?;
        Ok(Duration::from_millis(u64::try_from(millis).unwrap_or_default()))
    };
    let first = millis("memcached.sess_lock_wait_min", 150)?;
    let pause = millis("memcached.sess_lock_wait_max", 150)?.max(first);
    let retries = number(ini, "memcached.sess_lock_retries", 5)?;
    let mut left = u32::try_from(retries).unwrap_or_default();
    let (mut wait, mut next) = (Duration::ZERO, first);
    while left > 0 && next < pause {
        wait = wait.saturating_add(next);
        next = next.saturating_mul(2).max(Duration::from_millis(1));
        left -= 1;
    }
    let wait = wait.saturating_add(pause.saturating_mul(left));
    let expire = super::setting::lock_expire(ini, "memcached.sess_lock_expire")?;
    Ok(MemcachedLock { pause: pause.max(Duration::from_millis(1)), wait, expire })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str, pairs: &[(&str, &str)]) -> Result<MemcachedPath, Refusal> {
        MemcachedPath::parse(path, &pairs.iter().copied().collect())
    }

    #[test]
    fn without_settings_it_is_what_php_has_without_settings() {
        let found = parse("a", &[("max_execution_time", "0")]).unwrap();
        let server = MemcachedServer { host: "a".to_owned(), port: 11_211, weight: 1 };
        assert_eq!(found.servers, [server]);
        assert_eq!(found.hashing, MemcachedHashing::Ketama);
        assert_eq!(found.prefix, "memc.sess.key.");
        let lock = found.lock.unwrap();
        assert_eq!(lock.pause, Duration::from_millis(150));
        assert_eq!(lock.wait, Duration::from_millis(750));
        assert_eq!(lock.expire, None);
    }

    #[test]
    fn servers_have_ports_and_weights() {
        let found = parse("a:1, b:2:3 ,c:4 5", &[]).unwrap();
        let all: Vec<_> = found
            .servers
            .iter()
            .map(|server| (&*server.host, server.port, server.weight))
            .collect();
        assert_eq!(all, [("a", 1, 1), ("b", 2, 3), ("c", 4, 5)]);
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let settings = [
            ("memcached.sess_lock_wait_min", "10"),
            ("memcached.sess_lock_wait_max", "50"),
            ("memcached.sess_lock_retries", "5"),
        ];
        let lock = parse("a", &settings).unwrap().lock.unwrap();
        // 10, 20, 40, 50, 50
        assert_eq!(lock.wait, Duration::from_millis(170));
    }

    #[test]
    fn what_cannot_be_kept_is_refused_by_name() {
        for (name, value) in [
            ("memcached.sess_number_of_replicas", "1"),
            ("memcached.sess_remove_failed_servers", "1"),
            ("memcached.sess_sasl_username", "u"),
            ("memcached.sess_consistent_hash_type", "other"),
            ("memcached.sess_prefix", "a b"),
            ("memcached.sess_lock_retries", "many"),
        ] {
            assert_eq!(parse("a", &[(name, value)]).unwrap_err().parameter(), name);
        }
        for path in ["", " , ", "/tmp/socket", "PERSISTENT=x a:1", "a:b", "a:1:2:3", "a:1:x"] {
            assert_eq!(parse(path, &[]).unwrap_err().parameter(), PATH, "{path}");
        }
    }
}
