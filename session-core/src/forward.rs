//! A pointer to a store is a store.

#![deny(clippy::missing_trait_methods)]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    Capabilities, Cursor, Enumeration, Expected, Incarnation, Key, Lease, LockRequest, Locked,
    OpToken, PrincipalIndex, ReadOptions, Record, Result, Revision, SessionStore, SweepBudget,
    SweepReport, Ttl, Under, Write,
};

macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        impl<S: SessionStore + ?Sized> SessionStore for $pointer<S> {
            async fn create(
                &self,
                key: &Key,
                write: Write,
                op: OpToken,
                under: Option<Under<'_>>,
            ) -> Result<Revision> {
                (**self).create(key, write, op, under).await
            }

            async fn load(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
                (**self).load(key, options).await
            }

            async fn save(
                &self,
                key: &Key,
                write: Write,
                expected: Expected<'_>,
                op: OpToken,
            ) -> Result<Revision> {
                (**self).save(key, write, expected, op).await
            }

            async fn touch(
                &self,
                key: &Key,
                ttl: Ttl,
                incarnation: Incarnation,
                op: OpToken,
            ) -> Result<()> {
                (**self).touch(key, ttl, incarnation, op).await
            }

            async fn delete(&self, key: &Key, expected: Expected<'_>, op: OpToken) -> Result<()> {
                (**self).delete(key, expected, op).await
            }

            async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
                (**self).lock(key, request).await
            }

            async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
                (**self).renew(key, lease, duration).await
            }

            async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
                (**self).release(key, lease).await
            }

            async fn sweep(
                &self,
                cursor: Option<&Cursor>,
                budget: SweepBudget,
            ) -> Result<SweepReport> {
                (**self).sweep(cursor, budget).await
            }

            async fn ping(&self) -> Result<()> {
                (**self).ping().await
            }

            fn capabilities(&self) -> &Capabilities {
                (**self).capabilities()
            }

            fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
                (**self).principal_index()
            }

            fn enumeration(&self) -> Option<&dyn Enumeration> {
                (**self).enumeration()
            }
        }
    };
}

forward!(Arc);
forward!(Box);
