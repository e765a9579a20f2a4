//! Stores in files and on a Redis.

#![expect(clippy::expect_used, reason = "a test fails where its store cannot be opened")]

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use session_core::{OffsetClock, SessionStore};
use session_files::FilesStore;
use session_http::scenarios::{Ignored, Place, Played, count};
use session_redis::{RedisConfig, RedisStore, RedisStoreBuilder};
use tempfile::TempDir;
use test_servers::redis::{Flavor, Server};

/// A machine may be busy: no scenario is about how long a server takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A name that no other store of the server has.
pub(crate) fn fresh_name() -> String {
    static OPENED: AtomicUsize = AtomicUsize::new(0);
    format!("scenario{}x{}", process::id(), OPENED.fetch_add(1, Ordering::Relaxed))
}

/// A directory.
#[derive(Debug)]
pub(crate) struct Files {
    store: Arc<FilesStore>,
    _directory: TempDir,
}

impl Files {
    pub(crate) async fn open(clock: Arc<OffsetClock>, max_waiters: usize) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let builder = FilesStore::builder(directory.path()).clock(clock).max_waiters(max_waiters);
        Self { store: Arc::new(builder.open().await.expect("a store")), _directory: directory }
    }
}

#[async_trait]
impl Place for Files {
    fn store(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.store) as Arc<dyn SessionStore>
    }

    async fn advance(&self, _by: Duration) -> Played {
        Ok(())
    }

    async fn records(&self) -> usize {
        count(&*self.store).await
    }
}

/// The keys with a prefix.
#[derive(Debug)]
pub(crate) struct Redis {
    store: Arc<RedisStore>,
    server: &'static Server,
    prefix: String,
}

impl Redis {
    pub(crate) async fn open(max_waiters: usize) -> Self {
        let server = Server::shared(Flavor::Redis).await.expect("a server");
        let prefix = format!("{}:", fresh_name());
        let url = format!("{}?session.prefix={prefix}", server.url());
        let config = RedisConfig::from_url(&url).expect("a URL");
        let builder = RedisStoreBuilder::from(config)
            .connect_timeout(PATIENCE)
            .response_timeout(PATIENCE)
            .timeout(PATIENCE * 2)
            .max_waiters(max_waiters);
        Self { store: Arc::new(builder.open().await.expect("a store")), server, prefix }
    }
}

#[async_trait]
impl Place for Redis {
    fn store(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.store) as Arc<dyn SessionStore>
    }

    async fn advance(&self, _by: Duration) -> Played {
        Err(Ignored::because("the clock is the server's, which cannot be moved"))
    }

    async fn records(&self) -> usize {
        // The keys of sessions end in a digest of 43 characters, and those of users in more.
        let pattern = format!("{}{}", self.prefix, "?".repeat(43));
        let keys = self.server.command(&["--scan", "--pattern", &pattern]).await;
        keys.expect("the server answers").lines().filter(|line| !line.is_empty()).count()
    }
}
