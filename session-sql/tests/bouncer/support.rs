//! What all tests start from.

use std::time::Duration;

use session_core::{
    Key, KeyHasher, LockRequest, OpToken, ReadOptions, Record, SessionId, SessionStore, Write,
};
use session_sql::SqlStore;
use test_servers::sql::{Flavor, PgBouncer, PgBouncerOptions, Server};

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
/// More than any step takes: a hang is a failure, slowness is not.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// How the pooler is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setup {
    mode: Mode,
    /// Whether it takes clients that ask for what it does not do.
    ignores_options: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Session,
    /// It keeps track of prepared statements.
    Transaction,
    /// It does not.
    Untracked,
}

impl Setup {
    pub(crate) const ALL: &[Self] = &[
        Self { mode: Mode::Session, ignores_options: false },
        Self { mode: Mode::Session, ignores_options: true },
        Self { mode: Mode::Transaction, ignores_options: false },
        Self { mode: Mode::Transaction, ignores_options: true },
        Self { mode: Mode::Untracked, ignores_options: false },
        Self { mode: Mode::Untracked, ignores_options: true },
    ];

    pub(crate) fn name(self) -> String {
        let mode = match self.mode {
            Mode::Session => "session",
            Mode::Transaction => "transaction",
            Mode::Untracked => "transaction-untracked",
        };
        format!("{mode}{}", if self.ignores_options { "-ignoring" } else { "" })
    }

    fn options(self) -> PgBouncerOptions {
        let options = match self.mode {
            Mode::Session => PgBouncerOptions::session(),
            Mode::Transaction => PgBouncerOptions::transaction().max_prepared_statements(50),
            Mode::Untracked => PgBouncerOptions::transaction().max_prepared_statements(0),
        };
        if self.ignores_options { options.ignore_startup_parameters("options") } else { options }
    }

    pub(crate) fn is_session(self) -> bool {
        self.mode == Mode::Session
    }

    /// Whether it makes sure that a statement goes to where it was prepared.
    pub(crate) fn tracks_statements(self) -> bool {
        self.mode == Mode::Transaction
    }

    /// A pooler with so many connections to the server.
    pub(crate) async fn place(self, connections: u32) -> test_servers::Result<Place> {
        let server = Server::shared(Flavor::Postgres).await?;
        let database = server.fresh_database().await?;
        let bouncer = PgBouncer::start(server, &self.options().pool_size(connections)).await?;
        Ok(Place { url: bouncer.url(&database), bouncer })
    }

    /// How many connections clients may have who never leave: in session mode, as many as the
    /// server.
    pub(crate) fn clients(self, connections: u32) -> u32 {
        if self.is_session() { connections } else { 10 }
    }
}

/// A database, and a pooler before it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) bouncer: PgBouncer,
    pub(crate) url: String,
}

impl Place {
    /// A store, with tables.
    pub(crate) async fn open(&self, connections: u32) -> SqlStore {
        self.open_table(connections, "sessions").await
    }

    pub(crate) async fn open_table(&self, connections: u32, table: &str) -> SqlStore {
        // The machine may be busy: no test is about how long the database takes.
        let builder = SqlStore::builder(&self.url).unwrap();
        let builder = builder.max_connections(connections).table(table);
        let patient = builder.connect_timeout(SOON).response_timeout(SOON).timeout(SOON);
        let store = patient.open().await.unwrap();
        store.migrate().await.unwrap();
        store
    }
}

pub(crate) fn new_key() -> Key {
    KeyHasher::plain().key(&SessionId::generate().unwrap())
}

pub(crate) fn op() -> OpToken {
    OpToken::generate().unwrap()
}

/// Tries for `wait` to get a lock that lasts.
pub(crate) fn request(wait: Duration) -> LockRequest {
    LockRequest::new(op(), HOUR, wait)
}

pub(crate) fn write(payload: impl Into<Vec<u8>>) -> Write {
    Write::new(payload.into(), HOUR)
}

pub(crate) async fn load(store: &SqlStore, key: &Key) -> Option<Record> {
    store.load(key, ReadOptions::latest()).await.unwrap()
}
