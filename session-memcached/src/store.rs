//! The store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::{
    Capabilities, Clock, Cursor, Enumeration, Error, ErrorKind, Expected, Idempotency, Incarnation,
    Key, Lease, LockQueue, LockRequest, Locked, OpToken, Operation, PrincipalIndex, REMEMBERED_OPS,
    ReadOptions, Record, Result, Revision, SessionStore, Slot, Support, SweepBudget, SweepReport,
    Sweeping, Ttl, Under, Write,
};

use crate::{
    BACKEND, MemcachedConfig, MemcachedStoreBuilder,
    change::{Change, seen},
    hints::Hints,
    item::{self, Event},
    keys::Keys,
    link::{Command, Fault, Info, Link, Reply},
    lock::{self, AFTER_LAPSE, WAKE_STEP},
    revision,
};

/// How far the clocks of the application's servers may be apart.
const CLOCK_SKEW: Duration = Duration::from_secs(1);
/// What a server itself needs of the largest item, beside its key.
const SERVERS_OVERHEAD: usize = 512;

/// Keeps sessions in Memcached.
///
/// A clone is a handle to the same store, with the same connections.
#[derive(Debug, Clone)]
pub struct MemcachedStore(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) link: Link,
    pub(crate) keys: Keys,
    pub(crate) hints: Hints,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) queue: LockQueue,
    /// Whether an entry can be appended under a condition.
    pub(crate) appends: bool,
    capabilities: Capabilities,
}

impl MemcachedStore {
    /// Connects with the settings of a [URL](MemcachedConfig::from_url).
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the URL or the credentials are wrong, or a server has
    /// compare-and-set turned off; [`Unavailable`](ErrorKind::Unavailable) or
    /// [`Timeout`](ErrorKind::Timeout) when no server answers.
    pub async fn open(url: &str) -> Result<Self> {
        Self::builder(url)?.open().await
    }

    /// A store with the settings of a [URL](MemcachedConfig::from_url), and others of your own.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the URL is wrong.
    pub fn builder(url: &str) -> Result<MemcachedStoreBuilder> {
        MemcachedConfig::from_url(url).map(Into::into)
    }

    pub(crate) async fn connect(config: &MemcachedConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let link = Link::open(config).await;
        let link = link.map_err(|fault| fault.into_error(Operation::Open, false))?;
        let infos: Vec<Info> =
            link.infos().into_iter().map(|info| info.unwrap_or(Info::UNKNOWN)).collect();
        warn(&infos);
        Ok(Self(Arc::new(Inner {
            keys: Keys::new(&config.prefix),
            hints: Hints::default(),
            clock,
            queue: LockQueue::new(config.max_waiters),
            appends: infos.iter().all(|info| link.appends_under_a_condition(info)),
            capabilities: capabilities(config, &infos)?,
            link,
        })))
    }

    fn change<'a>(&'a self, operation: Operation, key: &'a Key) -> Change<'a> {
        Change::new(self, operation, key)
    }

    /// Removes whatever is there.
    async fn remove(&self, key: &Key) -> Result<()> {
        let change = self.change(Operation::Delete, key);
        self.0.hints.take(key.digest());
        let delete = [Command::Delete { number: None }];
        let asked = self.0.link.ask(&change.name, &delete, change.deadline).await;
        let answer = asked.map_err(|fault| fault.into_error(Operation::Delete, true))?;
        match answer.reply {
            Reply::Done(_) | Reply::Absent => {
                self.0.queue.wake(key.digest());
                Ok(())
            }
            other => Err(Fault::of(&other).into_error(Operation::Delete, true)),
        }
    }
}

fn warn(infos: &[Info]) {
    if infos.iter().any(|info| info.evicts) {
        tracing::warn!(
            "Memcached drops live sessions when its memory is full: give it more than they need"
        );
    }
}

fn capabilities(config: &MemcachedConfig, infos: &[Info]) -> Result<Capabilities> {
    let around = item::OVERHEAD + SERVERS_OVERHEAD + config.prefix.len();
    let room = infos.iter().map(|info| info.largest_item).min().unwrap_or_default();
    let room = room.checked_sub(around).filter(|room| *room > 0).ok_or_else(|| {
        Error::new(ErrorKind::Config, BACKEND, Operation::Open)
            .with_detail("the server's largest item (memcached -I) is too small for sessions")
    })?;
    let mut capabilities = Capabilities::new(BACKEND);
    capabilities.max_payload = config.max_payload.min(room);
    capabilities.max_waiters = config.max_waiters;
    capabilities.idempotency = Idempotency::Window(REMEMBERED_OPS);
    capabilities.wake_step = WAKE_STEP;
    capabilities.takeover_time = AFTER_LAPSE;
    capabilities.clock_skew = CLOCK_SKEW;
    capabilities.listing = Support::No;
    capabilities.sweeping = Sweeping::ByServer;
    capabilities.evicts = infos.iter().any(|info| info.evicts);
    capabilities.survives_restart = false;
    capabilities.survives_failover = false;
    Ok(capabilities)
}

#[async_trait]
impl SessionStore for MemcachedStore {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        self.0.capabilities.check_write(&write, Operation::Create)?;
        let rule = |slot: &mut Slot, now| {
            let revision = slot.create(BACKEND, write.clone(), op, under, now)?;
            Ok(revision::of_commit(slot, revision))
        };
        self.change(Operation::Create, key).make(rule).await
    }

    async fn load(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        let change = self.change(Operation::Load, key);
        let asked = self.0.link.ask(&change.name, &[Command::Get], change.deadline).await;
        let answer = asked.map_err(|fault| fault.into_error(Operation::Load, false))?;
        let Some(mut seen) = seen(answer).map_err(|unread| change.unread(unread))? else {
            return Ok(None);
        };
        let record = revision::take_record(&mut seen.slot, self.0.clock.now());
        if record.is_some() {
            self.0.hints.put(key.digest(), seen);
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
        self.0.capabilities.check_write(&write, Operation::Save)?;
        let rule = |slot: &mut Slot, now| {
            let expected = revision::expected(slot, expected);
            let revision = slot.save(BACKEND, write.clone(), expected, op, now)?;
            Ok(revision::of_commit(slot, revision))
        };
        self.change(Operation::Save, key).make(rule).await
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        _op: OpToken,
    ) -> Result<()> {
        let change = self.change(Operation::Touch, key);
        change.make(|slot, now| slot.touch(BACKEND, ttl, incarnation, now)).await
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, _op: OpToken) -> Result<()> {
        if matches!(expected, Expected::Any) {
            return self.remove(key).await;
        }
        let rule = |slot: &mut Slot, now| {
            let expected = revision::expected(slot, expected);
            slot.delete(BACKEND, expected, now)
        };
        self.change(Operation::Delete, key).make(rule).await
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        lock::lock(self, key, request).await
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        let event = Event::Renew(lease.token(), duration);
        let change = self.change(Operation::Renew, key).event(event);
        change.make(|slot, now| slot.renew(BACKEND, lease, duration, now)).await
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        let change = self.change(Operation::Release, key).event(Event::Release(lease.token()));
        let rule = |slot: &mut Slot, _now| {
            slot.release(lease);
            Ok(())
        };
        change.make(rule).await
    }

    async fn sweep(&self, _cursor: Option<&Cursor>, _budget: SweepBudget) -> Result<SweepReport> {
        Ok(SweepReport::default())
    }

    async fn ping(&self) -> Result<()> {
        self.0.link.ping().await.map_err(|fault| fault.into_error(Operation::Ping, false))
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        None
    }
}
