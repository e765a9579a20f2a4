//! The store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::{
    Capabilities, Cursor, Enumeration, Error, ErrorKind, Expected, Fencing, Incarnation, Key,
    Lease, LockQueue, LockRequest, Locked, OpToken, Operation, PrincipalIndex, ReadOptions, Record,
    Result, Revision, SessionStore, Slot, SweepBudget, SweepReport, Sweeping, Ttl, Under, Write,
};

use super::{
    change::{self, Change},
    item::{counted, short_lease, shown},
    layout::{PhpData, PhpLayout},
    lock,
};
use crate::{BACKEND, DynamoStoreBuilder, link::Link, lock::AFTER_LAPSE};

/// Keeps sessions in DynamoDB as the AWS SDK for PHP does, so that both can use them at the same time.
///
/// It needs the id of a session ([`Key::secret`]), which is part of its key. Its revisions are digests
/// of the stored bytes. A clone is a handle to the same store.
#[derive(Debug, Clone)]
pub struct PhpStore(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) layout: PhpLayout,
    pub(super) link: Link,
    pub(super) queue: LockQueue,
    capabilities: Capabilities,
}

impl Inner {
    /// For how much longer a lease lasts in the eyes of others.
    pub(super) const fn skew(&self) -> Duration {
        self.layout.dynamo.clock_skew
    }
}

impl PhpStore {
    /// Connects with what the AWS SDK finds, and reads one item, to see that the table may be used. The
    /// table that neither the layout nor the environment names is [PHP's own](PhpLayout::TABLE).
    ///
    /// # Errors
    /// Those of [`DynamoStoreBuilder::open`].
    pub async fn open(mut layout: PhpLayout) -> Result<Self> {
        layout.dynamo = layout.dynamo.or_from_environment();
        layout.dynamo.table.get_or_insert_with(|| PhpLayout::TABLE.to_owned());
        let builder = DynamoStoreBuilder::from(layout.dynamo.clone());
        Self::open_with(builder, layout).await
    }

    /// As [`open`](Self::open), with the connections, the credentials and the clock of a builder.
    ///
    /// # Errors
    /// Those of [`DynamoStoreBuilder::open`].
    pub async fn open_with(builder: DynamoStoreBuilder, mut layout: PhpLayout) -> Result<Self> {
        layout.check()?;
        let (config, link) = builder.link().await?;
        layout.dynamo = config;
        let capabilities = capabilities(&layout);
        let queue = LockQueue::new(capabilities.max_waiters);
        let store = Self(Arc::new(Inner { layout, link, queue, capabilities }));
        store.ping().await?;
        Ok(store)
    }

    fn check_write(&self, write: &Write, operation: Operation) -> Result<()> {
        self.0.capabilities.check_write(write, operation)?;
        let is_text = self.0.layout.data_type == PhpData::Text;
        if is_text && str::from_utf8(&write.payload).is_err() {
            let detail = "a data attribute that is a string takes UTF-8 only: make it binary";
            return Err(Error::new(ErrorKind::Unsupported, BACKEND, operation).with_detail(detail));
        }
        Ok(())
    }

    fn check_locking(&self, operation: Operation) -> Result<()> {
        if self.0.layout.lock.is_some() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unsupported, BACKEND, operation)
            .with_detail("sessions are not locked in this layout"))
    }

    fn check_expected(&self, expected: Expected<'_>, operation: Operation) -> Result<()> {
        if matches!(expected, Expected::Lease { .. }) {
            return self.check_locking(operation);
        }
        Ok(())
    }
}

/// Runs a rule of the contract with what is expected as it is stored.
fn with_expected<T>(
    slot: &mut Slot,
    expected: Expected<'_>,
    rule: impl FnOnce(&mut Slot, Expected<'_>) -> Result<T>,
) -> Result<T> {
    match expected {
        Expected::Revision(revision) => {
            let revision = Expected::Revision(counted(slot, revision));
            rule(slot, revision)
        }
        Expected::Lease { lease, revision, then } => {
            let (lease, revision) = (short_lease(lease), counted(slot, revision));
            rule(slot, Expected::Lease { lease: &lease, revision, then })
        }
        other => rule(slot, other),
    }
}

fn capabilities(layout: &PhpLayout) -> Capabilities {
    let config = &layout.dynamo;
    let mut capabilities = Capabilities::of_payloads_only(BACKEND);
    match layout.lock {
        Some(lock) => {
            capabilities.fencing = Fencing::Token;
            capabilities.wake_step = lock.pause;
            capabilities.takeover_time = config.clock_skew + AFTER_LAPSE;
        }
        None => capabilities = capabilities.without_locking(),
    }
    capabilities.max_payload = config.max_payload;
    capabilities.max_waiters = config.max_waiters;
    capabilities.clock_skew = config.clock_skew;
    capabilities.expiry_precision = Duration::from_secs(1);
    capabilities.sweeping = Sweeping::ByServer;
    capabilities.survives_failover = true;
    capabilities
}

#[async_trait]
impl SessionStore for PhpStore {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        let operation = Operation::Create;
        self.check_write(&write, operation)?;
        if under.is_some() {
            self.check_locking(operation)?;
        }
        let lease = under.map(|under| short_lease(under.lease));
        let under = lease.as_ref().zip(under).map(|(lease, under)| Under::new(lease, under.then));
        let rule = |slot: &mut Slot, now| slot.create(BACKEND, write.clone(), op, under, now);
        Change::new(self, operation, key)?.make(rule).await?;
        Ok(Revision::of_bytes(&write.payload))
    }

    async fn load(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        let slot = Change::new(self, Operation::Load, key)?.slot().await?;
        Ok(slot.load(self.0.link.clock.now()).map(shown))
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        let operation = Operation::Save;
        self.check_write(&write, operation)?;
        self.check_expected(expected, operation)?;
        let rule = |slot: &mut Slot, now| {
            with_expected(slot, expected, |slot, expected| {
                slot.save(BACKEND, write.clone(), expected, op, now)
            })
        };
        Change::new(self, operation, key)?.make(rule).await?;
        Ok(Revision::of_bytes(&write.payload))
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        _op: OpToken,
    ) -> Result<()> {
        let change = Change::new(self, Operation::Touch, key)?;
        change.make(|slot, now| slot.touch(BACKEND, ttl, incarnation, now)).await
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, _op: OpToken) -> Result<()> {
        self.check_expected(expected, Operation::Delete)?;
        let rule = |slot: &mut Slot, now| {
            with_expected(slot, expected, |slot, expected| slot.delete(BACKEND, expected, now))
        };
        Change::new(self, Operation::Delete, key)?.make(rule).await
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        self.check_locking(Operation::Lock)?;
        let how = self.0.layout.lock.unwrap_or_default();
        lock::lock(self, key, how, request).await
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        self.check_locking(Operation::Renew)?;
        let (lease, duration) = (short_lease(lease), duration.saturating_add(self.0.skew()));
        let change = Change::new(self, Operation::Renew, key)?;
        change.make(|slot, now| slot.renew(BACKEND, &lease, duration, now)).await
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        self.check_locking(Operation::Release)?;
        let lease = short_lease(lease);
        let rule = |slot: &mut Slot, _now| {
            slot.release(&lease);
            Ok(())
        };
        Change::new(self, Operation::Release, key)?.make(rule).await
    }

    async fn sweep(&self, _cursor: Option<&Cursor>, _budget: SweepBudget) -> Result<SweepReport> {
        Ok(SweepReport::default())
    }

    async fn ping(&self) -> Result<()> {
        change::ping(self).await
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        None
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        None
    }
}
