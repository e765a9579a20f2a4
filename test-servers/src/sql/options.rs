//! What a server is started with.

use crate::sql::Flavor;

/// What a server is started with. Without more: plain TCP (MySQL offers TLS with a certificate of
/// its own), and what was acknowledged survives the end of the server, not that of the machine.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) flavor: Flavor,
    pub(crate) tls: bool,
    pub(crate) durable: bool,
    pub(crate) arguments: Vec<(String, String)>,
}

impl Options {
    /// For MariaDB.
    #[must_use]
    pub fn mariadb() -> Self {
        Self::new(Flavor::MariaDb)
    }

    /// For Oracle's MySQL.
    #[must_use]
    pub fn mysql() -> Self {
        Self::new(Flavor::MySql)
    }

    /// For PostgreSQL.
    #[must_use]
    pub fn postgres() -> Self {
        Self::new(Flavor::Postgres)
    }

    /// For this flavor.
    #[must_use]
    pub fn new(flavor: Flavor) -> Self {
        Self { flavor, tls: false, durable: false, arguments: Vec::new() }
    }

    /// Only TLS over TCP, with a certificate for `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Every commit is on disk before it is acknowledged, as users run it.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Any setting of the server: `("sql_mode", "")`, `("default-time-zone", "+05:30")`,
    /// `("max_connections", "20")`. The last one of a name counts.
    #[must_use]
    pub fn argument(mut self, name: &str, value: &str) -> Self {
        self.arguments.push((name.to_owned(), value.to_owned()));
        self
    }
}
