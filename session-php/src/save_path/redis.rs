//! The `save_path`s of phpredis, and its `redis.session.…` settings.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{
    Refusal,
    setting::{flag, lock_expire, number},
};
use crate::Ini;

const PATH: &str = "session.save_path";

/// Where phpredis keeps sessions, on one server or several.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisPath {
    /// The servers, in PHP's order.
    pub servers: Vec<RedisServer>,
    /// How sessions are locked, if they are.
    pub lock: Option<RedisLock>,
}

/// Where phpredis keeps sessions on a cluster. It does not lock there, whatever is set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisClusterPath {
    /// Nodes of it.
    pub seeds: Vec<(String, u16)>,
    /// What all nodes have in common.
    pub access: RedisAccess,
}

/// One of phpredis' servers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisServer {
    /// Where it is.
    pub address: RedisAddress,
    /// Its share of the sessions.
    pub weight: u32,
    /// The number of its database, where one is chosen.
    pub database: Option<u32>,
    /// How it is used.
    pub access: RedisAccess,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisAddress {
    /// A host and a port.
    Tcp(String, u16),
    /// The same, encrypted.
    Tls(String, u16),
    /// A socket on this machine.
    Unix(String),
}

/// How a server or a cluster is used. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisAccess {
    /// What keys begin with.
    pub prefix: String,
    /// The user, with servers that have several.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// How long an attempt to connect may take, where PHP bounds it.
    pub timeout: Option<Duration>,
    /// How long an answer may take, where PHP bounds it.
    pub read_timeout: Option<Duration>,
}

impl fmt::Debug for RedisAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisAccess")
            .field("prefix", &self.prefix)
            .field("user", &self.user)
            .field("has_password", &self.password.is_some())
            .field("timeout", &self.timeout)
            .field("read_timeout", &self.read_timeout)
            .finish()
    }
}

/// How phpredis locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisLock {
    /// The pause between two tries.
    pub pause: Duration,
    /// How long PHP waits in all; none for ever.
    pub wait: Option<Duration>,
    /// When a lock ends by itself, if it does.
    pub expire: Option<Duration>,
}

impl RedisPath {
    pub(super) fn parse(path: &str, ini: &Ini) -> Result<Self, Refusal> {
        refuse_compression(ini)?;
        let blank = |c: char| c == ',' || c.is_ascii_whitespace();
        let urls = path.split(blank).filter(|url| !url.is_empty());
        let servers = urls.map(server).collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(refuse("there is no server"));
        }
        let locks = flag(ini, "redis.session.locking_enabled", false)?;
        Ok(Self { servers, lock: locks.then(|| lock(ini)).transpose()? })
    }
}

impl RedisClusterPath {
    pub(super) fn parse(path: &str, ini: &Ini) -> Result<Self, Refusal> {
        refuse_compression(ini)?;
        let mut query = Query::parse(path)?;
        let seeds = query.all("seed").into_iter().map(|seed| host_and_port(&seed));
        let seeds = seeds.collect::<Result<Vec<_>, _>>()?;
        if seeds.is_empty() {
            return Err(Refusal::new("seed", "there is none"));
        }
        // Replicas answer reads then; this side asks primaries.
        query.one("failover");
        let access = query.access("PHPREDIS_CLUSTER_SESSION:")?;
        query.end()?;
        Ok(Self { seeds, access })
    }
}

fn refuse(reason: &str) -> Refusal {
    Refusal::new(PATH, reason)
}

fn refuse_compression(ini: &Ini) -> Result<(), Refusal> {
    const NAME: &str = "redis.session.compression";
    let value = ini.get(NAME)?.unwrap_or("none");
    if value.is_empty() || value.eq_ignore_ascii_case("none") {
        return Ok(());
    }
    Err(Refusal::new(NAME, "no store here reads compressed sessions"))
}

fn lock(ini: &Ini) -> Result<RedisLock, Refusal> {
    let or = |number, default| if number == 0 { default } else { number };
    let pause = or(number(ini, "redis.session.lock_wait_time", 0)?, 20_000);
    let pause = Duration::from_micros(u64::try_from(pause).unwrap_or(20_000));
    let retries = or(number(ini, "redis.session.lock_retries", 0)?, 100);
    let wait = u32::try_from(retries).ok().map(|retries| pause.saturating_mul(retries));
    let expire = lock_expire(ini, "redis.session.lock_expire")?;
    Ok(RedisLock { pause, wait, expire })
}

/// `scheme://host:port?query`, `unix:/path?query` or `host:port`.
fn server(url: &str) -> Result<RedisServer, Refusal> {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let mut query = Query::parse(query)?;
    let address = match place.split_once(':') {
        Some(("unix" | "file", path)) => {
            RedisAddress::Unix(format!("/{}", path.trim_start_matches('/')))
        }
        _ => {
            let (scheme, host) = place.split_once("://").unwrap_or(("tcp", place));
            let (host, port) = host_and_port(host)?;
            match scheme {
                "tcp" => RedisAddress::Tcp(host, port),
                "tls" | "ssl" => RedisAddress::Tls(host, port),
                _ => return Err(refuse("the scheme is not tcp, tls, ssl or unix")),
            }
        }
    };
    let weight = query.number("weight")?.unwrap_or(1);
    let weight = u32::try_from(weight).ok().filter(|weight| *weight > 0);
    let database = query.number("database")?.unwrap_or(-1);
    let access = query.access("PHPREDIS_SESSION:")?;
    query.end()?;
    let weight = weight.ok_or_else(|| Refusal::new("weight", "it begins with 1"))?;
    Ok(RedisServer { address, weight, database: u32::try_from(database).ok(), access })
}

fn host_and_port(text: &str) -> Result<(String, u16), Refusal> {
    let text = text.trim_end_matches('/');
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(|| refuse("a bracket is open"))?;
            (host, port.strip_prefix(':').unwrap_or(port))
        }
        None => text.rsplit_once(':').unwrap_or((text, "")),
    };
    if host.is_empty() || host.contains(['@', '/']) {
        return Err(refuse("a server has no host"));
    }
    let port = if port.is_empty() { Ok(6_379) } else { port.parse() };
    Ok((host.to_owned(), port.map_err(|_odd| refuse("a port is no number"))?))
}

/// Parameters as PHP reads them: those of one name in their order, each with what stands in its
/// brackets.
struct Query(BTreeMap<String, Vec<(String, String)>>);

impl Query {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let mut all: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            let (name, inside) = name.split_once('[').unwrap_or((&name, ""));
            let inside = inside.trim_end_matches(']').to_owned();
            all.entry(name.to_owned()).or_default().push((inside, value));
        }
        Ok(Self(all))
    }

    fn all(&mut self, name: &str) -> Vec<String> {
        self.0.remove(name).unwrap_or_default().into_iter().map(|(_, value)| value).collect()
    }

    fn one(&mut self, name: &str) -> Option<String> {
        self.all(name).pop()
    }

    fn number(&mut self, name: &str) -> Result<Option<i64>, Refusal> {
        let text = self.one(name).map(|text| text.parse());
        text.transpose().map_err(|_odd| Refusal::new(name, "it is no whole number"))
    }

    fn seconds(&mut self, name: &str) -> Result<Option<Duration>, Refusal> {
        let Some(text) = self.one(name) else { return Ok(None) };
        let seconds =
            text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let seconds = seconds.ok_or_else(|| Refusal::new(name, "it is no time in seconds"))?;
        Ok(Some(seconds).filter(|seconds| !seconds.is_zero()))
    }

    fn access(&mut self, prefix: &str) -> Result<RedisAccess, Refusal> {
        // These concern PHP's own connections only.
        for name in ["persistent", "persistent_id", "retry_interval"] {
            self.one(name);
        }
        let mut auth = self.0.remove("auth").unwrap_or_default();
        let mut named = |name: &str| {
            let at = auth.iter().position(|(inside, _)| inside == name)?;
            Some(auth.remove(at).1)
        };
        let (user, password) = (named("user"), named("pass"));
        let (user, password) = match auth.as_slice() {
            [] => (user, password),
            [(_, password)] => (None, Some(password.clone())),
            [(_, user), (_, password), ..] => (Some(user.clone()), Some(password.clone())),
        };
        Ok(RedisAccess {
            prefix: self.one("prefix").unwrap_or_else(|| prefix.to_owned()),
            user,
            password,
            timeout: self.seconds("timeout")?,
            read_timeout: self.seconds("read_timeout")?,
        })
    }

    /// What nobody has asked for.
    fn end(self) -> Result<(), Refusal> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(Refusal::new(name, "there is no store that honours it")),
        }
    }
}

/// As PHP's `urldecode`.
fn decoded(text: &str) -> Result<String, Refusal> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let mut ahead = bytes.clone();
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                out.extend(u8::try_from(high * 16 + low));
                bytes = ahead;
            }
            (b'+', ..) => out.push(b' '),
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).map_err(|_odd| refuse("a parameter is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str, pairs: &[(&str, &str)]) -> Result<RedisPath, Refusal> {
        RedisPath::parse(path, &pairs.iter().copied().collect())
    }

    fn one(path: &str) -> RedisServer {
        parse(path, &[]).unwrap().servers.remove(0)
    }

    #[test]
    fn an_address_has_many_forms() {
        let tcp = |host: &str, port| RedisAddress::Tcp(host.to_owned(), port);
        assert_eq!(one("tcp://a").address, tcp("a", 6_379));
        assert_eq!(one("a:1").address, tcp("a", 1));
        assert_eq!(one("tcp://[::1]:2?weight=1").address, tcp("::1", 2));
        assert_eq!(one("tls://a:1").address, RedisAddress::Tls("a".to_owned(), 1));
        let socket = RedisAddress::Unix("/run/redis.sock".to_owned());
        assert_eq!(one("unix:///run/redis.sock?database=2").address, socket);
        assert_eq!(one("unix:/run/redis.sock").address, socket);
    }

    #[test]
    fn parameters_are_those_of_each_server() {
        let path = "tcp://a?weight=2&database=3&prefix=x%2C%3A&timeout=2.5, tcp://b?auth=se%23cret";
        let found = parse(path, &[]).unwrap();
        let [a, b] = &*found.servers else { panic!("{found:?}") };
        assert_eq!((a.weight, a.database, &*a.access.prefix), (2, Some(3), "x,:"));
        assert_eq!(a.access.timeout, Some(Duration::from_millis(2_500)));
        assert_eq!((b.weight, b.database, &*b.access.prefix), (1, None, "PHPREDIS_SESSION:"));
        assert_eq!(b.access.password.as_deref(), Some("se#cret"));
        assert!(!format!("{found:?}").contains("cret"));
    }

    #[test]
    fn a_user_comes_in_two_forms() {
        for query in ["auth[]=ada&auth[]=pw", "auth[user]=ada&auth[pass]=pw"] {
            let access = one(&format!("tcp://a?{query}")).access;
            assert_eq!(
                (access.user.as_deref(), access.password.as_deref()),
                (Some("ada"), Some("pw"))
            );
        }
    }

    #[test]
    fn a_lock_has_phps_defaults() {
        assert_eq!(parse("a:1", &[]).unwrap().lock, None);
        let on = ("redis.session.locking_enabled", "1");
        let lock = parse("a:1", &[on]).unwrap().lock.unwrap();
        assert_eq!(
            (lock.pause, lock.wait),
            (Duration::from_millis(20), Some(Duration::from_secs(2)))
        );
        assert_eq!(lock.expire, Some(Duration::from_secs(30)));
        let more = [
            on,
            ("redis.session.lock_retries", "-1"),
            ("redis.session.lock_expire", "9"),
            ("redis.session.lock_wait_time", "500"),
        ];
        let lock = parse("a:1", &more).unwrap().lock.unwrap();
        assert_eq!((lock.pause, lock.wait), (Duration::from_micros(500), None));
        assert_eq!(lock.expire, Some(Duration::from_secs(9)));
    }

    #[test]
    fn a_cluster_is_one_query() {
        let path = "seed[]=a:1&seed[]=b:2&timeout=2&failover=error&prefix={app}:&auth=pw";
        let found = RedisClusterPath::parse(path, &Ini::default()).unwrap();
        assert_eq!(found.seeds, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        assert_eq!(found.access.prefix, "{app}:");
        assert_eq!(found.access.password.as_deref(), Some("pw"));
        let refused = RedisClusterPath::parse("timeout=2", &Ini::default()).unwrap_err();
        assert_eq!(refused.parameter(), "seed");
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for (path, name) in [
            ("", PATH),
            ("http://a", PATH),
            ("tcp://a:x", PATH),
            ("tcp://a?weight=0", "weight"),
            ("tcp://a?weight=much", "weight"),
            ("tcp://a?timeout=-1", "timeout"),
            ("tls://a?stream[verify_peer]=0", "stream"),
            ("tcp://a?colour=red", "colour"),
        ] {
            assert_eq!(parse(path, &[]).unwrap_err().parameter(), name, "{path}");
        }
        let compressed = [("redis.session.compression", "lzf")];
        let refused = parse("a:1", &compressed).unwrap_err();
        assert_eq!(refused.parameter(), "redis.session.compression");
    }
}
