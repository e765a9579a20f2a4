//! The store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::{
    Capabilities, Cursor, Enumeration, Error, ErrorKind, Expected, Idempotency, Incarnation, Key,
    Lease, Lineage, LockQueue, LockRequest, Locked, OpToken, Operation, PrincipalIndex,
    REMEMBERED_OPS, ReadOptions, Record, Result, Revision, SessionStore, Slot, SweepBudget,
    SweepReport, Then, Ttl, Under, Write,
};

use crate::{
    BACKEND, Engine, SqlConfig, SqlStoreBuilder,
    call::Verdict,
    link::Link,
    listen::Listener,
    lock,
    record::{self, Damage, Row},
    statement::{Given, Value},
    statements::{ANY, FREE, KEEP, RELEASE, Statements},
    sweep,
};

/// Keeps sessions in a database.
///
/// A clone is a handle to the same store, with the same connections.
#[derive(Debug, Clone)]
pub struct SqlStore(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) link: Link,
    pub(crate) config: SqlConfig,
    pub(crate) statements: Statements,
    pub(crate) queue: LockQueue,
    pub(crate) listener: Listener,
    capabilities: Capabilities,
}

impl SqlStore {
    /// Connects with the settings of a [URL](SqlConfig::from_url).
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the URL or the credentials are wrong,
    /// [`Unavailable`](ErrorKind::Unavailable) or [`Timeout`](ErrorKind::Timeout) when the server
    /// does not answer.
    pub async fn open(url: &str) -> Result<Self> {
        Self::builder(url)?.open().await
    }

    /// A store with the settings of a [URL](SqlConfig::from_url), and others of your own.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the URL is wrong.
    pub fn builder(url: &str) -> Result<SqlStoreBuilder> {
        SqlConfig::from_url(url).map(Into::into)
    }

    pub(crate) async fn connect(config: SqlConfig) -> Result<Self> {
        let link = Link::open(&config).await;
        let link = link.map_err(|fault| fault.into_error(BACKEND, Operation::Open, false))?;
        let capabilities = capabilities(&config, &link);
        let statements = Statements::new(link.server().engine, &config.table);
        let queue = LockQueue::new(config.max_waiters);
        let listener = Listener::new(link.news(&statements.channel), queue.clone());
        Ok(Self(Arc::new(Inner { link, config, statements, queue, listener, capabilities })))
    }

    /// The engine of the database.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.0.link.server().engine
    }

    /// The statements of a load and of an unlocked save, with what goes to their placeholders, for
    /// measurements that send them without the store.
    #[doc(hidden)]
    #[must_use]
    pub fn texts(&self) -> [(String, Vec<String>); 2] {
        let Statements { load, save: [save, ..], .. } = &self.0.statements;
        [load, save].map(|statement| {
            let names = statement.names.iter().map(|name| format!("{name:?}"));
            (statement.text.to_string(), names.collect())
        })
    }

    pub(crate) fn error(&self, kind: ErrorKind, operation: Operation) -> Error {
        Error::new(kind, self.0.capabilities.backend, operation)
    }

    pub(crate) fn nonsense(&self, operation: Operation) -> Error {
        self.error(ErrorKind::Backend, operation).with_detail("the reply makes no sense")
    }

    pub(crate) fn corrupt(&self, operation: Operation) -> Error {
        let detail = "what is stored is damaged or not a session";
        self.error(ErrorKind::Corrupt, operation).with_detail(detail)
    }

    pub(crate) fn row(&self, operation: Operation, row: Vec<Value>) -> Result<Row> {
        Row::parse(row).map_err(|Damage| self.corrupt(operation))
    }

    pub(crate) fn record(&self, operation: Operation, row: &Row) -> Result<Option<Record>> {
        row.record().map_err(|Damage| self.corrupt(operation))
    }

    /// In this process, the lock may be free.
    pub(crate) fn freed(&self, key: &Key) {
        self.0.queue.wake(key.digest());
    }
}

fn capabilities(config: &SqlConfig, link: &Link) -> Capabilities {
    let server = link.server();
    let mut capabilities = Capabilities::new(server.engine.name());
    let room = server.max_packet.map_or(usize::MAX, |packet| packet.saturating_sub(REST));
    if room < config.max_payload {
        tracing::warn!(room, "the server takes smaller statements than max_payload asks for");
    }
    capabilities.max_payload = config.max_payload.min(room);
    capabilities.max_waiters = config.max_waiters;
    capabilities.idempotency = Idempotency::Window(REMEMBERED_OPS);
    capabilities.wake_step =
        if server.engine == Engine::Postgres { lock::TOLD_STEP } else { lock::WAKE_STEP };
    capabilities.takeover_time = lock::AFTER_LAPSE;
    capabilities.survives_restart = !link.is_in_memory();
    capabilities.survives_failover = false;
    capabilities
}

/// What a statement needs beside the payload.
const REST: usize = 4_096;

/// Which condition on the lock goes with an expectation, and the lease in it.
fn condition<'a>(expected: &Expected<'a>) -> (usize, Option<&'a Lease>) {
    match expected {
        Expected::Revision(_) => (FREE, None),
        Expected::Lease { lease, then, .. } => (under(*then), Some(lease)),
        _ => (ANY, None),
    }
}

const fn under(then: Then) -> usize {
    match then {
        Then::Release => RELEASE,
        _ => KEEP,
    }
}

/// The revision that is expected.
const fn named(expected: &Expected<'_>) -> Option<Revision> {
    match expected {
        Expected::Revision(revision) | Expected::Lease { revision, .. } => Some(*revision),
        _ => None,
    }
}

#[async_trait]
impl SessionStore for SqlStore {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        let operation = Operation::Create;
        self.0.capabilities.check_write(&write, operation)?;
        let incarnation = Incarnation::generate()?;
        let revision = record::first(incarnation, op);
        let lease = under.map(|under| under.lease.token());
        let (to, data) = (record::commit(revision, op), record::data(&write));
        let given = Given {
            digest: key.digest().as_bytes(),
            to: &to,
            data: &data,
            lease: lease.as_ref().map_or(&[], |token| token.as_bytes()),
            ..record::given(&write)
        };
        let statements = &self.0.statements;
        let [free, keep, release] = &statements.replace;
        let mut tries = self.call(operation).tries();
        loop {
            // Under a lease there is a row for sure.
            let done = match under.map(|under| under.then) {
                Some(Then::Release) => tries.run(release, given).await?,
                Some(_) => tries.run(keep, given).await?,
                None => {
                    tries.run(&statements.create, given).await?
                        || (statements.create_only_inserts && tries.run(free, given).await?)
                }
            };
            if done {
                break;
            }
            let rule = |slot: &mut Slot, now| {
                let made = slot.create(self.0.capabilities.backend, write.clone(), op, under, now);
                made.map(drop)
            };
            match tries.judge(key, op, None, rule).await {
                Ok(Verdict::Done(revision)) => return Ok(revision),
                Ok(_) => tries.again().await?,
                Err(error) => return Err(tries.refused(error)),
            }
        }
        self.freed(key);
        Ok(revision)
    }

    async fn load(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        let operation = Operation::Load;
        let given = Given { digest: key.digest().as_bytes(), ..Given::default() };
        let answer = self.call(operation).run(&self.0.statements.load, given).await?;
        let Some(row) = answer.rows.into_iter().next() else { return Ok(None) };
        self.record(operation, &self.row(operation, row)?)
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        let operation = Operation::Save;
        self.0.capabilities.check_write(&write, operation)?;
        let fresh = match write.lineage {
            Lineage::Restart => Some(Incarnation::generate()?),
            _ => None,
        };
        let (lock, lease) = condition(&expected);
        let token = lease.map(Lease::token);
        let from = named(&expected);
        let mut known = from;
        let statements = &self.0.statements;
        let saves = if fresh.is_some() { &statements.restart } else { &statements.save };
        let data = record::data(&write);
        let mut tries = self.call(operation).tries();
        loop {
            if let (Some(from), Some(save)) = (known, saves.get(lock)) {
                let to = fresh.map_or_else(|| record::next(from, op), |new| record::first(new, op));
                let given = Given {
                    digest: key.digest().as_bytes(),
                    from: &record::revision(from),
                    to: &record::commit(to, op),
                    data: &data,
                    lease: token.as_ref().map_or(&[], |token| token.as_bytes()),
                    ..record::given(&write)
                };
                if tries.run(save, given).await? {
                    self.freed(key);
                    return Ok(to);
                }
            }
            let rule = |slot: &mut Slot, now| {
                let saved =
                    slot.save(self.0.capabilities.backend, write.clone(), expected, op, now);
                saved.map(drop)
            };
            match tries.judge(key, op, from, rule).await {
                Ok(Verdict::Done(revision)) => return Ok(revision),
                Ok(Verdict::Free(revision)) => known = Some(revision),
                Ok(Verdict::Absent) => {
                    return Err(tries.refused(self.error(ErrorKind::NotFound, operation)));
                }
                Err(error) => return Err(tries.refused(error)),
            }
            tries.again().await?;
        }
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        op: OpToken,
    ) -> Result<()> {
        let operation = Operation::Touch;
        let given = Given {
            digest: key.digest().as_bytes(),
            incarnation: incarnation.as_bytes(),
            ttl: record::millis(ttl),
            ..Given::default()
        };
        let mut tries = self.call(operation).tries();
        while !tries.run(&self.0.statements.touch, given).await? {
            let rule = |slot: &mut Slot, now| {
                slot.touch(self.0.capabilities.backend, ttl, incarnation, now)
            };
            let judged = tries.judge(key, op, None, rule).await;
            // Done twice it is done once: whether an earlier try was made makes no difference.
            judged.map_err(|refusal| refusal.error)?;
            tries.again().await?;
        }
        Ok(())
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, op: OpToken) -> Result<()> {
        let operation = Operation::Delete;
        let statements = &self.0.statements;
        let (lock, lease) = condition(&expected);
        let (from, statement) = match expected {
            Expected::Any => (Revision::of_content(0), &statements.delete_any),
            Expected::Incarnation(incarnation) => {
                (Revision::counted(incarnation, 0), &statements.delete_incarnation)
            }
            _ => match (named(&expected), statements.delete_revision.get(lock)) {
                (Some(revision), Some(statement)) => (revision, statement),
                _ => return Err(self.error(ErrorKind::Unsupported, operation)),
            },
        };
        let token = lease.map(Lease::token);
        let incarnation = from.incarnation();
        let given = Given {
            digest: key.digest().as_bytes(),
            incarnation: incarnation.as_bytes(),
            from: &record::revision(from),
            lease: token.as_ref().map_or(&[], |token| token.as_bytes()),
            ..Given::default()
        };
        let mut tries = self.call(operation).tries();
        while !tries.run(statement, given).await? {
            let rule =
                |slot: &mut Slot, now| slot.delete(self.0.capabilities.backend, expected, now);
            match tries.judge(key, op, named(&expected), rule).await {
                Ok(Verdict::Absent) => {
                    if let Expected::Lease { then: Then::Release, .. } = expected {
                        tries.run(&statements.release, given).await?;
                    }
                    break;
                }
                Ok(_) => tries.again().await?,
                Err(error) => return Err(tries.refused(error)),
            }
        }
        self.freed(key);
        Ok(())
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        lock::lock(self, key, request).await
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        let operation = Operation::Renew;
        let token = lease.token();
        let given = Given {
            digest: key.digest().as_bytes(),
            lease: token.as_bytes(),
            duration: record::lease(duration),
            ..Given::default()
        };
        match self.call(operation).run(&self.0.statements.renew, given).await?.affected {
            0 => Err(self.error(ErrorKind::LockLost, operation)),
            _ => Ok(()),
        }
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        let token = lease.token();
        let digest = key.digest().as_bytes();
        let given = Given { digest, lease: token.as_bytes(), ..Given::default() };
        let call = self.call(Operation::Release);
        call.run(&self.0.statements.release, given).await?;
        self.freed(key);
        Ok(())
    }

    async fn sweep(&self, cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport> {
        sweep::sweep(self, cursor, budget).await
    }

    async fn ping(&self) -> Result<()> {
        self.call(Operation::Ping).run(&self.0.statements.ping, Given::default()).await.map(drop)
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
