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
    #[non_exhaustive]
    Sentinel {
        /// The Sentinels.
        sentinels: Vec<Endpoint>,
        /// The name under which they watch the primary.
        service: String,
    },
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
    /// The port of servers.
    pub const PORT: u16 = 6379;
    /// The port of Sentinels.
    pub const SENTINEL_PORT: u16 = 26379;

    /// A host and a port.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
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
