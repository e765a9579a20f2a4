//! A store that does what another one does, but for the one thing that is wrong with it.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::{
    Capabilities, Cursor, Enumeration, Error, ErrorKind, Expected, Incarnation, Key, KeyPage,
    Lease, LockRequest, Locked, OpToken, Operation, PrincipalDigest, PrincipalIndex, ReadOptions,
    Record, Result, Revision, SessionStore, SweepBudget, SweepReport, Ttl, Under, Write,
};

/// The store that is right.
pub(crate) type Inner = Arc<dyn SessionStore>;

/// What is wrong. Each method does what the right store does; a mischief replaces some of them.
#[async_trait]
pub(crate) trait Mischief: fmt::Debug + Send + Sync + 'static {
    /// What the store claims.
    fn declare(&self, _has: &mut Capabilities) {}

    /// The key that is used in place of the caller's.
    fn key<'a>(&self, key: &'a Key) -> Cow<'a, Key> {
        Cow::Borrowed(key)
    }

    async fn create(
        &self,
        inner: &Inner,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        inner.create(key, write, op, under).await
    }

    async fn load(&self, inner: &Inner, key: &Key) -> Result<Option<Record>> {
        inner.load(key, ReadOptions::latest()).await
    }

    async fn save(
        &self,
        inner: &Inner,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        inner.save(key, write, expected, op).await
    }

    async fn touch(
        &self,
        inner: &Inner,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        op: OpToken,
    ) -> Result<()> {
        inner.touch(key, ttl, incarnation, op).await
    }

    async fn delete(
        &self,
        inner: &Inner,
        key: &Key,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<()> {
        inner.delete(key, expected, op).await
    }

    async fn lock(&self, inner: &Inner, key: &Key, request: LockRequest) -> Result<Locked> {
        inner.lock(key, request).await
    }

    async fn renew(
        &self,
        inner: &Inner,
        key: &Key,
        lease: &Lease,
        duration: Duration,
    ) -> Result<()> {
        inner.renew(key, lease, duration).await
    }

    async fn release(&self, inner: &Inner, key: &Key, lease: &Lease) -> Result<()> {
        inner.release(key, lease).await
    }

    async fn sweep(
        &self,
        inner: &Inner,
        cursor: Option<&Cursor>,
        budget: SweepBudget,
    ) -> Result<SweepReport> {
        inner.sweep(cursor, budget).await
    }

    async fn ping(&self, inner: &Inner) -> Result<()> {
        inner.ping().await
    }

    async fn list(
        &self,
        inner: &Inner,
        principal: &PrincipalDigest,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<KeyPage> {
        index(inner)?.list(principal, cursor, limit).await
    }

    async fn bump_epoch(&self, inner: &Inner, principal: &PrincipalDigest) -> Result<u64> {
        index(inner)?.bump_epoch(principal).await
    }

    async fn revoke(
        &self,
        inner: &Inner,
        principal: &PrincipalDigest,
        except: Option<&Key>,
    ) -> Result<usize> {
        index(inner)?.revoke(principal, except).await
    }

    async fn keys(&self, inner: &Inner, cursor: Option<&Cursor>, limit: usize) -> Result<KeyPage> {
        enumeration(inner)?.keys(cursor, limit).await
    }

    /// Whether there is an index.
    fn has_index(&self) -> bool {
        true
    }
}

pub(super) fn index(inner: &Inner) -> Result<&dyn PrincipalIndex> {
    inner.principal_index().ok_or_else(|| missing(Operation::Index))
}

pub(super) fn enumeration(inner: &Inner) -> Result<&dyn Enumeration> {
    inner.enumeration().ok_or_else(|| missing(Operation::Enumerate))
}

fn missing(operation: Operation) -> Error {
    Error::new(ErrorKind::Unsupported, "broken", operation)
}

/// A right store with a mischief in front of it.
#[derive(Debug)]
pub(crate) struct Broken<M> {
    inner: Inner,
    mischief: M,
    capabilities: Capabilities,
}

impl<M: Mischief> Broken<M> {
    pub(crate) fn new(inner: Inner, mischief: M) -> Self {
        let mut capabilities = inner.capabilities().clone();
        mischief.declare(&mut capabilities);
        Self { inner, mischief, capabilities }
    }
}

#[async_trait]
impl<M: Mischief> SessionStore for Broken<M> {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        self.mischief.create(&self.inner, &self.mischief.key(key), write, op, under).await
    }

    async fn load(&self, key: &Key, _: ReadOptions) -> Result<Option<Record>> {
        self.mischief.load(&self.inner, &self.mischief.key(key)).await
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        self.mischief.save(&self.inner, &self.mischief.key(key), write, expected, op).await
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        op: OpToken,
    ) -> Result<()> {
        self.mischief.touch(&self.inner, &self.mischief.key(key), ttl, incarnation, op).await
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, op: OpToken) -> Result<()> {
        self.mischief.delete(&self.inner, &self.mischief.key(key), expected, op).await
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        self.mischief.lock(&self.inner, &self.mischief.key(key), request).await
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        self.mischief.renew(&self.inner, &self.mischief.key(key), lease, duration).await
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        self.mischief.release(&self.inner, &self.mischief.key(key), lease).await
    }

    async fn sweep(&self, cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport> {
        self.mischief.sweep(&self.inner, cursor, budget).await
    }

    async fn ping(&self) -> Result<()> {
        self.mischief.ping(&self.inner).await
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        self.inner.principal_index()?;
        self.mischief.has_index().then_some(self)
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        self.inner.enumeration()?;
        Some(self)
    }
}

#[async_trait]
impl<M: Mischief> PrincipalIndex for Broken<M> {
    async fn list(
        &self,
        principal: &PrincipalDigest,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<KeyPage> {
        self.mischief.list(&self.inner, principal, cursor, limit).await
    }

    async fn epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        index(&self.inner)?.epoch(principal).await
    }

    async fn bump_epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        self.mischief.bump_epoch(&self.inner, principal).await
    }

    async fn revoke(&self, principal: &PrincipalDigest, except: Option<&Key>) -> Result<usize> {
        self.mischief.revoke(&self.inner, principal, except).await
    }
}

#[async_trait]
impl<M: Mischief> Enumeration for Broken<M> {
    async fn keys(&self, cursor: Option<&Cursor>, limit: usize) -> Result<KeyPage> {
        self.mischief.keys(&self.inner, cursor, limit).await
    }
}

/// Makes a macro for each method: `on_create!(Name, |this, inner, key, write, op, under| body)`
/// says what `create` does instead in the mischief `Name`.
macro_rules! shorthands {
    ($dollar:tt $($macro:ident: $method:ident($($argument:ident: $type:ty),+) -> $result:ty;)+) => {
        $(shorthands!(@one $dollar $macro: $method($($argument: $type),+) -> $result);)+
    };
    (@one $d:tt $macro:ident: $method:ident($($argument:ident: $type:ty),+) -> $result:ty) => {
        macro_rules! $macro {
            ($d mischief:ident, |$d this:pat_param, $($d $argument:pat_param),+| $d body:expr) => {
                #[async_trait::async_trait]
                impl crate::broken::mischief::Mischief for $d mischief {
                    async fn $method(
                        &self,
                        $($d $argument: $type),+
                    ) -> session_core::Result<$result> {
                        let $d this = self;
                        $d body
                    }
                }
            };
        }
        pub(super) use $macro;
    };
}

shorthands! { $
    on_create: create(
        inner: &crate::broken::mischief::Inner,
        key: &session_core::Key,
        write: session_core::Write,
        op: session_core::OpToken,
        under: Option<session_core::Under<'_>>
    ) -> session_core::Revision;
    on_load: load(
        inner: &crate::broken::mischief::Inner,
        key: &session_core::Key
    ) -> Option<session_core::Record>;
    on_save: save(
        inner: &crate::broken::mischief::Inner,
        key: &session_core::Key,
        write: session_core::Write,
        expected: session_core::Expected<'_>,
        op: session_core::OpToken
    ) -> session_core::Revision;
    on_touch: touch(
        inner: &crate::broken::mischief::Inner,
        key: &session_core::Key,
        ttl: session_core::Ttl,
        incarnation: session_core::Incarnation,
        op: session_core::OpToken
    ) -> ();
    on_delete: delete(
        inner: &crate::broken::mischief::Inner,
        key: &session_core::Key,
        expected: session_core::Expected<'_>,
        op: session_core::OpToken
    ) -> ();
    on_lock: lock(
        inner: &crate::broken::mischief::Inner,
        key: &session_core::Key,
        request: session_core::LockRequest
    ) -> session_core::Locked;
    on_renew: renew(
        inner: &crate::broken::mischief::Inner,
        key: &session_core::Key,
        lease: &session_core::Lease,
        duration: std::time::Duration
    ) -> ();
    on_sweep: sweep(
        inner: &crate::broken::mischief::Inner,
        cursor: Option<&session_core::Cursor>,
        budget: session_core::SweepBudget
    ) -> session_core::SweepReport;
}
