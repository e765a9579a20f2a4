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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(url: &str) -> RedisConfig {
        RedisConfig::from_url(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn refused(url: &str) -> String {
        let error = RedisConfig::from_url(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        let texts = format!("{error} {error:?}");
        assert!(!texts.contains("s3cret"), "{texts}");
        error.to_string()
    }

    fn endpoints(all: &[(&str, u16)]) -> Vec<Endpoint> {
        all.iter().map(|(host, port)| Endpoint::new(*host, *port)).collect()
    }

    #[test]
    fn a_url_sets_every_setting() {
        let config = read(
            "rediss+sentinel://us%65r:p%40ss%3A@h1,h2:7000/my%20main/3?session.prefix=app%3A\
             &session.timeout=4s&session.connect_timeout=250ms&session.response_timeout=500ms\
             &session.max_payload=10&session.max_waiters=3&session.client_name=web-1\
             &session.tls_ca=/etc/ca.pem&session.wait_replicas=1&session.wait_timeout=100ms\
             &session.replica_staleness=2s&session.reader=r:1&session.sentinel_user=su\
             &session.sentinel_password=sp&protocol=resp2",
        );
        let sentinels = endpoints(&[("h1", 26379), ("h2", 7000)]);
        let expected = RedisConfig {
            servers: Servers::Sentinel { sentinels, service: "my main".to_owned() },
            tls: Tls::Ca("/etc/ca.pem".into()),
            user: Some("user".to_owned()),
            password: Some("p@ss:".to_owned()),
            sentinel_user: Some("su".to_owned()),
            sentinel_password: Some("sp".to_owned()),
            database: 3,
            protocol: Protocol::Resp2,
            prefix: "app:".to_owned(),
            client_name: Some("web-1".to_owned()),
            connect_timeout: Duration::from_millis(250),
            response_timeout: Duration::from_millis(500),
            timeout: Duration::from_secs(4),
            max_payload: 10,
            max_waiters: 3,
            wait_replicas: 1,
            wait_timeout: Duration::from_millis(100),
            replica_staleness: Duration::from_secs(2),
            reader: Some(Endpoint::new("r", 1)),
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn a_url_without_settings_has_the_defaults() {
        let one = |host| RedisConfig::new(Servers::One(Endpoint::new(host, 6379)));
        assert_eq!(read("redis://h"), one("h"));
        assert_eq!(read("VALKEY://h:6379/?"), one("h"));
        assert_eq!(read("redis://[::1]/0"), one("::1"));
        assert_eq!(read("rediss://h?session.tls_insecure=false"), read("valkeys://h"));
        assert_eq!(read("rediss://h").tls, Tls::On);
        assert_eq!(read("rediss://h?session.tls_insecure=true").tls, Tls::Insecure);
    }

    #[test]
    fn each_kind_of_servers_has_its_url() {
        let nodes = endpoints(&[("a.example", 6379), ("10.0.0.1", 7000), ("fe80::1", 7001)]);
        let config = read("valkeys+cluster://a.example,10.0.0.1:7000,[fe80::1]:7001/0");
        assert_eq!((config.servers, config.tls), (Servers::Cluster(nodes), Tls::On));
        let login = "user=u&pass=p%26w&db=2";
        for url in [
            format!("redis+unix:///run/re%20dis.sock?{login}"),
            format!("valkey+unix:///run/re%20dis.sock?{login}"),
            format!("unix:///run/re%20dis.sock?{login}"),
            "unix://u:p%26w@/run/re%20dis.sock?db=2".to_owned(),
        ] {
            let config = read(&url);
            assert_eq!(config.servers, Servers::Unix("/run/re dis.sock".into()));
            assert_eq!((config.user.as_deref(), config.database), (Some("u"), 2));
            assert_eq!(config.password.as_deref(), Some("p&w"));
        }
        for scheme in RedisConfig::URL_SCHEMES {
            let hosts = if scheme.ends_with("unix") { "/s" } else { "h/0" };
            let encrypted = scheme.starts_with("rediss") || scheme.starts_with("valkeys");
            let config = read(&format!("{scheme}://{hosts}"));
            assert_eq!(config.tls == Tls::On, encrypted, "{scheme}");
        }
    }

    #[test]
    fn who_names_replicas_needs_no_reader() {
        for url in ["redis+cluster://h", "redis+sentinel://h/main"] {
            let config = read(&format!("{url}?session.replica_staleness=1s"));
            assert_eq!(config.replica_staleness, Duration::from_secs(1));
        }
    }

    #[test]
    fn a_password_may_stand_without_a_user() {
        let config = read("redis://:p%2Fw@h");
        assert_eq!((config.user, config.password), (None, Some("p/w".to_owned())));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_nearest_match() {
        let text = refused("redis://h?session.prefx=s3cret");
        assert!(text.contains("session.prefx; did you mean session.prefix?"), "{text}");
        let text = refused("redis://h?protokol=s3cret");
        assert!(text.contains("protokol; did you mean protocol?"), "{text}");
    }

    #[test]
    fn wrong_servers_are_refused_and_not_repeated() {
        for url in [
            "",
            "h",
            "h:6379",
            "http://h",
            "redis+s3cret://h",
            "redis://",
            "redis:///0",
            "redis://h:0",
            "redis://h:s3cret",
            "redis://h:70000",
            "redis://h/s3cret",
            "redis://h/0/1",
            "redis://h/-1",
            "redis://::1",
            "redis://[::1",
            "redis://[s3cret]",
            "redis://[::1]s3cret",
            "redis://a,b",
            "redis://h%20s3cret",
            "redis://s3cret@h",
            "redis://u:%ffs3cret@h",
            "redis://:s3cret/x@h",
            "redis://:s3cret?x@h",
            "redis://:s3cret#x@h",
            "redis://u:1?s3cret@h",
            "rediss://h#insecure",
            "redis+cluster://a,,b",
            "redis+cluster://h/1",
            "redis+sentinel://h",
            "redis+sentinel://h/",
            "redis+sentinel://u:1/s3cret@h",
            "redis+sentinel://h/main/s3cret",
            "redis+unix://h/s3cret",
            "redis+unix://s3cret",
            "redis+unix:///",
            "rediss+unix:///s",
        ] {
            refused(url);
        }
        let many = "h,".repeat(32_750);
        assert!(RedisConfig::from_url(&format!("redis+cluster://{many}h")).is_ok());
        assert!(refused(&format!("redis+cluster://{many}{many}h")).contains("longer"));
    }

    #[test]
    fn wrong_values_are_refused_and_not_repeated() {
        for query in [
            "session.prefix={s3cret}",
            "session.prefix=%ff",
            "session.timeout=3",
            "session.timeout=0s",
            "session.timeout=999ms",
            "session.timeout=3601s",
            "session.connect_timeout=0ms",
            "session.connect_timeout=s3cret",
            "session.response_timeout=0ms",
            "session.response_timeout=6s",
            "session.max_payload=268435457",
            "session.max_payload=-1",
            "session.max_waiters=0",
            "session.client_name=",
            "session.client_name=my s3cret",
            "session.tls_ca=/s3cret",
            "session.tls_insecure=true",
            "session.wait_replicas=s3cret",
            "session.wait_replicas=101",
            "session.wait_replicas=1&session.wait_timeout=0s",
            "session.wait_replicas=1&session.wait_timeout=2s",
            "session.replica_staleness=1s",
            "session.replica_staleness=3601s&session.reader=r",
            "session.reader=r",
            "session.reader=s3cret:s3cret&session.replica_staleness=1s",
            "session.sentinel_user=u",
            "session.sentinel_password=s3cret",
            "session.sentinel_password=a&s3cret",
            "protocol=s3cret",
            "db=1",
            "user=u",
            "pass=s3cret",
            "timeout=4s",
        ] {
            refused(&format!("redis://h?{query}"));
        }
        let long = "x".repeat(129);
        refused(&format!("redis://h?session.prefix={long}"));
        refused(&format!("redis://h?session.client_name={long}"));
        refused("rediss://h?session.tls_ca=/a&session.tls_insecure=true");
        refused("rediss://h?session.tls_insecure=true&session.tls_ca=/a");
        refused("rediss://h?session.tls_insecure=s3cret");
        refused("redis+cluster://h?session.reader=r&session.replica_staleness=1s");
        refused("redis+sentinel://h/main?session.sentinel_user=u");
        refused("redis+unix:///s?session.replica_staleness=1s");
        refused("redis+unix:///s?db=s3cret");
    }

    #[test]
    fn settings_of_a_builder_are_checked_as_those_of_a_url() {
        for servers in [
            Servers::Cluster(Vec::new()),
            Servers::One(Endpoint::new("", 1)),
            Servers::One(Endpoint::new("a b", 1)),
            Servers::One(Endpoint::new("h", 0)),
            Servers::Unix("relative".into()),
            Servers::Sentinel { sentinels: endpoints(&[("h", 1)]), service: String::new() },
        ] {
            let error = RedisConfig::new(servers).check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
        }
        let mut config = read("redis+unix:///s");
        config.tls = Tls::On;
        assert_eq!(config.check().unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn debug_shows_no_password() {
        let config = read(
            "redis+sentinel://user:s3cret@h/main?session.sentinel_user=su\
             &session.sentinel_password=s3cret2",
        );
        let builder = crate::RedisStoreBuilder::from(config.clone());
        for text in [format!("{config:?}"), format!("{config:#?}"), format!("{builder:?}")] {
            assert!(!text.contains("s3cret"), "{text}");
            assert!(text.contains("\"user\"") && text.contains(".."), "{text}");
        }
    }

    #[test]
    fn the_readme_and_the_documentation_list_every_key_and_scheme() {
        let (readme, source) = (include_str!("../README.md"), include_str!("config.rs"));
        for setting in SETTINGS {
            let row = format!("| `{}` |", setting.name());
            assert!(readme.contains(&row), "README: {row}");
            assert!(source.contains(&format!("/// {row}")), "documentation: {row}");
        }
        for kind in ["redis", "redis+unix", "redis+cluster", "redis+sentinel"] {
            let row = format!("| `{kind}://");
            assert!(readme.contains(&row), "README: {row}");
            assert!(source.contains(&format!("/// {row}")), "documentation: {row}");
        }
    }

    /// Texts that get past the first checks.
    fn url() -> impl Strategy<Value = String> {
        let scheme = prop::sample::select(RedisConfig::URL_SCHEMES);
        let key = prop::sample::select(SETTINGS).prop_map(|setting| setting.name().to_owned());
        let pair = (prop_oneof![key, ".*"], ".*").prop_map(|(key, value)| format!("{key}={value}"));
        let query = prop::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join("&"));
        (scheme, "([a-z:@/%,\\[\\]0-9]|.){0,40}", query)
            .prop_map(|(scheme, rest, query)| format!("{scheme}://{rest}?{query}"))
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in prop_oneof![".*", url()]) {
            match RedisConfig::from_url(&text) {
                Ok(config) => prop_assert!(config.check().is_ok()),
                Err(error) => {
                    prop_assert_eq!(error.kind(), ErrorKind::Config);
                    prop_assert!(error.to_string().len() < 1_000);
                }
            }
        }
    }

    #[test]
    fn a_long_text_is_refused_at_once() {
        let started = std::time::Instant::now();
        for url in [
            format!("redis://h?{}=1", "x".repeat(50_000_000)),
            format!("redis://h?{}=1", "x".repeat(65_000)),
            format!("redis+cluster://{}", "h,".repeat(30_000)),
            format!("redis://h?{}", "session.prefix=x&".repeat(3_000)),
        ] {
            drop(RedisConfig::from_url(&url));
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}
