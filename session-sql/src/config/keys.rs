//! What may stand in the query of a URL: our own keys, which begin with `session.`, and those of
//! `sqlx`, which takes what it does not know for a comment.

use session_core::settings::{Setting, duration};

use super::Reading;
use crate::url::Dialect;

/// What our own keys begin with.
pub(crate) const OURS: &str = "session.";

const TIME: &str = "a time like 500ms or 5s";
const NUMBER: &str = "a number";
const PATH: &str = "a path";
const TEXT: &str = "a value";

/// All keys for a dialect.
pub(crate) fn of(dialect: Dialect) -> Vec<Setting<Reading>> {
    let theirs = match dialect {
        Dialect::MySql => MYSQL,
        Dialect::Postgres => POSTGRES,
        Dialect::Sqlite => SQLITE,
    };
    [SESSION, theirs].concat()
}

pub(crate) const SESSION: &[Setting<Reading>] = &[
    Setting::new("session.table", "a name, or schema.name", |reading, value| {
        reading.config.table = filled(value)?.to_owned();
        Some(())
    }),
    Setting::new("session.max_connections", NUMBER, |reading, value| {
        value.parse().ok().map(|number| reading.config.max_connections = number)
    }),
    Setting::new("session.connect_timeout", TIME, |reading, value| {
        duration(value).map(|time| reading.config.connect_timeout = time)
    }),
    Setting::new("session.response_timeout", TIME, |reading, value| {
        duration(value).map(|time| reading.config.response_timeout = time)
    }),
    Setting::new("session.timeout", TIME, |reading, value| {
        duration(value).map(|time| reading.config.timeout = time)
    }),
    Setting::new("session.max_lifetime", TIME, |reading, value| {
        duration(value).map(|time| reading.config.max_lifetime = time)
    }),
    Setting::new("session.max_payload", "a number of bytes", |reading, value| {
        value.parse().ok().map(|number| reading.config.max_payload = number)
    }),
    Setting::new("session.max_waiters", NUMBER, |reading, value| {
        value.parse().ok().map(|number| reading.config.max_waiters = number)
    }),
    Setting::new("session.sweep_share", "a number of percent", |reading, value| {
        value.parse().ok().map(|number| reading.config.sweep_share = number)
    }),
];

/// The keys of MySQL and MariaDB.
pub(crate) const MYSQL: &[Setting<Reading>] = &[
    Setting::new("ssl-mode", MYSQL_MODES, mysql_mode),
    Setting::new("sslmode", MYSQL_MODES, mysql_mode),
    Setting::new("ssl-ca", PATH, authority),
    Setting::new("sslca", PATH, authority),
    Setting::new("ssl-cert", PATH, kept),
    Setting::new("sslcert", PATH, kept),
    Setting::new("ssl-key", PATH, kept),
    Setting::new("sslkey", PATH, kept),
    Setting::new("socket", "an absolute path", |reading, value| {
        value.starts_with('/').then(|| reading.host = true)
    }),
    Setting::new("charset", TEXT, kept),
    Setting::new("collation", TEXT, kept),
    Setting::new("timezone", TEXT, kept),
    Setting::new("time-zone", TEXT, kept),
    Setting::new("statement-cache-capacity", "a number from 1 on", capacity),
];

/// The keys of PostgreSQL.
pub(crate) const POSTGRES: &[Setting<Reading>] = &[
    Setting::new("sslmode", POSTGRES_MODES, postgres_mode),
    Setting::new("ssl-mode", POSTGRES_MODES, postgres_mode),
    Setting::new("sslrootcert", PATH, authority),
    Setting::new("ssl-root-cert", PATH, authority),
    Setting::new("ssl-ca", PATH, authority),
    Setting::new("sslcert", PATH, kept),
    Setting::new("ssl-cert", PATH, kept),
    Setting::new("sslkey", PATH, kept),
    Setting::new("ssl-key", PATH, kept),
    Setting::new("host", "a host, or the absolute path of a socket's directory", host),
    Setting::new("hostaddr", "an address", |reading, value| {
        value.parse::<std::net::IpAddr>().ok().map(|_| reading.host = true)
    }),
    Setting::new("port", "a port", |_, value| {
        value.parse().ok().filter(|port: &u16| *port != 0).map(|_| ())
    }),
    Setting::new("dbname", TEXT, |reading, value| filled(value).map(|_| reading.database = true)),
    Setting::new("user", TEXT, kept),
    Setting::new("password", TEXT, kept),
    Setting::new("application_name", TEXT, kept),
    Setting::new("options", TEXT, kept),
    Setting::new("statement-cache-capacity", "a number from 1 on", capacity),
];

/// The keys of SQLite, of which `synchronous` is read here. `cache` and `immutable` are not among them: the locks of a shared cache do
/// not wait, and an immutable file is not locked at all.
pub(crate) const SQLITE: &[Setting<Reading>] = &[
    Setting::new("mode", "rw, rwc or memory", |reading, value| {
        ["rw", "rwc", "memory"].contains(&value).then(|| reading.mode = true)
    }),
    Setting::new("synchronous", "off, normal, full or extra", |_, value| {
        ["off", "normal", "full", "extra"].contains(&value).then_some(())
    }),
    Setting::new("vfs", TEXT, kept),
];

const MYSQL_MODES: &str = "DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY";
/// Without `allow`, which `sqlx` takes for `disable`.
const POSTGRES_MODES: &str = "disable, prefer, require, verify-ca or verify-full";

fn mysql_mode(reading: &mut Reading, value: &str) -> Option<()> {
    let mode = value.to_ascii_lowercase();
    reading.verifies = mode.starts_with("verify_");
    ["disabled", "preferred", "required", "verify_ca", "verify_identity"]
        .contains(&&*mode)
        .then_some(())
}

fn postgres_mode(reading: &mut Reading, value: &str) -> Option<()> {
    let mode = value.to_ascii_lowercase();
    reading.verifies = mode.starts_with("verify-");
    ["disable", "prefer", "require", "verify-ca", "verify-full"].contains(&&*mode).then_some(())
}

fn authority(reading: &mut Reading, value: &str) -> Option<()> {
    filled(value).map(|_| reading.authority = true)
}

fn host(reading: &mut Reading, value: &str) -> Option<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
    let named = !value.is_empty() && value.bytes().all(plain);
    (named || value.starts_with('/')).then(|| reading.host = true)
}

/// Without a cache, statements would be prepared for each call, and stay at the server.
fn capacity(_: &mut Reading, value: &str) -> Option<()> {
    value.parse::<usize>().ok().filter(|capacity| *capacity > 0).map(|_| ())
}

fn kept(_: &mut Reading, value: &str) -> Option<()> {
    filled(value).map(|_| ())
}

fn filled(value: &str) -> Option<&str> {
    (!value.is_empty()).then_some(value)
}
