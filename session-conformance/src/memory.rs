//! The fixture of the store that is always there.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use session_core::{MemoryStore, OffsetClock, Result, SessionStore, SteadyClock};

use crate::{Backend, MovableClock, Namespace};

/// [`MemoryStore`] under test: one store a namespace, whose clock can be moved.
///
/// A second handle is a clone, since a memory store lives in one process.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    stores: Mutex<HashMap<Namespace, (MemoryStore, Arc<OffsetClock>)>>,
}

impl MemoryBackend {
    /// Without any namespace yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn stores(&self) -> MutexGuard<'_, HashMap<Namespace, (MemoryStore, Arc<OffsetClock>)>> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, namespace: &Namespace) -> (MemoryStore, Arc<OffsetClock>) {
        let mut stores = self.stores();
        let entry = stores.entry(namespace.clone()).or_insert_with(|| {
            let clock = Arc::new(OffsetClock::new(SteadyClock::start()));
            (MemoryStore::builder().clock(Arc::clone(&clock)).build(), clock)
        });
        entry.clone()
    }
}

#[async_trait]
impl Backend for MemoryBackend {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        Ok(Arc::new(self.at(namespace).0))
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        self.stores().remove(namespace);
        Ok(())
    }

    fn clock(&self) -> Option<&dyn MovableClock> {
        Some(self)
    }
}

#[async_trait]
impl MovableClock for MemoryBackend {
    async fn advance(&self, namespace: &Namespace, by: Duration) -> Result<()> {
        self.at(namespace).1.advance(by);
        Ok(())
    }

    async fn step_back(&self, namespace: &Namespace, by: Duration) -> Result<()> {
        self.at(namespace).1.step_back(by);
        Ok(())
    }
}
