//! The settings of a store, and their form as a URL.

use std::{fmt, time::Duration};

use session_core::{Capabilities, Error, ErrorKind, Operation, Result};

use crate::{
    BACKEND,
    servers::{Endpoint, Protocol, Servers, Tls},
};

/// The settings of a [`RedisStore`](crate::RedisStore).
///
/// `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisConfig {
    /// Where the sessions are.
    pub servers: Servers,
    /// Whether the connections are encrypted, those to Sentinels too. Default: [`Tls::Off`].
    pub tls: Tls,
    /// The user of the servers. Default: none, which is the user `default`.
    pub user: Option<String>,
    /// The password at the servers. Default: none.
    pub password: Option<String>,
    /// The user of the Sentinels. Default: none.
    pub sentinel_user: Option<String>,
    /// The password at the Sentinels. Default: none.
    pub sentinel_password: Option<String>,
    /// The number of the database. Default: 0. A cluster has no other.
    pub database: u32,
    /// The version of the protocol. Default: [`Protocol::Resp3`].
    pub protocol: Protocol,
    /// What the names of keys and channels begin with. Default: `session:`. It must have no `{`
    /// and no `}`: what stands in braces decides about a cluster's slot, so all sessions would
    /// end up on one node.
    pub prefix: String,
    /// What the connections are called in the server's `CLIENT LIST`. Default: none.
    pub client_name: Option<String>,
    /// How long one attempt to connect may take. Default: 1 s, which lets one lost packet be
    /// sent again.
    pub connect_timeout: Duration,
    /// How long a server may take to answer before the connection counts as broken. Default:
    /// 1 s: slow enough for a server that writes a snapshot, quick enough to try again within
    /// `timeout`.
    pub response_timeout: Duration,
    /// How long one operation may take, with everything that is tried again. Default: 5 s, enough
    /// for a failover that takes 4 s. Time spent waiting for a session's lock does not count.
    pub timeout: Duration,
    /// The largest payload in bytes. Default: 1 MiB.
    pub max_payload: usize,
    /// The most waiters for one lock in one process. Default: 64.
    pub max_waiters: usize,
    /// How many replicas must have acknowledged a commit before it counts as done. Default: 0,
    /// which asks none: a commit that was just acknowledged is lost when the primary is.
    pub wait_replicas: u32,
    /// How long to wait for these replicas. Default: 500 ms.
    pub wait_timeout: Duration,
    /// How old the answer of a replica may be. Default: zero, which asks no replica. Requests that
    /// only read and allow answers of this age may then be answered by replicas.
    pub replica_staleness: Duration,
    /// Where replicas answer. Default: none; Sentinels and clusters tell.
    pub reader: Option<Endpoint>,
}

impl RedisConfig {
    /// The default settings for these servers.
    #[must_use]
    pub fn new(servers: Servers) -> Self {
        let defaults = Capabilities::new(BACKEND);
        Self {
            servers,
            tls: Tls::default(),
            user: None,
            password: None,
            sentinel_user: None,
            sentinel_password: None,
            database: 0,
            protocol: Protocol::default(),
            prefix: "session:".to_owned(),
            client_name: None,
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            max_payload: defaults.max_payload,
            max_waiters: defaults.max_waiters,
            wait_replicas: 0,
            wait_timeout: Duration::from_millis(500),
            replica_staleness: Duration::ZERO,
            reader: None,
        }
    }

    /// Reads a URL.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config), which names the key at fault but never a value.
    pub fn from_url(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("redis://").ok_or_else(|| wrong("the URL is not redis://"))?;
        let rest = rest.split(['/', '?']).next().unwrap_or(rest);
        let (host, port) = rest.split_once(':').unwrap_or((rest, "6379"));
        let port = port.parse().map_err(|_: std::num::ParseIntError| wrong("the port is wrong"))?;
        Ok(Self::new(Servers::One(Endpoint::new(host, port))))
    }
}

/// What stands in place of a password.
struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("servers", &self.servers)
            .field("tls", &self.tls)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| Hidden))
            .field("sentinel_user", &self.sentinel_user)
            .field("sentinel_password", &self.sentinel_password.as_ref().map(|_| Hidden))
            .field("database", &self.database)
            .field("protocol", &self.protocol)
            .field("prefix", &self.prefix)
            .field("client_name", &self.client_name)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("timeout", &self.timeout)
            .field("max_payload", &self.max_payload)
            .field("max_waiters", &self.max_waiters)
            .field("wait_replicas", &self.wait_replicas)
            .field("wait_timeout", &self.wait_timeout)
            .field("replica_staleness", &self.replica_staleness)
            .field("reader", &self.reader)
            .finish()
    }
}

fn wrong(detail: &str) -> Error {
    Error::new(ErrorKind::Config, BACKEND, Operation::Open).with_detail(detail)
}
