//! Which servers a store uses, and how a URL names them.

use std::{fmt, path::PathBuf};

/// Where the sessions are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Servers {
    /// One server, or a name that leads to the primary of several.
    One(Endpoint),
    /// One server on this machine, by the path of its socket.
    Unix(PathBuf),
    /// A cluster, of which these nodes are known; the others are learned from them.
    Cluster(Vec<Endpoint>),
    /// The primary that these Sentinels name.
    Sentinel {
        /// The Sentinels.
        sentinels: Vec<Endpoint>,
        /// The name under which they watch the primary.
        service: String,
    },
}

impl Servers {
    /// Whether there may be such servers.
    pub(crate) fn are_plausible(&self) -> bool {
        let plausible =
            |all: &[Endpoint]| !all.is_empty() && all.iter().all(Endpoint::is_plausible);
        match self {
            Self::One(endpoint) => endpoint.is_plausible(),
            Self::Unix(path) => path.is_absolute(),
            Self::Cluster(nodes) => plausible(nodes),
            Self::Sentinel { sentinels, service } => plausible(sentinels) && !service.is_empty(),
        }
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// A name or an address; an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Endpoint {
    /// The usual port of servers.
    pub const PORT: u16 = 6379;
    /// The usual port of Sentinels.
    pub const SENTINEL_PORT: u16 = 26379;

    /// A host and a port.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Whether there may be such a host: a name, or an address.
    pub(crate) fn is_plausible(&self) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let address = || self.host.parse::<std::net::Ipv6Addr>().is_ok();
        let named = !self.host.is_empty() && self.host.bytes().all(plain);
        self.port != 0 && self.host.len() <= 253 && (named || address())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Whether the connections are encrypted, and how a server proves what it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Tls {
    /// Not encrypted.
    #[default]
    Off,
    /// Encrypted; the certificate must come from an authority that the operating system trusts.
    On,
    /// Encrypted; the certificate must come from an authority in this PEM file.
    Ca(PathBuf),
    /// Encrypted, but any certificate will do, also an attacker's. For tests only.
    Insecure,
}

/// The version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Protocol {
    /// Version 2, for proxies that know nothing newer. Messages about released locks need
    /// version 3; without them waiters poll.
    Resp2,
    /// Version 3.
    #[default]
    Resp3,
}
