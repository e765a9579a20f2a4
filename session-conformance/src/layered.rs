//! The fixture of a layer: another fixture, with the layer around every store that it opens.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use session_core::{Result, SessionStore};

use crate::{
    Backend, Layout, MovableClock, Namespace, RawAccess, SingleConnectionOpen, Skew, SkewedOpen,
    WriteCounter,
};

/// A layer (a store around a store) under test, on the stores of another fixture.
///
/// It can do what that fixture can.
pub struct Layered<B> {
    name: &'static str,
    inner: B,
    layer: Layer,
}

type Layer = fn(Arc<dyn SessionStore>, &Namespace) -> Arc<dyn SessionStore>;

impl<B: Backend> Layered<B> {
    /// Puts `layer` around the stores that `inner` opens.
    #[must_use]
    pub const fn new(name: &'static str, inner: B, layer: Layer) -> Self {
        Self { name, inner, layer }
    }
}

impl<B: Backend> fmt::Debug for Layered<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(self.name).field(&self.inner).finish()
    }
}

#[async_trait]
impl<B: Backend> Backend for Layered<B> {
    fn name(&self) -> &str {
        self.name
    }

    async fn open(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        Ok((self.layer)(self.inner.open(namespace).await?, namespace))
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        self.inner.cleanup(namespace).await
    }

    async fn server_version(&self) -> Option<String> {
        self.inner.server_version().await
    }

    fn layout(&self) -> Layout {
        self.inner.layout()
    }

    fn clock(&self) -> Option<&dyn MovableClock> {
        self.inner.clock()
    }

    fn write_counter(&self) -> Option<&dyn WriteCounter> {
        self.inner.write_counter()
    }

    fn raw(&self) -> Option<&dyn RawAccess> {
        self.inner.raw()
    }

    fn skewed(&self) -> Option<&dyn SkewedOpen> {
        self.inner.skewed()?;
        Some(self)
    }

    fn single_connection(&self) -> Option<&dyn SingleConnectionOpen> {
        self.inner.single_connection()?;
        Some(self)
    }
}

#[async_trait]
impl<B: Backend> SkewedOpen for Layered<B> {
    #[expect(clippy::expect_used, reason = "`skewed` lends it only where the inner one does")]
    async fn open_skewed(
        &self,
        namespace: &Namespace,
        skew: Skew,
    ) -> Result<Arc<dyn SessionStore>> {
        let inner = self.inner.skewed().expect("an inner fixture with wrong clocks");
        Ok((self.layer)(inner.open_skewed(namespace, skew).await?, namespace))
    }
}

#[async_trait]
impl<B: Backend> SingleConnectionOpen for Layered<B> {
    #[expect(clippy::expect_used, reason = "lent only where the inner one does")]
    async fn open_single(&self, namespace: &Namespace) -> Result<Arc<dyn SessionStore>> {
        let inner = self.inner.single_connection().expect("an inner fixture with one connection");
        Ok((self.layer)(inner.open_single(namespace).await?, namespace))
    }
}
