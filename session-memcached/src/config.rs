//! The settings of a store, and their form as a URL.

use std::{fmt, time::Duration};

use session_core::{
    Capabilities, Error, ErrorKind, Operation, Result,
    settings::{self, Setting, duration},
};

use crate::{
    BACKEND,
    servers::{Endpoint, Failover, Hashing, Protocol, Tls},
    url,
};

/// The limits of every time span.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(3_600);

/// The settings of a [`MemcachedStore`](crate::MemcachedStore).
///
/// `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemcachedConfig {
    /// Where the sessions are. All servers of the application need the same list.
    pub servers: Vec<Endpoint>,
    /// Which of several servers has a session. Default: [`Hashing::KetamaWeighted`].
    pub hashing: Hashing,
    /// What is done about the sessions of a server that cannot be reached. Default:
    /// [`Failover::None`].
    pub failover: Failover,
    /// Whether the connections are encrypted. Default: [`Tls::Off`].
    pub tls: Tls,
    /// The user, for servers that ask for one (`memcached -Y`). Default: none.
    pub user: Option<String>,
    /// The password. Default: none.
    pub password: Option<String>,
    /// Which protocol is spoken. Default: [`Protocol::Newest`].
    pub protocol: Protocol,
    /// What keys begin with. Default: `session:`. It does not decide which server has a session.
    pub prefix: String,
    /// How many connections there are to each server. Default: 1. A session always goes over the
    /// same one.
    pub connections: usize,
    /// How long one attempt to connect may take. Default: 1 s, which lets one lost packet be
    /// sent again.
    pub connect_timeout: Duration,
    /// How long a server may be silent before the connection counts as broken. Default: 1 s.
    pub response_timeout: Duration,
    /// How long one operation may take, with everything that is tried again. Default: 5 s. Time
    /// spent waiting for a session's lock does not count.
    pub timeout: Duration,
    /// The largest payload in bytes. Default: 1,000,000. What the servers do not take (`memcached
    /// -I`) lowers it.
    pub max_payload: usize,
    /// The most waiters for one lock in one process. Default: 64.
    pub max_waiters: usize,
}

impl MemcachedConfig {
    /// The schemes that [`from_url`](Self::from_url) takes.
    pub const URL_SCHEMES: &'static [&'static str] = &["memcached", "memcacheds"];

    /// The default settings for these servers.
    #[must_use]
    pub fn new(servers: impl Into<Vec<Endpoint>>) -> Self {
        Self {
            servers: servers.into(),
            hashing: Hashing::default(),
            failover: Failover::default(),
            tls: Tls::default(),
            user: None,
            password: None,
            protocol: Protocol::default(),
            prefix: "session:".to_owned(),
            connections: 1,
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            max_payload: 1_000_000,
            max_waiters: Capabilities::new(BACKEND).max_waiters,
        }
    }

    /// Reads a URL like `memcached://host1:11211,host2:11211:3?session.timeout=2s`.
    ///
    /// Hosts are `host`, `host:port` or `host:port:weight`. `memcacheds` encrypts. Before the hosts
    /// there may be `user:password@`; what is special in a URL is percent-encoded there.
    ///
    /// | key | value | default |
    /// | --- | --- | --- |
    /// | `session.prefix` | what keys begin with | `session:` |
    /// | `session.hashing` | `ketama`, `ketama_weighted` or `modulo` | `ketama_weighted` |
    /// | `session.failover` | `none`, or `next` for the next server of the ring | `none` |
    /// | `session.connections` | connections to each server | `1` |
    /// | `session.timeout` | time for one operation, like `500ms` or `5s` | `5s` |
    /// | `session.connect_timeout` | time for one attempt to connect | `1s` |
    /// | `session.response_timeout` | time for one answer | `1s` |
    /// | `session.max_payload` | bytes | `1000000` |
    /// | `session.max_waiters` | waiters for one lock | `64` |
    /// | `session.tls_ca` | PEM file with the authorities to trust | those of the system |
    /// | `session.tls_insecure` | `true` takes any certificate; for tests only | `false` |
    /// | `protocol` | `newest`, or `classic` for the older commands | `newest` |
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
        let unmet = self.demands().into_iter().find(|(met, _)| !met);
        unmet.map_or(Ok(()), |(_, demand)| Err(wrong(demand)))
    }

    fn demands(&self) -> [(bool, &'static str); 13] {
        let bounded = |time: Duration| (SHORTEST..=LONGEST).contains(&time);
        let times = [self.connect_timeout, self.response_timeout, self.timeout];
        let servers = &self.servers;
        let plain = |text: &String| text.bytes().all(|byte| byte.is_ascii_graphic());
        let login = self.user.iter().chain(&self.password);
        [
            ((1..=1_000).contains(&servers.len()), "there must be 1 to 1,000 servers"),
            (
                servers.iter().all(Endpoint::is_plausible),
                "a server needs a host name or address, and a port",
            ),
            (
                servers.iter().all(|server| (1..=1_000).contains(&server.weight)),
                "weights are 1 to 1,000",
            ),
            (
                self.hashing == Hashing::KetamaWeighted || servers.iter().all(|s| s.weight == 1),
                "only session.hashing=ketama_weighted has weights",
            ),
            (self.prefix.len() <= 128, "the prefix is limited to 128 bytes"),
            (plain(&self.prefix), "the prefix is printable ASCII without spaces"),
            (self.user.is_some() == self.password.is_some(), "user and password come together"),
            (login.into_iter().all(plain), "user and password are printable ASCII without spaces"),
            ((1..=64).contains(&self.connections), "connections are 1 to 64"),
            (times.into_iter().all(bounded), "timeouts are 1 ms to 1 hour"),
            (
                self.timeout >= self.response_timeout.max(self.connect_timeout),
                "timeout must not be below connect_timeout and response_timeout",
            ),
            (self.max_payload <= PAYLOAD_LIMIT, "payloads are limited to 64 MiB"),
            (self.max_waiters >= 1, "one waiter at least must be allowed"),
        ]
    }
}

const PAYLOAD_LIMIT: usize = 64 * 1_024 * 1_024;

/// What stands in place of a password.
struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl fmt::Debug for MemcachedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemcachedConfig")
            .field("servers", &self.servers)
            .field("hashing", &self.hashing)
            .field("failover", &self.failover)
            .field("tls", &self.tls)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| Hidden))
            .field("protocol", &self.protocol)
            .field("prefix", &self.prefix)
            .field("connections", &self.connections)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("timeout", &self.timeout)
            .field("max_payload", &self.max_payload)
            .field("max_waiters", &self.max_waiters)
            .finish()
    }
}

const TIME: &str = "a time like 500ms or 5s";
const NUMBER: &str = "a number";

const SETTINGS: &[Setting<MemcachedConfig>] = &[
    Setting::new("session.prefix", "a text", |config, value| {
        config.prefix = value.to_owned();
        Some(())
    }),
    Setting::new("session.hashing", "ketama, ketama_weighted or modulo", |config, value| {
        config.hashing = match value {
            "ketama" => Hashing::Ketama,
            "ketama_weighted" => Hashing::KetamaWeighted,
            "modulo" => Hashing::Modulo,
            _ => return None,
        };
        Some(())
    }),
    Setting::new("session.failover", "none or next", |config, value| {
        config.failover = match value {
            "none" => Failover::None,
            "next" => Failover::Next,
            _ => return None,
        };
        Some(())
    }),
    Setting::new("session.connections", NUMBER, |config, value| {
        value.parse().ok().map(|number| config.connections = number)
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
    Setting::new("session.max_waiters", NUMBER, |config, value| {
        value.parse().ok().map(|number| config.max_waiters = number)
    }),
    Setting::new("session.tls_ca", "a path, TLS, and no session.tls_insecure", |config, value| {
        (config.tls == Tls::On && !value.is_empty()).then(|| config.tls = Tls::Ca(value.into()))
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
    Setting::new("protocol", "newest or classic", |config, value| {
        config.protocol = match value {
            "newest" => Protocol::Newest,
            "classic" => Protocol::Classic,
            _ => return None,
        };
        Some(())
    }),
];

fn wrong(detail: &str) -> Error {
    Error::new(ErrorKind::Config, BACKEND, Operation::Open).with_detail(detail)
}

#[cfg(test)]
mod tests;
