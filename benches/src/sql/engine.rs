//! The engines, and what each is called and told.

use test_servers::sql::Flavor;

use crate::measure::Result;

/// A database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    MariaDb,
    MySql,
    Postgres,
    Sqlite,
}

impl Engine {
    pub(crate) const ALL: [Self; 4] = [Self::MariaDb, Self::Postgres, Self::Sqlite, Self::MySql];

    pub(crate) fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|engine| engine.name() == name);
        found.ok_or_else(|| format!("{name} is none of mariadb, mysql, postgres, sqlite").into())
    }

    pub(crate) fn name(self) -> &'static str {
        self.flavor().map_or("sqlite", Flavor::name)
    }

    pub(crate) fn flavor(self) -> Option<Flavor> {
        match self {
            Self::MariaDb => Some(Flavor::MariaDb),
            Self::MySql => Some(Flavor::MySql),
            Self::Postgres => Some(Flavor::Postgres),
            Self::Sqlite => None,
        }
    }

    pub(crate) fn is_mysql(self) -> bool {
        matches!(self, Self::MariaDb | Self::MySql)
    }

    /// Why it cannot run here, if it cannot.
    pub(crate) fn missing(self) -> Option<String> {
        self.flavor().and_then(Flavor::missing)
    }
}
