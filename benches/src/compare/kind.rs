//! The kinds of place that sessions are kept in.

use serde::{Deserialize, Serialize};

/// A kind of place that sessions are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Memory,
    Files,
    Redis,
    Valkey,
    Memcached,
    MariaDb,
    MySql,
    Postgres,
    Sqlite,
    DynamoDb,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Memory,
        Self::Files,
        Self::Redis,
        Self::Valkey,
        Self::Memcached,
        Self::MariaDb,
        Self::MySql,
        Self::Postgres,
        Self::Sqlite,
        Self::DynamoDb,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Memory => "Memory",
            Self::Files => "Files",
            Self::Redis => "Redis",
            Self::Valkey => "Valkey",
            Self::Memcached => "Memcached",
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
            Self::DynamoDb => "DynamoDB",
        }
    }

    /// As on the command line.
    pub(crate) fn word(self) -> String {
        self.title().to_lowercase()
    }

    /// The kind of store that a URL names.
    pub(crate) fn of_url(url: &str) -> Option<Self> {
        let scheme = url.split(':').next()?.split('+').next()?;
        Some(match scheme {
            "memory" => Self::Memory,
            "files" => Self::Files,
            "redis" | "rediss" | "unix" => Self::Redis,
            "valkey" | "valkeys" => Self::Valkey,
            "memcached" | "memcacheds" => Self::Memcached,
            "mariadb" => Self::MariaDb,
            "mysql" => Self::MySql,
            "postgres" | "postgresql" => Self::Postgres,
            "sqlite" => Self::Sqlite,
            "dynamodb" => Self::DynamoDb,
            _ => return None,
        })
    }

    /// Whether other servers of a fleet see the sessions.
    pub(crate) fn is_shared(self) -> bool {
        !matches!(self, Self::Memory | Self::Files | Self::Sqlite)
    }

    /// Whether sessions survive a restart of what keeps them, as it is usually set up.
    pub(crate) fn survives_restart(self) -> bool {
        !matches!(self, Self::Memory | Self::Memcached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_url_is_known_by_its_scheme() {
        assert_eq!(Kind::of_url("redis+cluster://a,b"), Some(Kind::Redis));
        assert_eq!(Kind::of_url("sqlite:a.db"), Some(Kind::Sqlite));
        assert_eq!(Kind::of_url("http://a"), None);
    }
}
