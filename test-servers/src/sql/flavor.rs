//! Whose server it is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Error, Result, programs};

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flavor {
    /// MariaDB. `SESSION_MARIADB_BIN` names a folder with other programs than those on the path.
    MariaDb,
    /// Oracle's MySQL, as fetched into the target folder. `SESSION_MYSQL_BIN` names a folder with
    /// other programs.
    MySql,
    /// PostgreSQL, the newest of `/usr/lib/postgresql`, else that on the path.
    /// `SESSION_POSTGRES_BIN` names a folder with other programs.
    Postgres,
}

impl Flavor {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MariaDb, Self::MySql, Self::Postgres];

    /// In lower case: `mariadb`, `mysql`, `postgres`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
            Self::Postgres => "postgres",
        }
    }

    /// Whether it is MySQL or its descendant.
    #[must_use]
    pub fn is_mysql(self) -> bool {
        self != Self::Postgres
    }

    /// Why no server of this flavor can be started here, if none can.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        let programs = [self.server(), self.initializer(), self.client()];
        programs.into_iter().find_map(Result::err).map(|error| error.to_string())
    }

    /// The server's version, such as `10.11.19`.
    ///
    /// # Errors
    /// When it is missing.
    pub fn version(self) -> Result<String> {
        let text = programs::version(&self.server()?)?;
        version_in(&text)
            .map(str::to_owned)
            .ok_or_else(|| Error::new(format!("no version in {text:?}")))
    }

    pub(crate) fn server(self) -> Result<PathBuf> {
        self.find(match self {
            Self::MariaDb => "mariadbd",
            Self::MySql => "mysqld",
            Self::Postgres => "postgres",
        })
    }

    /// What makes a data directory.
    pub(crate) fn initializer(self) -> Result<PathBuf> {
        self.find(match self {
            Self::MariaDb => "mariadb-install-db",
            Self::MySql => "mysqld",
            Self::Postgres => "initdb",
        })
    }

    /// Its command line client: `mariadb`, `mysql`, `psql`.
    ///
    /// # Errors
    /// When it is missing.
    pub fn client(self) -> Result<PathBuf> {
        self.find(match self {
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
            Self::Postgres => "psql",
        })
    }

    fn find(self, program: &str) -> Result<PathBuf> {
        match self {
            Self::MariaDb => programs::find_at("SESSION_MARIADB_BIN", program),
            Self::MySql => {
                programs::find_or("SESSION_MYSQL_BIN", program, |it| programs::fetched("mysql", it))
            }
            Self::Postgres => programs::find_or("SESSION_POSTGRES_BIN", program, newest),
        }
    }
}

/// Debian keeps the servers of each version off the path.
fn newest(program: &str) -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let files = versions.map(|version| version.path().join("bin").join(program));
    let newest = files.filter(|file| file.is_file()).max_by_key(|file| number(file));
    newest.map_or_else(|| programs::find(program), Ok)
}

/// The version in `/usr/lib/postgresql/15/bin/postgres`.
fn number(file: &Path) -> Option<u32> {
    file.ancestors().nth(2)?.file_name()?.to_str()?.parse().ok()
}

/// From `mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 ..` or `postgres (PostgreSQL) 15.18 (..)`.
fn version_in(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace();
    let word = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    word.split(|letter: char| letter != '.' && !letter.is_ascii_digit()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_taken_from_what_the_program_prints() {
        let printed = [
            ("mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu", "10.11.19"),
            ("/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", "9.7.4"),
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15.18"),
        ];
        for (text, version) in printed {
            assert_eq!(version_in(text), Some(version));
        }
        assert_eq!(version_in("command not found"), None);
    }

    #[test]
    fn the_newest_version_is_the_highest_number() {
        let numbers = ["9", "15", "x"].map(|version| {
            number(&Path::new("/usr/lib/postgresql").join(version).join("bin/postgres"))
        });
        assert_eq!(numbers, [Some(9), Some(15), None]);
    }
}
