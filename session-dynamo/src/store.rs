//! The store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::{
    Capabilities, Cursor, Enumeration, Error, ErrorKind, Expected, Idempotency, Incarnation, Key,
    KeyPage, Lease, LeaseCheck, LockQueue, LockRequest, Locked, OpToken, Operation, PrincipalIndex,
    REMEMBERED_OPS, ReadOptions, Record, Result, Revision, SessionStore, SweepBudget, SweepReport,
    Sweeping, Timestamp, Ttl, Under, Write,
};

use crate::{
    BACKEND, Consumed, DynamoConfig, DynamoStoreBuilder, Leases, aside,
    change::Change,
    keys::Keys,
    link::{Link, Part},
    lock::{self, AFTER_LAPSE, WAKE_STEP},
    mark, principal, quick, sweep,
    sweep::Pace,
    walk,
};

/// Keeps sessions in DynamoDB.
///
/// A clone is a handle to the same store, with the same connections.
#[derive(Debug, Clone)]
pub struct DynamoStore(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) link: Link,
    pub(crate) keys: Keys,
    pub(crate) queue: LockQueue,
    pub(crate) pace: Pace,
    pub(crate) sweep_segments: u8,
    skew: Duration,
    leases: Leases,
    /// The table's index of principals.
    pub(crate) index: Option<String>,
    capabilities: Capabilities,
}

impl DynamoStore {
    /// A store with the settings of a [URL](DynamoConfig::from_url), of the environment, and the
    /// credentials that the AWS SDK finds; as [`DynamoStoreBuilder::open`].
    ///
    /// # Errors
    /// Those of [`DynamoStoreBuilder::open`].
    pub async fn open(url: &str) -> Result<Self> {
        Self::builder(url)?.open().await
    }

    /// A store with the settings of a [URL](DynamoConfig::from_url), and others of your own.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the URL is wrong.
    pub fn builder(url: &str) -> Result<DynamoStoreBuilder> {
        DynamoConfig::from_url(url).map(Into::into)
    }

    /// What the store has consumed since it was opened, with all its clones.
    #[must_use]
    pub fn consumed(&self) -> Consumed {
        self.0.link.meter.consumed()
    }

    pub(crate) fn new(config: &DynamoConfig, link: Link) -> Self {
        Self(Arc::new(Inner {
            link,
            keys: Keys::new(&config.prefix),
            queue: LockQueue::new(config.max_waiters),
            pace: Pace::new(config.sweep_rate),
            sweep_segments: config.sweep_segments,
            skew: config.clock_skew,
            leases: config.leases,
            index: config.principal_index.clone(),
            capabilities: capabilities(config),
        }))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.link.clock.now()
    }

    /// For how long others see a lease: a clock that is ahead of ours must not end it.
    pub(crate) fn held_for(&self, lease: Duration) -> Duration {
        lease.saturating_add(self.0.skew)
    }

    pub(crate) fn leases(&self) -> Leases {
        self.0.leases
    }

    /// How long a lease lasts for its holder that others see for so long.
    pub(crate) fn left_of(&self, held: Duration) -> Duration {
        held.saturating_sub(self.0.skew)
    }

    fn check_size(&self, write: &Write, operation: Operation) -> Result<()> {
        if write.payload.len() > self.0.capabilities.max_payload {
            return Err(Error::new(ErrorKind::TooLarge, BACKEND, operation));
        }
        Ok(())
    }

    fn change<'a>(&'a self, operation: Operation, key: &'a Key) -> Change<'a> {
        Change::new(self, operation, key)
    }
}

fn capabilities(config: &DynamoConfig) -> Capabilities {
    let mut capabilities = Capabilities::new(BACKEND);
    capabilities.max_payload = config.max_payload;
    capabilities.max_waiters = config.max_waiters;
    capabilities.idempotency = Idempotency::Window(REMEMBERED_OPS);
    capabilities.wake_step = WAKE_STEP;
    capabilities.takeover_time = config.clock_skew + AFTER_LAPSE;
    capabilities.clock_skew = config.clock_skew;
    capabilities.sweeping = config.sweeping;
    capabilities.listing = principal::listing(config.principal_index.as_deref());
    if config.leases == Leases::Aside {
        capabilities.lease_check = LeaseCheck::ViaRevision;
    }
    capabilities
}

#[async_trait]
impl SessionStore for DynamoStore {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        self.check_size(&write, Operation::Create)?;
        if self.leases() == Leases::Aside {
            return aside::create(self, key, write, op, under).await;
        }
        let quick = quick::create(&write, op, under, self.now())?;
        let change = self.change(Operation::Create, key);
        change.make(quick, |slot, now| slot.create(BACKEND, write.clone(), op, under, now)).await
    }

    async fn load(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        let change = self.change(Operation::Load, key);
        let item = change.read(Part::All).await?;
        Ok(change.slot(&item)?.load(self.now()))
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        self.check_size(&write, Operation::Save)?;
        if self.leases() == Leases::Aside {
            return aside::save(self, key, write, expected, op).await;
        }
        let quick = quick::save(&write, expected, op, self.now())?;
        let change = self.change(Operation::Save, key);
        change.make(quick, |slot, now| slot.save(BACKEND, write.clone(), expected, op, now)).await
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        _op: OpToken,
    ) -> Result<()> {
        let quick = quick::touch(ttl, incarnation, self.now());
        let change = self.change(Operation::Touch, key);
        change.make(quick, |slot, now| slot.touch(BACKEND, ttl, incarnation, now)).await
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, op: OpToken) -> Result<()> {
        if self.leases() == Leases::Aside {
            return aside::delete(self, key, expected, op).await;
        }
        let quick = quick::delete(expected, self.now());
        let change = self.change(Operation::Delete, key);
        change.make(quick, |slot, now| slot.delete(BACKEND, expected, now)).await
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        lock::lock(self, key, request).await
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        if self.leases() == Leases::Aside {
            return aside::renew(self, key, lease, duration).await;
        }
        let duration = self.held_for(duration);
        let quick = quick::renew(lease, duration, self.now());
        let change = self.change(Operation::Renew, key);
        change.make(quick, |slot, now| slot.renew(BACKEND, lease, duration, now)).await
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        if self.leases() == Leases::Aside {
            return aside::release(self, key, lease).await;
        }
        let change = self.change(Operation::Release, key);
        change
            .make(quick::release(lease), |slot, _now| {
                slot.release(lease);
                Ok(())
            })
            .await
    }

    async fn sweep(&self, cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport> {
        if self.0.capabilities.sweeping == Sweeping::ByServer {
            return Ok(SweepReport::default());
        }
        sweep::sweep(self, cursor, budget).await
    }

    async fn ping(&self) -> Result<()> {
        mark::read(self, Operation::Ping).await.map(drop)
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        Some(self)
    }
}

#[async_trait]
impl Enumeration for DynamoStore {
    async fn keys(&self, cursor: Option<&Cursor>, limit: usize) -> Result<KeyPage> {
        walk::keys(self, cursor, limit).await
    }
}
