//! The settings of a store, and their form as a URL.

use std::{fmt, time::Duration};

use session_core::{Capabilities, Result};

/// The settings of a [`SqlStore`](crate::SqlStore).
///
/// `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqlConfig {
    /// Where the database is, without the settings of the store: what `sqlx` reads.
    pub(crate) url: String,
    /// The table of the sessions, as `table` or `schema.table`; names are letters, digits and `_`.
    /// Default: `sessions`. Beside it there is one for principals, whose name has `_epochs` at its end.
    pub table: String,
    /// The most connections to the database. Default: 10.
    pub max_connections: u32,
    /// How long connecting may take, logging in included. Default: 2 s.
    pub connect_timeout: Duration,
    /// How long one statement may take. Default: 2 s.
    pub response_timeout: Duration,
    /// How long a call may take, with waiting for a connection and all tries, but without waiting for
    /// a lock. Default: 5 s.
    pub timeout: Duration,
    /// The age at which a connection is replaced, give or take a tenth. Default: 30 min.
    pub max_lifetime: Duration,
    /// The largest payload in bytes. Default: 1 MiB.
    pub max_payload: usize,
    /// The most waiters for one lock in one process. Default: 64.
    pub max_waiters: usize,
}

impl SqlConfig {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config), which names the key at fault but never a value.
    pub fn from_url(url: &str) -> Result<Self> {
        Ok(Self {
            url: url.to_owned(),
            table: "sessions".to_owned(),
            max_connections: 10,
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            max_lifetime: Duration::from_secs(1_800),
            max_payload: Capabilities::new("sql").max_payload,
            max_waiters: 64,
        })
    }
}

impl fmt::Debug for SqlConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlConfig").field("table", &self.table).finish_non_exhaustive()
    }
}
