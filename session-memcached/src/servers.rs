//! Where the servers are, and how to speak to them.

use std::path::PathBuf;

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its share of the keys, beside the weights of the others; see [`Hashing::KetamaWeighted`].
    pub weight: u32,
}

impl Endpoint {
    /// The port where nothing else is said.
    pub const PORT: u16 = 11_211;

    /// A server with the weight 1.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, weight: 1 }
    }

    /// With this weight.
    #[must_use]
    pub const fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Whether there can be such a server.
    pub(crate) fn is_plausible(&self) -> bool {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "/?#@,[]".contains(c);
        !self.host.is_empty() && !self.host.contains(odd) && self.port != 0
    }
}

/// Which of several servers has a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Hashing {
    /// As libmemcached's `MEMCACHED_BEHAVIOR_KETAMA`: 100 points a server, without weights.
    Ketama,
    /// As libmemcached's `MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED`: points by MD5, as many as the
    /// weights say.
    #[default]
    KetamaWeighted,
    /// As libmemcached's `MEMCACHED_DISTRIBUTION_MODULA`: a hash modulo the number of servers, so
    /// that nearly all sessions are elsewhere once there is another server. Without weights.
    Modulo,
}

/// What is done about the sessions of a server that cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Failover {
    /// Operations on them fail at once. Nothing that was deleted comes back.
    #[default]
    None,
    /// The next server of the ring has them: the old ones are absent there, and new ones can be
    /// made. When the first server is back, those are out of sight again, and when it is away a
    /// second time they are back: also those that were changed or deleted in between. And while it
    /// is away for some servers of the application and not for others, one session is in two
    /// places.
    Next,
}

/// Which protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Protocol {
    /// Meta commands with servers from 1.6.10 on, the older commands with others.
    #[default]
    Newest,
    /// The older commands with all.
    Classic,
}

/// Whether connections are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Tls {
    /// They are not.
    #[default]
    Off,
    /// They are, with a certificate from an authority that the system trusts.
    On,
    /// They are, with a certificate from an authority in this PEM file.
    Ca(PathBuf),
    /// They are, with whatever certificate: for tests only.
    Insecure,
}
