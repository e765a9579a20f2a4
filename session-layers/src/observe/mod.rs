//! Spans and metrics of a store.

mod call;
mod metric;

use async_trait::async_trait;
use session_core::{
    Cursor, Enumeration, Error, ErrorKind, Expected, Key, KeyPage, LockRequest, Locked, OpToken,
    Operation, PrincipalDigest, PrincipalIndex, ReadOptions, Record, Result, Revision,
    SessionStore, SweepBudget, SweepReport, Under, Write, forward,
};

use self::call::Call;
pub use self::metric::describe_metrics;
#[cfg(feature = "encryption")]
pub(crate) use self::metric::undecryptable;

#[doc = include_str!("observed.md")]
#[derive(Debug, Clone)]
pub struct Observed<S> {
    inner: S,
}

impl<S: SessionStore> Observed<S> {
    /// Observes `inner`, and [describes](describe_metrics) the metrics to the recorder, if the
    /// program has installed one.
    #[must_use]
    pub fn new(inner: S) -> Self {
        describe_metrics();
        Self { inner }
    }

    fn backend(&self) -> &'static str {
        self.inner.capabilities().backend
    }

    async fn observed<T: Send>(
        &self,
        operation: Operation,
        key: Option<&Key>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        Call::begin(self.backend(), operation, key).carry(call, |_| metric::OK).await
    }

    fn note_payload(&self, operation: Operation, bytes: usize) {
        metric::payload(self.backend(), operation, bytes);
    }

    fn index(&self) -> Result<&dyn PrincipalIndex> {
        let missing = || Error::new(ErrorKind::Unsupported, self.backend(), Operation::Index);
        self.inner.principal_index().ok_or_else(missing)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore> SessionStore for Observed<S> {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        let bytes = write.payload.len();
        let call = self.inner.create(key, write, op, under);
        let revision = self.observed(Operation::Create, Some(key), call).await?;
        self.note_payload(Operation::Create, bytes);
        Ok(revision)
    }

    async fn load(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        let call = Call::begin(self.backend(), Operation::Load, Some(key));
        let outcome = |record: &Option<Record>| match record {
            Some(_) => metric::OK,
            None => metric::ABSENT,
        };
        let record = call.carry(self.inner.load(key, options), outcome).await?;
        if let Some(record) = &record {
            self.note_payload(Operation::Load, record.payload.len());
        }
        Ok(record)
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        let bytes = write.payload.len();
        let call = self.inner.save(key, write, expected, op);
        let revision = self.observed(Operation::Save, Some(key), call).await?;
        self.note_payload(Operation::Save, bytes);
        Ok(revision)
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        let call = self.inner.lock(key, request);
        let locked = self.observed(Operation::Lock, Some(key), call).await?;
        if let Some(record) = &locked.record {
            self.note_payload(Operation::Lock, record.payload.len());
        }
        Ok(locked)
    }

    async fn sweep(&self, cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport> {
        let call = self.inner.sweep(cursor, budget);
        let report = self.observed(Operation::Sweep, None, call).await?;
        metric::swept(self.backend(), &report);
        Ok(report)
    }

    forward!(self => self.inner, around observed; touch delete renew release ping);
    forward!(self => self.inner; capabilities);

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        self.inner.principal_index()?;
        Some(self)
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        self.inner.enumeration()?;
        Some(self)
    }
}

#[async_trait]
impl<S: SessionStore> PrincipalIndex for Observed<S> {
    async fn list(
        &self,
        principal: &PrincipalDigest,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<KeyPage> {
        let call = self.index()?.list(principal, cursor, limit);
        self.observed(Operation::Index, None, call).await
    }

    async fn epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        self.observed(Operation::Index, None, self.index()?.epoch(principal)).await
    }

    async fn bump_epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        self.observed(Operation::Index, None, self.index()?.bump_epoch(principal)).await
    }

    async fn revoke(&self, principal: &PrincipalDigest, except: Option<&Key>) -> Result<usize> {
        self.observed(Operation::Index, None, self.index()?.revoke(principal, except)).await
    }
}

#[async_trait]
impl<S: SessionStore> Enumeration for Observed<S> {
    async fn keys(&self, cursor: Option<&Cursor>, limit: usize) -> Result<KeyPage> {
        let missing = || Error::new(ErrorKind::Unsupported, self.backend(), Operation::Enumerate);
        let call = self.inner.enumeration().ok_or_else(missing)?.keys(cursor, limit);
        self.observed(Operation::Enumerate, None, call).await
    }
}
