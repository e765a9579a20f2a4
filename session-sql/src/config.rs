//! The settings of a store, and their form as a URL.

use std::{fmt, time::Duration};

use session_core::{Capabilities, Error, ErrorKind, Operation, Result, settings};

use crate::{
    BACKEND,
    url::{self, Address, Dialect},
};

mod keys;

/// The limits of the timeouts, and of the age of a connection.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(3_600);
const YOUNGEST: Duration = Duration::from_secs(1);
const OLDEST: Duration = Duration::from_secs(86_400);

/// The largest `max_payload`: a quarter of what PostgreSQL and MySQL take in one value.
const PAYLOAD_LIMIT: usize = 1 << 28;

/// The longest name of a table: with what the names of indexes have at their end it fits into 63
/// bytes, PostgreSQL's limit.
const NAME_LIMIT: usize = 48;

/// The settings of a [`SqlStore`](crate::SqlStore).
///
/// `Debug` shows no user and no password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqlConfig {
    /// How to speak to the database.
    pub(crate) dialect: Dialect,
    /// Where the database is, without the settings of the store: what `sqlx` reads. Its scheme is
    /// `mysql`, `postgres` or `sqlite`.
    pub(crate) url: String,
    /// The same without user, password and settings.
    shown: String,
    /// The table of the sessions, as `table` or `schema.table`; names are letters, digits and `_`.
    /// Default: `sessions`. Beside it there is one for principals, whose name has `_epochs` at its end.
    pub table: String,
    /// The most connections to the database. Default: 10: a statement takes a fraction of a
    /// millisecond, and more connections than the server has cores rarely help. On PostgreSQL there is
    /// one more while somebody waits for a lock.
    pub max_connections: u32,
    /// How long connecting may take, logging in included. Default: 2 s, which lets a lost packet be
    /// sent again.
    pub connect_timeout: Duration,
    /// How long one statement may take before its connection counts as broken. Default: 2 s: slow
    /// enough for a server that is busy, quick enough to try again within `timeout`.
    pub response_timeout: Duration,
    /// How long one operation may take, with waiting for connections and all tries of its statements, but
    /// without waiting for a lock. Most are one statement, and a second one when it was refused.
    /// Default: 5 s, enough for a restart.
    pub timeout: Duration,
    /// The age at which a connection is replaced, give or take a tenth. Default: 30 min, so that a
    /// name that leads to another server is noticed.
    pub max_lifetime: Duration,
    /// The largest payload in bytes. Default: 1 MiB.
    pub max_payload: usize,
    /// The most waiters for one lock in one process. Default: 64.
    pub max_waiters: usize,
    /// In percent of the time, how much of it a sweep may work; the rest are pauses after its
    /// batches, each of which is to take no more than a millisecond, on SQLite a quarter of one.
    /// Default: 20: live traffic has the database for itself most of the time, and a million
    /// expired sessions are gone within minutes. A pause ends with the step of the sweep, whose
    /// budget bounds it. PHP's tables are swept as PHP does it, by one statement without a pause.
    pub sweep_share: u8,
}

impl SqlConfig {
    /// The schemes that [`from_url`](Self::from_url) takes. Each is refused where its feature is not
    /// compiled in: `mysql` (also for `mariadb`), `postgres` (also for `postgresql`), `sqlite`.
    pub const URL_SCHEMES: &'static [&'static str] =
        &["mysql", "mariadb", "postgres", "postgresql", "sqlite"];

    /// Reads a URL like `mysql://user:password@host:3306/app?session.table=sessions`.
    ///
    /// | URL | database |
    /// | --- | --- |
    /// | `mysql://user:password@host:3306/database` | MySQL or MariaDB; `mariadb` is the same |
    /// | `postgres://user:password@host:5432/database` | PostgreSQL; `postgresql` is the same |
    /// | `sqlite:path` or `sqlite://path` | a file, which is made if it is missing |
    /// | `sqlite::memory:` | the memory of this process, for tests |
    ///
    /// What is special in a URL is percent-encoded in user, password and path; a `+` is a `+`
    /// everywhere.
    ///
    /// | key | value | default |
    /// | --- | --- | --- |
    /// | `session.table` | `table` or `schema.table` | `sessions` |
    /// | `session.max_connections` | connections to the database | `10` |
    /// | `session.timeout` | time for one operation, like `500ms` or `5s` | `5s` |
    /// | `session.connect_timeout` | time for one attempt to connect | `2s` |
    /// | `session.response_timeout` | time for one statement | `2s` |
    /// | `session.max_lifetime` | the age at which a connection is replaced | `1800s` |
    /// | `session.max_payload` | bytes | `1048576` |
    /// | `session.max_waiters` | waiters for one lock | `64` |
    /// | `session.sweep_share` | percent of the time that a sweep may work | `20` |
    ///
    /// Other keys are the client's; those that it does not know are refused here.
    ///
    /// | database | keys |
    /// | --- | --- |
    /// | MySQL, MariaDB | `ssl-mode` (`sslmode`), `ssl-ca` (`sslca`), `ssl-cert` (`sslcert`), `ssl-key` (`sslkey`), `socket`, `statement-cache-capacity`; and without effect `charset`, `collation`, `timezone` (`time-zone`) |
    /// | PostgreSQL | `sslmode` (`ssl-mode`), `sslrootcert` (`ssl-root-cert`, `ssl-ca`), `sslcert` (`ssl-cert`), `sslkey` (`ssl-key`), `host`, `hostaddr`, `port`, `dbname`, `user`, `password`, `application_name`, `options`, `statement-cache-capacity` |
    /// | SQLite | `mode`, `synchronous`, `vfs` |
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config), which names the key at fault but never a value.
    pub fn from_url(url: &str) -> Result<Self> {
        let (address, query) = url::split(url).map_err(wrong)?;
        compiled(address.dialect)?;
        let mut reading = Reading::new(Self::defaults(address.dialect));
        settings::read(BACKEND, &keys::of(address.dialect), query, &mut reading)?;
        let config = reading.finish(&address, query).map_err(wrong)?;
        config.check()?;
        Ok(config)
    }

    fn defaults(dialect: Dialect) -> Self {
        let defaults = Capabilities::new(BACKEND);
        Self {
            dialect,
            url: String::new(),
            shown: String::new(),
            table: "sessions".to_owned(),
            max_connections: 10,
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            max_lifetime: Duration::from_secs(1_800),
            max_payload: defaults.max_payload,
            max_waiters: defaults.max_waiters,
            sweep_share: 20,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let demands = self.demands();
        demands.into_iter().find(|(met, _)| !met).map_or(Ok(()), |(_, demand)| Err(wrong(demand)))
    }

    fn demands(&self) -> [(bool, &'static str); 10] {
        let bounded = |time: Duration| (SHORTEST..=LONGEST).contains(&time);
        let times = [self.connect_timeout, self.response_timeout, self.timeout];
        let names = || self.table.split('.');
        [
            (
                names().count() <= 2 && names().all(is_name),
                "the table is name or schema.name; a name is letters, digits and _, begins with no \
                 digit, and has 48 characters at most",
            ),
            (
                self.dialect != Dialect::Sqlite || names().count() == 1,
                "a table of SQLite has no schema",
            ),
            ((1..=10_000).contains(&self.max_connections), "max_connections is 1 to 10,000"),
            (times.into_iter().all(bounded), "timeouts are 1 ms to 1 hour"),
            (self.timeout >= self.response_timeout, "timeout must not be below response_timeout"),
            (self.timeout >= self.connect_timeout, "timeout must not be below connect_timeout"),
            (
                (YOUNGEST..=OLDEST).contains(&self.max_lifetime),
                "max_lifetime is 1 second to 24 hours",
            ),
            (self.max_payload <= PAYLOAD_LIMIT, "payloads are limited to 256 MiB"),
            (self.max_waiters >= 1, "one waiter at least must be allowed"),
            ((1..=100).contains(&self.sweep_share), "sweep_share is 1 to 100 percent"),
        ]
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=NAME_LIMIT).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// What the keys of a URL have said so far.
#[derive(Clone)]
struct Reading {
    config: SqlConfig,
    /// Whether a key names the host or its socket.
    host: bool,
    /// Whether a key names the database.
    database: bool,
    /// Whether a key says what becomes of a file that is missing.
    mode: bool,
    /// Whether a key names the authorities to trust.
    authority: bool,
    /// Whether the server's certificate is looked at.
    verifies: bool,
}

impl Reading {
    const fn new(config: SqlConfig) -> Self {
        Self {
            config,
            host: false,
            database: false,
            mode: false,
            authority: false,
            verifies: false,
        }
    }

    fn finish(mut self, address: &Address<'_>, query: &str) -> Result<SqlConfig, &'static str> {
        if self.authority && !self.verifies {
            return Err("the authorities to trust are asked only where ssl-mode is VERIFY_CA or \
                        VERIFY_IDENTITY (PostgreSQL: verify-ca, verify-full)");
        }
        let scheme = address.dialect.feature();
        (self.config.url, self.config.shown) = if address.dialect == Dialect::Sqlite {
            let file = format!("{scheme}:{}", address.database);
            (file.clone(), file)
        } else {
            self.server(address)?
        };
        let mut theirs = theirs(query);
        if address.dialect == Dialect::Sqlite && !self.mode && address.database != ":memory:" {
            theirs.push("mode=rwc".to_owned());
        }
        if !theirs.is_empty() {
            self.config.url = format!("{}?{}", self.config.url, theirs.join("&"));
        }
        Ok(self.config)
    }

    /// The address of a server, with and without the login.
    fn server(&self, address: &Address<'_>) -> Result<(String, String), &'static str> {
        if address.host.is_empty() && !self.host {
            return Err("the URL needs a host, or with the key socket (PostgreSQL: host) a path");
        }
        if address.database.is_empty() && !self.database {
            return Err("the URL needs the name of a database, as in host/app");
        }
        // A login with no host is not a URL for the client; a socket goes before the host.
        let host = if address.host.is_empty() { "localhost" } else { address.host };
        let login = match address.login {
            "" => String::new(),
            login => format!("{login}@"),
        };
        let (scheme, database) = (address.dialect.feature(), address.database);
        let url = |login: &str| format!("{scheme}://{login}{host}/{database}");
        Ok((url(&login), url("")))
    }
}

/// The pairs of a query that are the client's. It reads a `+` as a space.
fn theirs(query: &str) -> Vec<String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with(keys::OURS));
    pairs.map(|pair| pair.replace('+', "%2B")).collect()
}

fn compiled(dialect: Dialect) -> Result<()> {
    if dialect.is_compiled() {
        return Ok(());
    }
    let feature = dialect.feature();
    Err(wrong(format!("this needs the feature `{feature}` of the crate session-sql")))
}

impl fmt::Debug for SqlConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlConfig")
            .field("database", &self.shown)
            .field("table", &self.table)
            .field("max_connections", &self.max_connections)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("timeout", &self.timeout)
            .field("max_lifetime", &self.max_lifetime)
            .field("max_payload", &self.max_payload)
            .field("max_waiters", &self.max_waiters)
            .field("sweep_share", &self.sweep_share)
            .finish()
    }
}

fn wrong(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, BACKEND, Operation::Open).with_detail(detail)
}

#[cfg(test)]
mod tests;
