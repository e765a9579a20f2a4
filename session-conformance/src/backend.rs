//! The fixture: what the suite needs to know of a store under test.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use session_core::{Key, OpToken, Result, SessionId, SessionStore};

/// A store under test: how the suite opens it, and what else it may do to it.
///
/// Two methods are enough: [`name`](Self::name) and [`open`](Self::open). Each other method is an
/// ability; without it the cases that need it are reported as ignored, with the reason.
///
/// The suite only ever works in namespaces of its own making. Cases run at the same time, each in
/// a fresh namespace; so whatever an ability does must be confined to the namespace it is given.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// The store's name in reports and in `SESSION_REQUIRE`: `"memory"`, `"redis-cluster"`.
    fn name(&self) -> &str;

    /// Opens a handle to the sessions of `namespace`.
    ///
    /// Each call gives another, independent handle to the same sessions, as another server has
    /// it: with its own connections and nothing in common but the store itself.
    ///
    /// # Errors
    /// Those of the store.
    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>>;

    /// Removes everything in `namespace`. Called when a case has passed; what a failed case leaves
    /// behind is kept for inspection.
    ///
    /// # Errors
    /// Those of the store.
    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        let _ = namespace;
        Ok(())
    }

    /// The server's name and version, for the report.
    async fn server_version(&self) -> Option<String> {
        None
    }

    /// Whether the layout is our own or one that another system defined. Foreign layouts may keep
    /// the raw id.
    fn layout(&self) -> Layout {
        Layout::Native
    }

    /// The longest id that the layout has room for.
    fn longest_id(&self) -> usize {
        SessionId::MAX_LEN
    }

    /// The clock by which the store judges deadlines and leases, if it can be moved.
    fn clock(&self) -> Option<&dyn MovableClock> {
        None
    }

    /// The count of writes that reached the backend.
    fn write_counter(&self) -> Option<&dyn WriteCounter> {
        None
    }

    /// The bytes that are stored.
    fn raw(&self) -> Option<&dyn RawAccess> {
        None
    }

    /// Handles of servers whose own clock is wrong.
    fn skewed(&self) -> Option<&dyn SkewedOpen> {
        None
    }

    /// Handles with a pool of one connection.
    fn single_connection(&self) -> Option<&dyn SingleConnectionOpen> {
        None
    }
}

/// A place in the store that belongs to one case: a key prefix, a table, a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Namespace(String);

impl Namespace {
    /// A fresh one: `conf` and 16 random hexadecimal digits, so that it fits every naming rule.
    ///
    /// # Errors
    /// [`Unavailable`](session_core::ErrorKind::Unavailable) when there are no random bytes.
    pub fn fresh() -> Result<Self> {
        let random = HEXLOWER.encode(OpToken::generate()?.as_bytes());
        Ok(Self(format!("conf{}", random.get(..16).unwrap_or(&random))))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose layout a store keeps its records in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// Our own: under the digest of the id only.
    Native,
    /// One that another system defined: possibly under the id itself.
    Foreign,
}

/// Moves the clock by which a store judges the deadlines and leases of one namespace.
#[async_trait]
pub trait MovableClock: Send + Sync {
    /// Moves it forward.
    ///
    /// # Errors
    /// Those of the store.
    async fn advance(&self, namespace: &Namespace, by: Duration) -> Result<()>;

    /// Moves it back.
    ///
    /// # Errors
    /// Those of the store.
    async fn step_back(&self, namespace: &Namespace, by: Duration) -> Result<()>;
}

/// Counts the writes that reached the backend, through whichever handle.
#[async_trait]
pub trait WriteCounter: Send + Sync {
    /// How many write commands were sent for `namespace` so far, refused ones included.
    ///
    /// # Errors
    /// Those of the store.
    async fn writes(&self, namespace: &Namespace) -> Result<u64>;
}

/// Reads and damages what is stored, past the store.
#[async_trait]
pub trait RawAccess: Send + Sync {
    /// Damages the stored record of `key`.
    ///
    /// # Errors
    /// Those of the store.
    async fn damage(&self, namespace: &Namespace, key: &Key, damage: Damage) -> Result<()>;

    /// Everything that is stored in `namespace`: for each item (key, row, file) its name and its
    /// bytes in one piece.
    ///
    /// # Errors
    /// Those of the store.
    async fn dump(&self, namespace: &Namespace) -> Result<Vec<Vec<u8>>>;
}

/// What is done to a stored record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Damage {
    /// One bit of its payload is flipped, in the middle.
    FlippedBit,
    /// Its second half is missing.
    Truncated,
}

/// Opens handles of servers whose own clock is wrong.
#[async_trait]
pub trait SkewedOpen: Send + Sync {
    /// Like [`Backend::open`], on a server whose wall clock is off by `skew`.
    ///
    /// # Errors
    /// Those of the store.
    async fn open_skewed(&self, namespace: &Namespace, skew: Skew)
    -> Result<Arc<dyn SessionStore>>;
}

/// By how much a server's clock is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Skew {
    /// It shows a later time.
    Ahead(Duration),
    /// It shows an earlier time.
    Behind(Duration),
}

/// Opens handles with a pool of one connection.
#[async_trait]
pub trait SingleConnectionOpen: Send + Sync {
    /// Like [`Backend::open`], with a pool of one connection.
    ///
    /// # Errors
    /// Those of the store.
    async fn open_single(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>>;
}
