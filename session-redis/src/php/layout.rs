//! Where phpredis keeps a session, as plain data.

use std::{fmt, time::Duration};

use session_core::{Error, ErrorKind, Operation, Result};

use crate::{BACKEND, RedisConfig, Servers};

/// The layout of phpredis' sessions, as its settings decide it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhpLayout {
    /// The servers, in PHP's order: the first bytes of a session's id decide which one has it.
    /// A cluster is one of them, and the only one.
    pub servers: Vec<PhpServer>,
    /// How sessions are locked; `None` where PHP does not lock, as on a cluster.
    pub lock: Option<PhpLock>,
}

impl PhpLayout {
    /// One server or a cluster, without locks.
    #[must_use]
    pub fn new(server: PhpServer) -> Self {
        Self { servers: vec![server], lock: None }
    }

    /// With locks.
    #[must_use]
    pub fn with_lock(mut self, lock: PhpLock) -> Self {
        self.lock = Some(lock);
        self
    }

    /// With one more server after the others.
    #[must_use]
    pub fn with_server(mut self, server: PhpServer) -> Self {
        self.servers.push(server);
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let clusters = self.servers.iter().filter(|server| server.is_cluster()).count();
        let pause = self.lock.as_ref().map_or(PhpLock::PAUSE, |lock| lock.pause);
        let suffix = self.lock.as_ref().map_or(PhpLock::SUFFIX, |lock| &lock.suffix);
        let demands = [
            (!self.servers.is_empty(), "there must be a server"),
            (self.servers.iter().all(|server| server.weight > 0), "weights begin with 1"),
            (clusters == 0 || self.servers.len() == 1, "a cluster stands alone"),
            (clusters == 0 || self.lock.is_none(), "phpredis does not lock on a cluster"),
            (!suffix.is_empty(), "the name of a lock must differ from that of its session"),
            (!pause.is_zero(), "without a pause, waiters would leave a server no rest"),
        ];
        if let Some((_, demand)) = demands.into_iter().find(|(met, _)| !met) {
            return Err(Error::new(ErrorKind::Config, BACKEND, Operation::Open).with_detail(demand));
        }
        self.servers.iter().try_for_each(|server| server.redis.check())
    }

    /// Which of the servers has the session of this id; none where phpredis would read past the
    /// id's end.
    pub(super) fn place(&self, id: &[u8]) -> Option<usize> {
        if self.servers.len() == 1 {
            return Some(0);
        }
        let weights = || self.servers.iter().map(|server| u64::from(server.weight));
        let first = u32::from_le_bytes(*id.first_chunk()?);
        let mut position = u64::from(first).checked_rem(weights().sum())?;
        // From the last to the first, as phpredis links its list.
        weights().enumerate().rev().find_map(|(at, weight)| match position.checked_sub(weight) {
            Some(rest) => {
                position = rest;
                None
            }
            None => Some(at),
        })
    }
}

/// One server, or one cluster.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhpServer {
    /// The way to it. Its `prefix` does not count here, and its limits are those of the first server.
    pub redis: RedisConfig,
    /// What the names of keys begin with. Default: what phpredis sets, which is another one for a
    /// cluster.
    pub prefix: Vec<u8>,
    /// Its share of the sessions. Default: 1.
    pub weight: u32,
}

impl PhpServer {
    /// What names of keys begin with on a server.
    pub const PREFIX: &'static str = "PHPREDIS_SESSION:";
    /// What names of keys begin with on a cluster.
    pub const CLUSTER_PREFIX: &'static str = "PHPREDIS_CLUSTER_SESSION:";

    /// A server or a cluster as phpredis uses it without further settings.
    #[must_use]
    pub fn new(redis: RedisConfig) -> Self {
        let is_cluster = matches!(redis.servers, Servers::Cluster(_));
        let prefix = if is_cluster { Self::CLUSTER_PREFIX } else { Self::PREFIX };
        Self { redis, prefix: prefix.into(), weight: 1 }
    }

    /// With keys whose names begin with this.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<Vec<u8>>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// With this share of the sessions.
    #[must_use]
    pub const fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    const fn is_cluster(&self) -> bool {
        matches!(self.redis.servers, Servers::Cluster(_))
    }
}

impl fmt::Debug for PhpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhpServer")
            .field("redis", &self.redis)
            .field("prefix", &self.prefix.escape_ascii().to_string())
            .field("weight", &self.weight)
            .finish()
    }
}

/// How phpredis locks a session: by a key beside it, whose value is the holder's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhpLock {
    /// What follows the session's name in the name of its lock. Default: `_LOCK`.
    pub suffix: String,
    /// The longest pause between two tries. phpredis pauses for exactly as long each time; here it is
    /// the limit of random pauses. Default: 20 ms, as from version 6 on (2 ms before).
    pub pause: Duration,
}

impl PhpLock {
    const SUFFIX: &'static str = "_LOCK";
    const PAUSE: Duration = Duration::from_millis(20);

    /// As phpredis locks without further settings.
    #[must_use]
    pub fn new() -> Self {
        Self { suffix: Self::SUFFIX.to_owned(), pause: Self::PAUSE }
    }

    /// With this pause.
    #[must_use]
    pub const fn with_pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
}

impl Default for PhpLock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;

    fn server(weight: u32) -> PhpServer {
        let at = Endpoint::new("localhost", Endpoint::PORT);
        PhpServer::new(RedisConfig::new(Servers::One(at))).with_weight(weight)
    }

    fn cluster() -> PhpServer {
        let at = Endpoint::new("localhost", Endpoint::PORT);
        PhpServer::new(RedisConfig::new(Servers::Cluster(vec![at])))
    }

    #[test]
    fn the_first_four_bytes_choose_from_the_last_server_to_the_first() {
        let layout = PhpLayout::new(server(1)).with_server(server(2)).with_server(server(3));
        // 0x31303030 mod 6 is 4; the third server has 0 to 2, the second 3 and 4, the first 5.
        assert_eq!(layout.place(b"0001x"), Some(1));
        assert_eq!(layout.place(b"0001y"), Some(1));
        let mut shares = [0; 3];
        for n in 0..6_u8 {
            shares[layout.place(&[n, 0, 0, 0]).unwrap()] += 1;
        }
        assert_eq!(shares, [1, 2, 3]);
        assert_eq!(layout.place(b"abc"), None);
        assert_eq!(PhpLayout::new(server(1)).place(b"abc"), Some(0));
    }

    #[test]
    fn a_layout_that_phpredis_has_not_is_refused() {
        let layouts = [
            PhpLayout { servers: Vec::new(), lock: None },
            PhpLayout::new(server(0)),
            PhpLayout::new(cluster()).with_server(server(1)),
            PhpLayout::new(cluster()).with_lock(PhpLock::new()),
            PhpLayout::new(server(1)).with_lock(PhpLock::new().with_pause(Duration::ZERO)),
        ];
        for layout in layouts {
            assert_eq!(layout.check().unwrap_err().kind(), ErrorKind::Config, "{layout:?}");
        }
        PhpLayout::new(cluster()).check().unwrap();
        PhpLayout::new(server(1)).with_lock(PhpLock::new()).check().unwrap();
    }
}
