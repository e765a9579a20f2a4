//! The stores that the behaviours are shown on.

use std::sync::Arc;

use session_core::{MemoryStore, SessionStore};
use session_files::FilesStore;
use session_redis::RedisStore;
use session_sql::SqlStore;
use tempfile::TempDir;
use test_servers::{redis, sql};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Files,
    Redis,
    MariaDb,
}

/// A store, and what it stands on.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) store: Arc<dyn SessionStore>,
    ground: Ground,
}

#[derive(Debug)]
enum Ground {
    None,
    Folder(#[expect(dead_code, reason = "it is kept until the end of the test")] TempDir),
    Redis(Box<redis::Server>),
}

impl Place {
    /// How many sessions there are.
    pub(crate) async fn records(&self) -> usize {
        if let Ground::Redis(server) = &self.ground {
            return server.command(&["DBSIZE"]).await.unwrap().trim().parse().unwrap();
        }
        let all = self.store.enumeration().unwrap();
        all.keys(None, usize::MAX).await.unwrap().keys.len()
    }
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Memory, Self::Files, Self::Redis, Self::MariaDb];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Files => "files",
            Self::Redis => "redis",
            Self::MariaDb => "mariadb",
        }
    }

    /// What its tests go by in `SESSION_REQUIRE` and `SESSION_SKIP`.
    pub(crate) fn words(self) -> &'static [&'static str] {
        match self {
            Self::Memory => &[],
            Self::Files => &["files"],
            Self::Redis => &["redis"],
            Self::MariaDb => &["mariadb"],
        }
    }

    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Self::Memory | Self::Files => None,
            Self::Redis => redis::Flavor::Redis.missing(),
            Self::MariaDb => sql::Server::missing(&sql::Options::mariadb()),
        }
    }

    pub(crate) async fn open(self) -> Result<Place, Box<dyn std::error::Error>> {
        let (store, ground): (Arc<dyn SessionStore>, _) = match self {
            Self::Memory => (Arc::new(MemoryStore::new()), Ground::None),
            Self::Files => {
                let folder = tempfile::tempdir()?;
                let store = FilesStore::builder(folder.path()).open().await?;
                (Arc::new(store), Ground::Folder(folder))
            }
            Self::Redis => {
                let server = redis::Server::start(&redis::Options::redis()).await?;
                let store = RedisStore::open(&server.url()).await?;
                (Arc::new(store), Ground::Redis(Box::new(server)))
            }
            Self::MariaDb => {
                let server = sql::Server::shared(sql::Flavor::MariaDb).await?;
                let store = SqlStore::open(&server.fresh_database().await?).await?;
                store.migrate().await?;
                (Arc::new(store), Ground::None)
            }
        };
        Ok(Place { store, ground })
    }
}
