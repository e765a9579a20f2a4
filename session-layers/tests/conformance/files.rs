//! A directory with one store for each namespace, by a clock that the cases move.

use std::{
    collections::HashMap,
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use session_conformance::{Backend, MovableClock, Namespace};
use session_core::{Error, ErrorKind, OffsetClock, Operation, Result, SessionStore, SystemClock};
use session_files::FilesStore;
use tempfile::TempDir;

/// For one operation beside others that flush.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Files {
    directory: TempDir,
    clocks: Mutex<HashMap<Namespace, Arc<OffsetClock>>>,
}

impl Files {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { directory: TempDir::new()?, clocks: Mutex::default() })
    }

    fn clock_of(&self, namespace: &Namespace) -> Arc<OffsetClock> {
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(OffsetClock::new(SystemClock::default()));
        Arc::clone(clocks.entry(namespace.clone()).or_insert_with(new))
    }
}

#[async_trait]
impl Backend for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        let builder = FilesStore::builder(self.directory.path().join(namespace.as_str()));
        let builder = builder.clock(self.clock_of(namespace)).timeout(PATIENCE);
        Ok(Arc::new(builder.open().await?))
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        // What the case let drop may still be under way.
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(error) = fs::remove_dir_all(self.directory.path().join(namespace.as_str())) {
            if Instant::now() > deadline {
                return Err(
                    Error::new(ErrorKind::Backend, "fixture", Operation::Open).with_source(error)
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    fn clock(&self) -> Option<&dyn MovableClock> {
        Some(self)
    }
}

#[async_trait]
impl MovableClock for Files {
    async fn advance(&self, namespace: &Namespace, by: Duration) -> Result<()> {
        self.clock_of(namespace).advance(by);
        Ok(())
    }

    async fn step_back(&self, namespace: &Namespace, by: Duration) -> Result<()> {
        self.clock_of(namespace).step_back(by);
        Ok(())
    }
}
