//! Where Symfony's handler keeps sessions.

use std::time::Duration;

use session_core::{Error, ErrorKind, Operation, Result};

use crate::{BACKEND, SqlConfig, url::Dialect};

/// Where Symfony's handler keeps sessions, and how it locks them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhpLayout {
    /// The database, and in `table` the table. A lock has a connection of its own, beyond
    /// `max_connections`.
    pub sql: SqlConfig,
    /// The column of the id. Default: `sess_id`.
    pub id_column: String,
    /// The column of the payload. Default: `sess_data`.
    pub data_column: String,
    /// The column of the second until which a session lives. Default: `sess_lifetime`.
    pub lifetime_column: String,
    /// The column of the second of the last write or touch. Default: `sess_time`.
    pub time_column: String,
    /// How sessions are locked; PHP's side must do the same. Default: [`PhpLock::Transactional`].
    pub lock: PhpLock,
}

/// How Symfony's handler locks a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PhpLock {
    /// Not at all: `LOCK_NONE`.
    None,
    /// By a lock of the server that is named after the id: `LOCK_ADVISORY`. Not on SQLite.
    Advisory,
    /// By the row, in a transaction that lasts as long as the page: `LOCK_TRANSACTIONAL`. On SQLite it
    /// is the whole database.
    Transactional,
}

impl PhpLayout {
    /// Symfony's defaults in a database. Its table is that of `sql`.
    #[must_use]
    pub fn new(sql: SqlConfig) -> Self {
        Self {
            sql,
            id_column: "sess_id".to_owned(),
            data_column: "sess_data".to_owned(),
            lifetime_column: "sess_lifetime".to_owned(),
            time_column: "sess_time".to_owned(),
            lock: PhpLock::Transactional,
        }
    }

    /// See [`lock`](Self::lock).
    #[must_use]
    pub const fn with_lock(mut self, lock: PhpLock) -> Self {
        self.lock = lock;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |detail| {
            Err(Error::new(ErrorKind::Config, BACKEND, Operation::Open).with_detail(detail))
        };
        let names = [&self.id_column, &self.data_column, &self.lifetime_column, &self.time_column];
        let is_name = |name: &&String| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !names.iter().all(is_name) {
            return wrong("names of columns are letters, digits and `_`");
        }
        if self.lock == PhpLock::Advisory && self.sql.dialect == Dialect::Sqlite {
            return wrong("SQLite has no advisory locks, and Symfony refuses them there");
        }
        self.sql.check()
    }
}

/// How long a session can live: the columns of most engines end in 2038.
pub(super) const NEVER: i64 = i32::MAX as i64;
/// Where ids do not fit into the column.
pub(super) const LONGEST_ID: usize = 128;
/// Between two tries at a lock.
pub(super) const POLLS: (Duration, Duration) = (Duration::from_millis(2), WAKE_STEP);
pub(super) const WAKE_STEP: Duration = Duration::from_millis(30);
