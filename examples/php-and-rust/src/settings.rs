//! What both sides must agree on.

use std::{env, io, time::Duration};

use session::{Lifetime, http::SessionCookie, php::Ini};
use tempfile::TempDir;

/// PHP's `session.gc_maxlifetime`; PHP has no absolute lifetime.
pub(crate) const LIFETIME: Lifetime = Lifetime::new(Duration::from_secs(1_440), None);

/// What PHP is told besides where the sessions are. Rust's side reads of it what concerns the store.
const COMMON: &[(&str, &str)] = &[
    ("session.gc_maxlifetime", "1440"),
    ("session.serialize_handler", "php"),
    ("session.use_strict_mode", "1"),
    // As the cookie of Rust's side.
    ("session.name", "PHPSESSID"),
    ("session.cookie_httponly", "1"),
    ("session.cookie_samesite", "Lax"),
    // phpredis locks only when it is told to.
    ("redis.session.locking_enabled", "1"),
    ("redis.session.lock_expire", "30"),
    ("redis.session.lock_retries", "-1"),
];

/// PHP's settings of sessions, for PHP itself and for the store of Rust's side.
#[derive(Debug)]
pub(crate) struct Settings {
    pairs: Vec<(String, String)>,
    ini: Ini,
    /// Where the sessions are unless the environment says otherwise.
    _folder: TempDir,
}

impl Settings {
    /// `PHP_SESSION_SAVE_HANDLER` and `PHP_SESSION_SAVE_PATH`; files in a temporary folder without them.
    pub(crate) fn from_env() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let or = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
        let path = folder.path().display().to_string();
        let place = [
            ("session.save_handler", or("PHP_SESSION_SAVE_HANDLER", "files")),
            ("session.save_path", or("PHP_SESSION_SAVE_PATH", &path)),
        ];
        let common = COMMON.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let pairs = place.into_iter().chain(common);
        let pairs: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Self { ini: pairs.iter().cloned().collect(), pairs, _folder: folder })
    }

    /// For the store.
    pub(crate) fn ini(&self) -> &Ini {
        &self.ini
    }

    /// For PHP's command line. PHP takes a `;` in a bare value for the start of a comment.
    pub(crate) fn arguments(&self) -> Vec<String> {
        self.pairs.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect()
    }
}

/// The cookie that PHP sets too. Behind TLS, set `session.cookie_secure` for PHP, and delete
/// `without_secure`.
pub(crate) fn cookie() -> session::Result<SessionCookie> {
    SessionCookie::builder().name("PHPSESSID").foreign_ids().without_secure().build()
}
