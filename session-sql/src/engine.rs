//! The database engines.

/// A database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// Oracle's MySQL, 8 and newer.
    MySql,
    /// MariaDB, 10.6 and newer.
    MariaDb,
    /// PostgreSQL, 12 and newer.
    Postgres,
    /// SQLite; the crate brings its own.
    Sqlite,
}

impl Engine {
    /// The engine's short name, as in errors and capabilities.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}
