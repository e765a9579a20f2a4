//! The settings of a store, and their form as a URL.

use std::{fmt, time::Duration};

use session_core::{
    Capabilities, Error, ErrorKind, Operation, Result,
    settings::{self, Setting, duration},
};

use crate::{
    BACKEND,
    servers::{Endpoint, Protocol, Servers, Tls},
    url,
};

/// The limits of every time span.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(3_600);

/// The largest `max_payload`: half of what a server takes, since a script holds a value twice.
const PAYLOAD_LIMIT: usize = 1 << 28;

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
    /// How many replicas must have acknowledged a write before it counts as done. Default: 0,
    /// which asks none: a write that was just acknowledged may be lost with the primary. One that
    /// too few acknowledge is an [`Unavailable`](ErrorKind::Unavailable) error with
    /// [`maybe_applied`](Error::maybe_applied).
    pub wait_replicas: u32,
    /// How long to wait for these replicas. Default: 500 ms.
    pub wait_timeout: Duration,
    /// How far behind a replica may be. Default: zero, which asks no replica. Reads that allow
    /// answers of this age may then be answered by replicas. It is your word for it: how far
    /// behind a replica is cannot be seen at each read, so watch the lag that the servers report.
    pub replica_staleness: Duration,
    /// Where replicas answer. Default: none. Sentinels and clusters name replicas themselves.
    pub reader: Option<Endpoint>,
}

impl RedisConfig {
    /// The schemes that [`from_url`](Self::from_url) takes.
    pub const URL_SCHEMES: &'static [&'static str] = &[
        "redis",
        "rediss",
        "redis+unix",
        "redis+cluster",
        "rediss+cluster",
        "redis+sentinel",
        "rediss+sentinel",
        "valkey",
        "valkeys",
        "valkey+unix",
        "valkey+cluster",
        "valkeys+cluster",
        "valkey+sentinel",
        "valkeys+sentinel",
        "unix",
    ];

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

    /// Reads a URL like `rediss://user:password@host:6379/0?session.timeout=2s`.
    ///
    /// | URL | servers |
    /// | --- | --- |
    /// | `redis://host:port/db` | one server, or a name that leads to the primary |
    /// | `redis+unix:///path?db=0` | one server on this machine |
    /// | `redis+cluster://host1,host2:port` | a cluster, of which these nodes are known |
    /// | `redis+sentinel://host1,host2:port/service/db` | the primary that these Sentinels name |
    ///
    /// `rediss` encrypts; `valkey` and `valkeys` are the same as `redis` and `rediss`. All take
    /// `user:password@` before the host; what is special in a URL is percent-encoded there.
    ///
    /// | key | value | default |
    /// | --- | --- | --- |
    /// | `session.prefix` | what names of keys begin with | `session:` |
    /// | `session.timeout` | time for one operation, like `500ms` or `5s` | `5s` |
    /// | `session.connect_timeout` | time for one attempt to connect | `1s` |
    /// | `session.response_timeout` | time for one answer | `1s` |
    /// | `session.max_payload` | bytes | `1048576` |
    /// | `session.max_waiters` | waiters for one lock | `64` |
    /// | `session.client_name` | name in `CLIENT LIST` | none |
    /// | `session.tls_ca` | PEM file with the authorities to trust | those of the system |
    /// | `session.tls_insecure` | `true` takes any certificate; for tests only | `false` |
    /// | `session.wait_replicas` | replicas that must acknowledge a write | `0` |
    /// | `session.wait_timeout` | time to wait for them | `500ms` |
    /// | `session.replica_staleness` | how far replicas may be behind | `0s`: none asked |
    /// | `session.reader` | `host:port` where replicas answer | what Sentinels or a cluster name |
    /// | `session.sentinel_user` | user of the Sentinels | none |
    /// | `session.sentinel_password` | password at the Sentinels | none |
    /// | `protocol` | `resp3`, or `resp2` without messages about released locks | `resp3` |
    /// | `db` | number of the database, for `redis+unix` | `0` |
    /// | `user` | user, for `redis+unix` | none |
    /// | `pass` | password, for `redis+unix` | none |
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config), which names the key at fault but never a value.
    pub fn from_url(url: &str) -> Result<Self> {
        let (mut config, query) = url::split(url).map_err(wrong)?;
        settings::read(BACKEND, SETTINGS, query, &mut config)?;
        config.check()?;
        Ok(config)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let demands = self.demands().into_iter().chain(self.demands_of_servers());
        demands.into_iter().find(|(met, _)| !met).map_or(Ok(()), |(_, demand)| Err(wrong(demand)))
    }

    fn demands(&self) -> [(bool, &'static str); 11] {
        let bounded = |time: Duration| (SHORTEST..=LONGEST).contains(&time);
        let times = [self.connect_timeout, self.response_timeout, self.timeout];
        let name = self.client_name.as_deref().unwrap_or("-");
        let waits = self.wait_replicas > 0;
        [
            (self.prefix.len() <= 128, "the prefix is limited to 128 bytes"),
            (!self.prefix.contains(['{', '}']), "the prefix must have no { and no }"),
            (times.into_iter().all(bounded), "timeouts are 1 ms to 1 hour"),
            (self.timeout >= self.response_timeout, "timeout must not be below response_timeout"),
            (self.timeout >= self.connect_timeout, "timeout must not be below connect_timeout"),
            (self.max_payload <= PAYLOAD_LIMIT, "payloads are limited to 256 MiB"),
            (self.max_waiters >= 1, "one waiter at least must be allowed"),
            (
                (1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic()),
                "a client name is 1 to 128 printable ASCII characters without spaces",
            ),
            (self.wait_replicas <= 100, "no more than 100 replicas can be waited for"),
            (
                !waits || (SHORTEST..=self.response_timeout).contains(&self.wait_timeout),
                "wait_timeout is 1 ms to response_timeout",
            ),
            (self.replica_staleness <= LONGEST, "replica_staleness is 1 hour at most"),
        ]
    }

    fn demands_of_servers(&self) -> [(bool, &'static str); 9] {
        let (one, sentinel) = match &self.servers {
            Servers::One(_) => (true, false),
            Servers::Sentinel { .. } => (false, true),
            Servers::Unix(_) | Servers::Cluster(_) => (false, false),
        };
        let cluster = matches!(self.servers, Servers::Cluster(_));
        let unix = matches!(self.servers, Servers::Unix(_));
        let replicas = !self.replica_staleness.is_zero();
        let sentinel_login = self.sentinel_user.is_some() || self.sentinel_password.is_some();
        [
            (self.servers.are_plausible(), "a server needs a host name or address, and a port"),
            (self.user.is_none() || self.password.is_some(), "a user needs a password"),
            (
                self.sentinel_user.is_none() || self.sentinel_password.is_some(),
                "the user of the Sentinels needs a password",
            ),
            (sentinel || !sentinel_login, "only Sentinels have sentinel_user, sentinel_password"),
            (!cluster || self.database == 0, "a cluster has no database but 0"),
            (!unix || self.tls == Tls::Off, "a Unix socket is not encrypted"),
            (
                self.reader.is_none() || one || sentinel,
                "only one server and Sentinels can have a reader; a cluster tells its replicas",
            ),
            (self.reader.is_none() || replicas, "a reader needs a replica_staleness"),
            (
                !replicas || cluster || sentinel || self.reader.is_some(),
                "replica_staleness needs a reader, Sentinels or a cluster",
            ),
        ]
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

const TIME: &str = "a time like 500ms or 5s";
const TEXT: &str = "a value";

const SETTINGS: &[Setting<RedisConfig>] = &[
    Setting::new("session.prefix", "a text", |config, value| {
        config.prefix = value.to_owned();
        Some(())
    }),
    Setting::new("session.timeout", TIME, |config, value| {
        duration(value).map(|time| config.timeout = time)
    }),
    Setting::new("session.connect_timeout", TIME, |config, value| {
        duration(value).map(|time| config.connect_timeout = time)
    }),
    Setting::new("session.response_timeout", TIME, |config, value| {
        duration(value).map(|time| config.response_timeout = time)
    }),
    Setting::new("session.max_payload", "a number of bytes", |config, value| {
        value.parse().ok().map(|number| config.max_payload = number)
    }),
    Setting::new("session.max_waiters", "a number", |config, value| {
        value.parse().ok().map(|number| config.max_waiters = number)
    }),
    Setting::new("session.client_name", TEXT, |config, value| {
        text(value).map(|text| config.client_name = Some(text))
    }),
    Setting::new("session.tls_ca", "a path, TLS, and no session.tls_insecure", |config, value| {
        let path = text(value)?;
        (config.tls == Tls::On).then(|| config.tls = Tls::Ca(path.into()))
    }),
    Setting::new(
        "session.tls_insecure",
        "true or false, TLS, and no session.tls_ca",
        |config, value| {
            let insecure: bool = value.parse().ok()?;
            (config.tls == Tls::On).then_some(())?;
            config.tls = if insecure { Tls::Insecure } else { Tls::On };
            Some(())
        },
    ),
    Setting::new("session.wait_replicas", "a number", |config, value| {
        value.parse().ok().map(|number| config.wait_replicas = number)
    }),
    Setting::new("session.wait_timeout", TIME, |config, value| {
        duration(value).map(|time| config.wait_timeout = time)
    }),
    Setting::new("session.replica_staleness", TIME, |config, value| {
        duration(value).map(|time| config.replica_staleness = time)
    }),
    Setting::new("session.reader", "host or host:port", |config, value| {
        url::endpoint(value, Endpoint::PORT).map(|endpoint| config.reader = Some(endpoint))
    }),
    Setting::new("session.sentinel_user", TEXT, |config, value| {
        text(value).map(|text| config.sentinel_user = Some(text))
    }),
    Setting::new("session.sentinel_password", TEXT, |config, value| {
        text(value).map(|text| config.sentinel_password = Some(text))
    }),
    Setting::new("protocol", "resp2 or resp3", |config, value| {
        protocol(value).map(|protocol| config.protocol = protocol)
    }),
    Setting::new("db", "a number, and redis+unix", |config, value| {
        unix(config)?;
        value.parse().ok().map(|number| config.database = number)
    }),
    Setting::new("user", "a value, and redis+unix", |config, value| {
        unix(config)?;
        text(value).map(|text| config.user = Some(text))
    }),
    Setting::new("pass", "a value, and redis+unix", |config, value| {
        unix(config)?;
        text(value).map(|text| config.password = Some(text))
    }),
];

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn protocol(value: &str) -> Option<Protocol> {
    match value {
        "2" | "resp2" => Some(Protocol::Resp2),
        "3" | "resp3" => Some(Protocol::Resp3),
        _ => None,
    }
}

/// Other URLs say it before the host or in the path.
fn unix(config: &RedisConfig) -> Option<()> {
    matches!(config.servers, Servers::Unix(_)).then_some(())
}

fn wrong(detail: &str) -> Error {
    Error::new(ErrorKind::Config, BACKEND, Operation::Open).with_detail(detail)
}

#[cfg(test)]
mod tests;
