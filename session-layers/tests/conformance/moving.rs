//! Two memory stores, and servers of a fleet that moves its sessions from one to the other.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use session_conformance::{Backend, MemoryBackend, MovableClock, Namespace};
use session_core::{Result, SessionStore};
use session_layers::{Migrating, Phase};

/// Two memory stores a namespace, and a layer over both.
#[derive(Debug)]
pub(crate) struct Moving {
    name: &'static str,
    phase: Phase,
    old: MemoryBackend,
    new: MemoryBackend,
}

impl Moving {
    pub(crate) fn new(name: &'static str, phase: Phase) -> Self {
        Self { name, phase, old: MemoryBackend::new(), new: MemoryBackend::new() }
    }
}

#[async_trait]
impl Backend for Moving {
    fn name(&self) -> &str {
        self.name
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        let (old, new) = (self.old.open(namespace).await?, self.new.open(namespace).await?);
        Ok(Arc::new(Migrating::new(old, new, self.phase)?))
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        self.old.cleanup(namespace).await?;
        self.new.cleanup(namespace).await
    }

    fn clock(&self) -> Option<&dyn MovableClock> {
        Some(self)
    }
}

#[async_trait]
impl MovableClock for Moving {
    async fn advance(&self, namespace: &Namespace, by: Duration) -> Result<()> {
        self.old.advance(namespace, by).await?;
        self.new.advance(namespace, by).await
    }

    async fn step_back(&self, namespace: &Namespace, by: Duration) -> Result<()> {
        self.old.step_back(namespace, by).await?;
        self.new.step_back(namespace, by).await
    }
}
