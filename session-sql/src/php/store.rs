//! The store.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    Capabilities, Clock, Cursor, Enumeration, Error, ErrorKind, Expected, Incarnation, Jitter, Key,
    Lease, LockAbsent, LockQueue, LockRequest, LockScope, Locked, OpToken, Operation,
    PrincipalIndex, QueueError, ReadOptions, Record, Result, Revision, SessionId, SessionStore,
    Support, SweepBudget, SweepReport, SystemClock, Timestamp, Ttl, Under, Write, instant_after,
};
use tokio::time::Instant;

use super::{
    PhpLayout, PhpLock,
    hold::{Hold, Holds},
    layout::{LONGEST_ID, POLLS, WAKE_STEP},
    own::Trouble,
    row::{Row, end, seconds},
    statements::Statements,
};
use crate::{
    BACKEND,
    link::{Answer, Fault, Link, Target, Wire, target},
    statement::{Arg, Statement, Value},
    url::Dialect,
};

/// What MySQL's `BLOB` has room for.
const BLOB: usize = 65_535;

/// Keeps sessions in the table of Symfony's `PdoSessionHandler`.
///
/// It needs the id of a session ([`Key::secret`]), which is the name of its row. Its revisions are
/// digests of the stored bytes. A clone is a handle to the same store, with the same connections.
#[derive(Debug, Clone)]
pub struct PhpStore(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) layout: PhpLayout,
    pub(super) statements: Statements,
    /// For all that takes no lock.
    link: Link,
    /// Where connections for locks come from.
    pub(super) target: Box<dyn Target>,
    /// Connections that had a lock.
    pub(super) idle: Mutex<Vec<Box<dyn Wire>>>,
    pub(super) holds: Holds,
    pub(super) queue: LockQueue,
    clock: SystemClock,
    capabilities: Capabilities,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl PhpStore {
    /// Connects.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the layout or the credentials are wrong,
    /// [`Unavailable`](ErrorKind::Unavailable) or [`Timeout`](ErrorKind::Timeout) when the server
    /// does not answer.
    pub async fn open(layout: PhpLayout) -> Result<Self> {
        layout.check()?;
        let failed = |fault: Fault| fault.into_error(BACKEND, Operation::Open, false);
        let link = Link::open(&layout.sql).await.map_err(failed)?;
        if link.is_in_memory() {
            let detail = "PHP cannot get at a database in this process's memory";
            return Err(Error::new(ErrorKind::Config, BACKEND, Operation::Open).with_detail(detail));
        }
        let target = target(&layout.sql).map_err(failed)?;
        let mut inner = Inner {
            statements: Statements::new(&layout),
            capabilities: capabilities(&layout, link.server().engine.name()),
            queue: LockQueue::new(layout.sql.max_waiters),
            link,
            target,
            idle: Mutex::default(),
            holds: Holds::default(),
            clock: SystemClock::default(),
            layout,
        };
        let room = inner.room().await?;
        inner.capabilities.max_payload = inner.capabilities.max_payload.min(room);
        Ok(Self(Arc::new(inner)))
    }

    /// Makes the table, as Symfony's `createTable` does.
    ///
    /// # Errors
    /// When there is one, and those of the server.
    pub async fn create_table(&self) -> Result<()> {
        let made = self.0.link.define(&self.0.statements.table).await;
        made.map_err(|fault| fault.into_error(self.0.backend(), Operation::Open, true))
    }
}

fn capabilities(layout: &PhpLayout, backend: &'static str) -> Capabilities {
    let mut capabilities = Capabilities::of_payloads_only(backend);
    if layout.lock == PhpLock::None {
        capabilities = capabilities.without_locking();
    }
    capabilities.max_payload = layout.sql.max_payload;
    capabilities.max_waiters = layout.sql.max_waiters;
    capabilities.lock_absent = LockAbsent::NotHeld;
    capabilities.lock_scope = match (layout.lock, layout.sql.dialect) {
        (PhpLock::Transactional, Dialect::Sqlite) => LockScope::Store,
        (PhpLock::Transactional, _) => LockScope::Record,
        _ => LockScope::Commits,
    };
    capabilities.wake_step = WAKE_STEP;
    capabilities.takeover_time = WAKE_STEP;
    capabilities.empty_payloads = Support::No;
    capabilities.expiry_precision = Duration::from_secs(1);
    capabilities.clock_skew = Duration::from_secs(1);
    capabilities
}

impl Inner {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) const fn backend(&self) -> &'static str {
        self.capabilities.backend
    }

    pub(super) fn error(&self, kind: ErrorKind, operation: Operation) -> Error {
        Error::new(kind, self.backend(), operation)
    }

    /// How long to wait for the answer to a statement.
    pub(super) const fn patience(&self) -> Duration {
        self.layout.sql.response_timeout
    }

    pub(super) const fn reply_limit(&self) -> usize {
        self.layout.sql.max_payload.saturating_mul(4).saturating_add(1 << 20)
    }

    pub(super) fn check_locking(&self, operation: Operation) -> Result<()> {
        if self.capabilities.locking.is_yes() {
            return Ok(());
        }
        let error = self.error(ErrorKind::Unsupported, operation);
        Err(error.with_detail("sessions are not locked in this layout"))
    }

    /// The id, which is the name of the row.
    pub(super) fn id<'a>(&self, key: &'a Key, operation: Operation) -> Result<&'a SessionId> {
        let id = key.secret().ok_or_else(|| {
            let error = self.error(ErrorKind::Unsupported, operation);
            error.with_detail("PHP's layout needs the id of a session")
        })?;
        let fits = id.expose().len() <= LONGEST_ID;
        if fits { Ok(id) } else { Err(self.error(ErrorKind::InvalidId, operation)) }
    }

    /// How many bytes a row has room for: what is longer MySQL cuts off, if it is not told to be strict.
    async fn room(&self) -> Result<usize> {
        if self.layout.sql.dialect != Dialect::MySql {
            return Ok(usize::MAX);
        }
        let table = &*self.layout.sql.table;
        let (schema, name) = match table.split_once('.') {
            Some((schema, name)) => (Arg::Bytes(schema.as_bytes()), name),
            None => (Arg::Null, table),
        };
        let column = Arg::Bytes(self.layout.data_column.as_bytes());
        let values = [schema, Arg::Bytes(name.as_bytes()), column];
        let answer = self.run(Operation::Open, &self.statements.room, &values).await?;
        // Without a table yet it is what Symfony will make.
        let room = answer.rows.first().and_then(|row| match row.first() {
            Some(Value::Int(room)) => usize::try_from(*room).ok(),
            _ => None,
        });
        Ok(room.unwrap_or(BLOB))
    }

    /// Runs one statement by itself.
    pub(super) async fn run(
        &self,
        operation: Operation,
        text: &Arc<str>,
        values: &[Arg<'_>],
    ) -> Result<Answer> {
        let statement = Statement::plain(Arc::clone(text));
        let answer = self.link.run(&statement, values).await;
        answer.map_err(|fault| fault.into_error(self.backend(), operation, !statement.reads))
    }

    pub(super) async fn read(&self, operation: Operation, id: &SessionId) -> Result<Option<Row>> {
        let name = [Arg::Bytes(id.expose().as_bytes())];
        self.row(self.run(operation, &self.statements.read, &name).await?, operation)
    }

    /// The row of an answer, if there is one.
    pub(super) fn row(&self, answer: Answer, operation: Operation) -> Result<Option<Row>> {
        let Some(values) = answer.rows.into_iter().next() else { return Ok(None) };
        let corrupt = || {
            self.error(ErrorKind::Corrupt, operation).with_detail("the row is not one of Symfony's")
        };
        Row::parse(values).ok_or_else(corrupt).map(Some)
    }
}

#[async_trait]
impl SessionStore for PhpStore {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        _op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        let (inner, operation) = (&self.0, Operation::Create);
        inner.capabilities.check_write(&write, operation)?;
        let id = inner.id(key, operation)?;
        if under.is_some() {
            inner.check_locking(operation)?;
            // There is no lock on what is not there.
            return Err(inner.error(ErrorKind::LockLost, operation));
        }
        let (name, data) = (Arg::Bytes(id.expose().as_bytes()), Arg::Bytes(&write.payload));
        let by = instant_after(inner.layout.sql.timeout);
        let mut resent = false;
        while Instant::now() < by {
            let now = inner.now();
            let row = inner.read(operation, id).await?;
            if row.as_ref().is_some_and(|row| row.live(now).is_some()) {
                let error = inner.error(ErrorKind::AlreadyExists, operation);
                return Err(if resent { error.with_maybe_applied() } else { error });
            }
            let [lifetime, time] = [end(now, write.ttl), seconds(now)].map(Arg::Int);
            let answer = match row {
                _ if !Row::keeps(&write) => return Ok(Revision::of_bytes(&write.payload)),
                None => {
                    let values = [name, data, lifetime, time];
                    inner.run(operation, &inner.statements.insert, &values).await?
                }
                Some(_) => {
                    let values = [data, lifetime, time, name, time];
                    inner.run(operation, &inner.statements.revive, &values).await?
                }
            };
            if answer.affected > 0 {
                return Ok(Revision::of_bytes(&write.payload));
            }
            // Somebody was faster: another one who creates it, or one who removes what has expired.
            resent |= answer.resent;
        }
        let error = inner.error(ErrorKind::Timeout, operation);
        Err(if resent { error.with_maybe_applied() } else { error })
    }

    async fn load(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        let id = self.0.id(key, Operation::Load)?;
        let row = self.0.read(Operation::Load, id).await?;
        Ok(row.and_then(|row| row.live(self.0.now())))
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        _op: OpToken,
    ) -> Result<Revision> {
        let operation = Operation::Save;
        self.0.capabilities.check_write(&write, operation)?;
        let saved = self.write(operation, key, Some(&write), expected).await?;
        saved.ok_or_else(|| self.0.error(ErrorKind::NotFound, operation))
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        _op: OpToken,
    ) -> Result<()> {
        let (inner, operation) = (&self.0, Operation::Touch);
        let (id, now) = (inner.id(key, operation)?, inner.now());
        let live = |row: Option<Row>| {
            let row = row.filter(|row| row.live(now).is_some());
            row.ok_or_else(|| inner.error(ErrorKind::NotFound, operation))
        };
        let row = live(inner.read(operation, id).await?)?;
        if incarnation != Incarnation::NONE {
            return Err(inner.error(ErrorKind::Conflict, operation));
        }
        if row.lifetime >= end(now, ttl) {
            return Ok(());
        }
        let [lifetime, time] = [end(now, ttl), seconds(now)].map(Arg::Int);
        let values = [lifetime, time, Arg::Bytes(id.expose().as_bytes()), time, lifetime];
        if inner.touch_held(key, &values).await? {
            return Ok(());
        }
        if inner.run(operation, &inner.statements.touch, &values).await?.affected == 0 {
            // Somebody has removed it, or prolonged it more.
            live(inner.read(operation, id).await?)?;
        }
        Ok(())
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, _op: OpToken) -> Result<()> {
        self.write(Operation::Delete, key, None, expected).await.map(drop)
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        let (inner, operation) = (&self.0, Operation::Lock);
        inner.check_locking(operation)?;
        let id = inner.id(key, operation)?;
        let lease = Lease::new(request.op, request.lease);
        if self.renew(key, &lease, request.lease).await.is_ok() {
            return Ok(Locked::new(Some(lease), self.load(key, ReadOptions::latest()).await?));
        }
        let deadline = instant_after(request.wait);
        let turn = match inner.queue.enter(key.digest(), deadline).await {
            Ok(turn) => turn,
            Err(QueueError::Full) => return Err(inner.error(ErrorKind::TooManyWaiters, operation)),
            Err(_) => return Err(inner.error(ErrorKind::LockTimeout, operation)),
        };
        let mut pause = Jitter::new(POLLS.0, POLLS.1);
        loop {
            match inner.try_lock(operation, id).await {
                Ok((wire, row)) => {
                    let Some(record) = row.and_then(|row| row.live(inner.now())) else {
                        inner.unlock(operation, id, wire).await?;
                        return Ok(Locked::new(None, None));
                    };
                    let until = instant_after(request.lease);
                    let hold = Hold::new(key.clone(), wire, record.revision, until);
                    self.watch(request.op, &inner.holds.add(request.op, hold));
                    return Ok(Locked::new(Some(lease), Some(record)));
                }
                Err(Trouble::Failed(error)) => return Err(error),
                // A named lock may be that of a session that was removed meanwhile.
                Err(Trouble::Busy) if self.load(key, ReadOptions::latest()).await?.is_none() => {
                    return Ok(Locked::new(None, None));
                }
                Err(Trouble::Busy) => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let held = inner.holds.of(key).and_then(|hold| hold.left());
                return Err(inner.error(ErrorKind::LockTimeout, operation).with_retry_after(held));
            }
            turn.wait(pause.pause().min(left)).await;
        }
    }

    async fn renew(&self, _key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        let (inner, operation) = (&self.0, Operation::Renew);
        inner.check_locking(operation)?;
        let lost = || inner.error(ErrorKind::LockLost, operation);
        let hold = inner.holds.get(lease.token()).ok_or_else(lost)?;
        let mut state = hold.state.lock().await;
        let (wire, row) = inner.keep(operation, &hold, &mut state).await?;
        if row.is_none() {
            inner.unlock(operation, inner.id(&hold.key, operation)?, wire).await?;
            return Err(lost());
        }
        state.wire = Some(wire);
        hold.extend(instant_after(duration));
        Ok(())
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        let (inner, operation) = (&self.0, Operation::Release);
        inner.check_locking(operation)?;
        if let Some(hold) = inner.holds.remove(lease.token()) {
            let wire = hold.state.lock().await.wire.take();
            if let Some(wire) = wire {
                inner.unlock(operation, inner.id(key, operation)?, wire).await?;
            }
        }
        inner.queue.wake(key.digest());
        Ok(())
    }

    async fn sweep(&self, _cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport> {
        let most = budget.max_scanned.max(1);
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let (operation, statements) = (Operation::Sweep, &self.0.statements);
        let now = self.0.now();
        let oldest = self.0.run(operation, &statements.oldest, &[]).await?.rows.into_iter().next();
        let values = [Arg::Int(seconds(now)), Arg::Int(limit)];
        let gone = self.0.run(operation, &statements.sweep, &values).await?.affected;
        let mut report = SweepReport::default();
        report.deleted = usize::try_from(gone).unwrap_or(usize::MAX);
        report.scanned = report.deleted;
        if let Some([Value::Int(oldest)]) = oldest.as_deref().filter(|_| gone > 0) {
            let lag = u64::try_from(seconds(now).saturating_sub(*oldest)).unwrap_or_default();
            report.oldest_lag = Some(Duration::from_secs(lag));
        }
        report.next = (report.deleted >= most).then(|| Cursor::new(&b"more"[..]));
        Ok(report)
    }

    async fn ping(&self) -> Result<()> {
        self.0.run(Operation::Ping, &Arc::from("SELECT 1"), &[]).await.map(drop)
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
