//! A handle to the store under test, with the steps that cases are made of.

use std::{ops::Deref, sync::Arc, time::Duration};

use bytes::Bytes;
use session_core::{
    ErrorKind, Expected, Key, Lease, LockRequest, OpToken, ReadOptions, Record, Result, Revision,
    SessionStore, SweepBudget, SweepReport, Ttl, Write,
};

use crate::outcome::Failure;

/// The life of a record that must not expire during a case.
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
/// A lease that must not lapse during a case.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// One server's handle to the store. Where a case needs another outcome than success it calls the
/// store itself, to which this derefs.
#[derive(Debug, Clone)]
pub(crate) struct Client(Arc<dyn SessionStore>);

/// A lock that was won.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) lease: Lease,
    pub(crate) record: Option<Record>,
}

impl Held {
    /// The revision that was read under the lease.
    #[track_caller]
    pub(crate) fn revision(&self) -> Result<Revision, Failure> {
        let record = self.record.as_ref();
        record
            .map(|record| record.revision)
            .ok_or_else(|| Failure::new("the lock came without the record"))
    }
}

impl Client {
    pub(crate) fn new(store: Arc<dyn SessionStore>) -> Self {
        Self(store)
    }

    pub(crate) fn store(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.0)
    }

    /// Creates a record that lives for an hour.
    pub(crate) async fn put(
        &self,
        key: &Key,
        payload: impl Into<Bytes> + Send,
    ) -> Result<Revision> {
        self.put_write(key, Write::new(payload, HOUR)).await
    }

    /// Creates a record that lives for `ttl`.
    pub(crate) async fn put_for(
        &self,
        key: &Key,
        payload: impl Into<Bytes> + Send,
        ttl: impl Into<Ttl> + Send,
    ) -> Result<Revision> {
        self.put_write(key, Write::new(payload, ttl)).await
    }

    pub(crate) async fn put_write(&self, key: &Key, write: Write) -> Result<Revision> {
        self.0.create(key, write, OpToken::generate()?, None).await
    }

    /// Reads the latest state.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Record>> {
        self.0.load(key, ReadOptions::latest()).await
    }

    /// Reads a record that must be there.
    pub(crate) async fn found(&self, key: &Key) -> Result<Record, Failure> {
        self.get(key).await?.ok_or_else(|| Failure::new("a live record is reported as absent"))
    }

    /// Replaces the payload if the record is as expected, for an hour.
    pub(crate) async fn save_as(
        &self,
        key: &Key,
        payload: impl Into<Bytes> + Send,
        expected: Expected<'_>,
    ) -> Result<Revision> {
        self.save_write(key, Write::new(payload, HOUR), expected).await
    }

    pub(crate) async fn save_write(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
    ) -> Result<Revision> {
        self.0.save(key, write, expected, OpToken::generate()?).await
    }

    /// Replaces the payload if the record is at `revision`, for an hour.
    pub(crate) async fn update(
        &self,
        key: &Key,
        payload: impl Into<Bytes> + Send,
        revision: Revision,
    ) -> Result<Revision> {
        self.save_as(key, payload, Expected::Revision(revision)).await
    }

    /// Extends the life of a record at `revision`.
    pub(crate) async fn prolong(
        &self,
        key: &Key,
        ttl: impl Into<Ttl> + Send,
        revision: Revision,
    ) -> Result<()> {
        let ttl = ttl.into();
        self.0.touch(key, ttl, revision.incarnation(), OpToken::generate()?).await
    }

    /// Removes whatever is there.
    pub(crate) async fn discard(&self, key: &Key) -> Result<()> {
        self.0.delete(key, Expected::Any, OpToken::generate()?).await
    }

    /// Waits for the lock.
    pub(crate) async fn lock_for(
        &self,
        key: &Key,
        lease: Duration,
        wait: Duration,
    ) -> Result<Held, Failure> {
        Self::held(self.request(key, lease, wait).await?)
    }

    /// Takes a lock that must be free, for longer than the case lasts.
    pub(crate) async fn hold(&self, key: &Key) -> Result<Held, Failure> {
        self.lock_for(key, LONG, Duration::ZERO).await
    }

    /// Asks for the lock with a token of its own.
    pub(crate) async fn request(
        &self,
        key: &Key,
        lease: Duration,
        wait: Duration,
    ) -> Result<session_core::Locked> {
        self.0.lock(key, LockRequest::new(OpToken::generate()?, lease, wait)).await
    }

    fn held(locked: session_core::Locked) -> Result<Held, Failure> {
        let lease = locked.lease.ok_or_else(|| Failure::new("the lock came without a lease"))?;
        Ok(Held { lease, record: locked.record })
    }

    /// Whether somebody holds the lock: tries to take it, and gives it back.
    pub(crate) async fn is_locked(&self, key: &Key) -> Result<bool> {
        match self.request(key, LONG, Duration::ZERO).await {
            Ok(locked) => {
                if let Some(lease) = locked.lease {
                    self.0.release(key, &lease).await?;
                }
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::LockTimeout => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Sweeps from the beginning to the end, in steps of the default size, and adds up.
    pub(crate) async fn sweep_all(&self) -> Result<SweepReport, Failure> {
        self.sweep_in_steps(SweepBudget::default()).await
    }

    /// Sweeps from the beginning to the end and adds up.
    pub(crate) async fn sweep_in_steps(&self, budget: SweepBudget) -> Result<SweepReport, Failure> {
        let mut sum = SweepReport::default();
        for _ in 0..100_000 {
            let step = self.0.sweep(sum.next.as_ref(), budget).await?;
            sum.scanned += step.scanned;
            sum.deleted += step.deleted;
            sum.skipped += step.skipped;
            sum.oldest_lag = sum.oldest_lag.max(step.oldest_lag);
            sum.next = step.next;
            if sum.next.is_none() {
                return Ok(sum);
            }
        }
        Err(Failure::new("a sweep does not end"))
    }
}

impl Deref for Client {
    type Target = dyn SessionStore;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}
