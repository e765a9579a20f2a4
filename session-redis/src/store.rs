//! The store.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::{FutureExt as _, TryFutureExt as _, future::OptionFuture};
use session_core::{
    Capabilities, Cursor, Enumeration, Error, ErrorKind, Expected, Idempotency, Incarnation, Key,
    Lease, Lineage, LockQueue, LockRequest, Locked, OpToken, Operation, PrincipalIndex,
    REMEMBERED_OPS, ReadOptions, Record, Result, Revision, SessionStore, SweepBudget, SweepReport,
    Sweeping, Then, Ttl, Under, Write,
};
use tokio::time::Instant as Deadline;

use crate::{
    BACKEND, RedisConfig, RedisStoreBuilder, Servers,
    answer::{Plain, Reply, corrupt, nonsense, server_time},
    clock::{PROMPT, ServerClock},
    index,
    keys::Keys,
    link::{Answer, Command, Link, Request, Script, Value},
    record::{self, Damage},
    scripts::{Dialect, Scripts, code},
    seen::Seen,
    wait::{self, WAKE_STEP, Watched},
};

/// Keeps sessions in Redis or Valkey.
///
/// A clone is a handle to the same store, with the same connections.
#[derive(Debug, Clone)]
pub struct RedisStore(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) link: Link,
    pub(crate) keys: Keys,
    clock: ServerClock,
    pub(crate) scripts: Scripts,
    pub(crate) queue: LockQueue,
    pub(crate) watched: Watched,
    pub(crate) seen: Seen,
    /// Whether writes can leave all to be known here: one that replicas must have is written once
    /// more where it was done already.
    is_plain: bool,
    capabilities: Capabilities,
}

/// What such a write depends on.
enum Condition<'a> {
    /// There is nothing.
    Absent,
    /// There is this.
    Same(&'a [u8]),
}

impl RedisStore {
    /// Connects with the settings of a [URL](RedisConfig::from_url).
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the URL or the credentials are wrong,
    /// [`Unavailable`](ErrorKind::Unavailable) or [`Timeout`](ErrorKind::Timeout) when no server
    /// answers.
    pub async fn open(url: &str) -> Result<Self> {
        Self::builder(url)?.open().await
    }

    /// A store with the settings of a [URL](RedisConfig::from_url), and others of your own.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the URL is wrong.
    pub fn builder(url: &str) -> Result<RedisStoreBuilder> {
        RedisConfig::from_url(url).map(Into::into)
    }

    pub(crate) async fn connect(config: RedisConfig) -> Result<Self> {
        let keys = Keys::new(&config.prefix);
        let queue = LockQueue::new(config.max_waiters);
        let on_message = {
            let (keys, queue) = (keys.clone(), queue.clone());
            Arc::new(move |channel: &[u8]| {
                keys.digest(channel).inspect(|digest| queue.wake(digest));
            })
        };
        let link = Link::open(&config, on_message).await;
        let link = link.map_err(|fault| fault.into_error(Operation::Open, false))?;
        let scripts = Scripts::new(Dialect {
            sharded: link.has_sharded_channels(),
            flags: link.info().has_script_flags(),
            waits: config.wait_replicas > 0,
        });
        let watched = Watched::default();
        let is_plain = config.wait_replicas == 0;
        let seen = if is_plain { Seen::new(link.info().compares) } else { Seen::nothing() };
        let mut capabilities = capabilities(&config);
        let clock = ServerClock::new(!matches!(config.servers, Servers::Cluster(_)));
        capabilities.evicts = link.info().evicts();
        let inner =
            Inner { link, keys, clock, scripts, queue, watched, seen, is_plain, capabilities };
        Ok(Self(Arc::new(inner)))
    }

    // What these are given does not go into their futures, where it would stay until the end.

    pub(crate) fn ask(
        &self,
        operation: Operation,
        request: Request,
    ) -> impl Future<Output = Result<Answer>> + Send {
        let writes = !matches!(operation, Operation::Load | Operation::Ping);
        self.0.link.ask(request).map_err(move |fault| fault.into_error(operation, writes))
    }

    /// Runs a script on a key.
    fn run<'a>(
        &'a self,
        operation: Operation,
        script: &Script,
        key: &Key,
        arguments: &[&[u8]],
    ) -> impl Future<Output = Result<Reply>> + Send + use<'a> {
        self.run_on(operation, script, self.0.keys.name(key), arguments)
    }

    /// Runs a script on the key of this name.
    pub(crate) fn run_on<'a>(
        &'a self,
        operation: Operation,
        script: &Script,
        name: Vec<u8>,
        arguments: &[&[u8]],
    ) -> impl Future<Output = Result<Reply>> + Send + use<'a> {
        let command = Command::script(script, &[&name], arguments);
        self.run_by(operation, command, name, self.0.link.deadline())
    }

    fn run_by(
        &self,
        operation: Operation,
        script: Command,
        name: Vec<u8>,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Reply>> + Send {
        let request = Request { key: name, commands: vec![script], replica: false };
        self.0.link.ask_by(request, deadline).map(move |asked| {
            Reply::of(operation, asked.map_err(|fault| fault.into_error(operation, true))?)
        })
    }

    /// Sets a key until a time of the server's clock.
    fn set_if<'a>(
        &'a self,
        operation: Operation,
        condition: Condition<'_>,
        name: &[u8],
        (draft, until): (&[u8], u64),
        deadline: Deadline,
    ) -> impl Future<Output = Result<Plain>> + Send + use<'a> {
        let until = until.to_string();
        let until = until.as_bytes();
        let command = match condition {
            Condition::Absent => Command::new("SET", &[name, draft, b"PXAT", until, b"NX"]),
            Condition::Same(old) if self.0.seen.compares() => {
                Command::new("SET", &[name, draft, b"PXAT", until, b"IFEQ", old])
            }
            Condition::Same(old) => {
                let arguments = [record::beginning(old), draft, until];
                Command::script(&self.0.scripts.swap, &[name], &arguments)
            }
        };
        let request = Request { key: name.to_vec(), commands: vec![command], replica: false };
        self.0.link.ask_by(request, deadline).map(move |asked| match asked {
            Ok(answer) => Plain::of(operation, &answer),
            Err(fault) => {
                let error = fault.into_error(operation, true);
                if error.kind() != ErrorKind::Backend {
                    return Err(error);
                }
                Ok(Plain::Not { in_doubt: error.maybe_applied(), unknown: true })
            }
        })
    }

    /// Until when a new record lives, if all is known of it that a script would find out.
    fn plain_end(&self, write: &Write, under: Option<&Under<'_>>) -> Option<u64> {
        let now = self.0.clock.now().filter(|_| self.0.is_plain && under.is_none())?;
        let end = record::deadline(write, now);
        (end >= now + record::SHORTEST_PLAIN).then_some(end)
    }

    /// Asks once for the lock; without a grant says how long the present lease still lasts.
    /// `wants`: for how long the caller wants to be told of a release.
    pub(crate) async fn try_lock(
        &self,
        key: &Key,
        request: LockRequest,
        wants: Duration,
    ) -> Result<Result<Locked, Duration>> {
        let operation = Operation::Lock;
        let lease = Lease::new(request.op, request.lease);
        let want = [
            request.op.as_bytes().as_slice(),
            &record::lease(request.lease).to_be_bytes(),
            &record::millis(wants.into()).to_be_bytes(),
        ]
        .concat();
        let mut reply = self.run(operation, &self.0.scripts.lock, key, &[&want]).await?;
        if reply.code == code::OK {
            let record = match reply.parts.bytes() {
                Some(value) => reply.record(operation, &value)?,
                None => None,
            };
            return Ok(Ok(Locked::new(Some(lease), record)));
        }
        let error = reply.refusal(operation)?;
        match error.kind() {
            ErrorKind::LockHeld => Ok(Err(error.retry_after().unwrap_or(WAKE_STEP))),
            _ => Err(error),
        }
    }
}

/// The name of an expectation, the revision and the lease in it, as the scripts read them.
fn expectation(expected: Expected<'_>, operation: Operation) -> Result<Vec<u8>> {
    let none = OpToken::from_bytes([0; 16]);
    let (mode, revision, token, then) = match expected {
        Expected::Any => (b'a', [0; 24], none, Then::Release),
        Expected::Incarnation(incarnation) => {
            (b'i', record::revision_bytes(Revision::counted(incarnation, 0)), none, Then::Release)
        }
        Expected::Revision(revision) => {
            (b'r', record::revision_bytes(revision), none, Then::Release)
        }
        Expected::Lease { lease, revision, then } => {
            (b'l', record::revision_bytes(revision), lease.token(), then)
        }
        _ => return Err(Error::new(ErrorKind::Unsupported, BACKEND, operation)),
    };
    Ok([&[mode], &revision[..], token.as_bytes(), &[then_byte(then)]].concat())
}

const fn then_byte(then: Then) -> u8 {
    if matches!(then, Then::Keep) { b'k' } else { b'r' }
}

fn capabilities(config: &RedisConfig) -> Capabilities {
    let mut capabilities = Capabilities::new(BACKEND);
    capabilities.max_payload = config.max_payload;
    capabilities.max_waiters = config.max_waiters;
    capabilities.staleness = config.replica_staleness;
    capabilities.idempotency = Idempotency::Window(REMEMBERED_OPS);
    capabilities.wake_step = WAKE_STEP;
    capabilities.takeover_time = Duration::from_millis(2);
    capabilities.clock_skew = PROMPT;
    capabilities.sweeping = Sweeping::ByServer;
    capabilities.survives_restart = false;
    capabilities.survives_failover = false;
    capabilities
}

#[async_trait]
impl SessionStore for RedisStore {
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
        let none = OpToken::from_bytes([0; 16]);
        let lease = under.as_ref().map_or(none, |under| under.lease.token());
        let then = under.as_ref().map_or(Then::Release, |under| under.then);
        let want = [
            lease.as_bytes().as_slice(),
            &[then_byte(then)],
            &record::millis(write.ttl).to_be_bytes(),
            &record::absolute(&write.meta).to_be_bytes(),
        ]
        .concat();
        let drafted = record::first(incarnation, op);
        let mut draft = record::draft(&write, drafted, op);
        let (name, deadline) = (self.0.keys.name(key), self.0.link.deadline());
        let made = match self.plain_end(&write, under.as_ref()) {
            Some(end) => {
                record::ends(&mut draft, end);
                self.set_if(operation, Condition::Absent, &name, (&draft, end), deadline).await?
            }
            None => Plain::NO,
        };
        let revision = match made {
            Plain::Done => drafted,
            Plain::Not { in_doubt, .. } => {
                let create = Command::script(&self.0.scripts.create, &[&name], &[&want, &draft]);
                let reply = self.run_by(operation, create, name, deadline).await;
                let made = reply.and_then(|reply| reply.revision(operation, drafted));
                made.map_err(|error| if in_doubt { error.with_maybe_applied() } else { error })?.0
            }
        };
        wait::freed(self, key);
        index::enlist(self, key, &write).await;
        Ok(revision)
    }

    async fn load(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        let operation = Operation::Load;
        let name = self.0.keys.name(key);
        let staleness = self.0.capabilities.staleness;
        let replica = !staleness.is_zero() && options.max_staleness >= staleness;
        let now = self.0.clock.now().filter(|_| !replica);
        let mut commands = vec![Command::new("GET", &[&name])];
        if now.is_none() {
            commands.push(Command::new("TIME", &[]));
        }
        let asked = Instant::now();
        let answer = self.ask(operation, Request { key: name, commands, replica }).await?;
        let mut values = answer.values.into_iter();
        let value = match values.next() {
            Some(Value::Nil) => return Ok(None),
            Some(Value::BulkString(value)) => value,
            _ => return Err(nonsense(operation)),
        };
        let now = match (now, values.next()) {
            (Some(now), _) => now,
            (None, time) => {
                let now = time.and_then(server_time).ok_or_else(|| nonsense(operation))?;
                // A replica's clock is another one.
                if !replica {
                    self.0.clock.learn(now, asked);
                }
                now
            }
        };
        let record = record::decode(&value, now).map_err(|Damage| corrupt(operation))?;
        if !replica {
            self.0.seen.note(key, &value, now);
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
        let operation = Operation::Save;
        self.0.capabilities.check_write(&write, operation)?;
        let (lineage, drafted) = match (write.lineage, expected) {
            (Lineage::Restart, _) => (b'n', record::first(Incarnation::generate()?, op)),
            (_, Expected::Revision(revision) | Expected::Lease { revision, .. }) => {
                (b'c', record::next(revision, op))
            }
            // The script knows it.
            _ => (b'c', Revision::counted(Incarnation::from_bytes([0; 16]), 0)),
        };
        let want = [
            expectation(expected, operation)?.as_slice(),
            &[lineage],
            &record::millis(write.ttl).to_be_bytes(),
            &record::absolute(&write.meta).to_be_bytes(),
        ]
        .concat();
        let mut draft = record::draft(&write, drafted, op);
        let (name, deadline) = (self.0.keys.name(key), self.0.link.deadline());
        let swapping = self.0.seen.swap(key, &write, expected, &mut draft).map(|swap| {
            let same = Condition::Same(&swap.old);
            self.set_if(operation, same, &name, (&draft, swap.end), deadline)
        });
        let swapped = OptionFuture::from(swapping).await.transpose()?;
        let (revision, has_moved) = match swapped.unwrap_or(Plain::NO) {
            Plain::Done => (drafted, false),
            Plain::Not { in_doubt, unknown } => {
                if unknown {
                    // The server is another one now, which does not know the option.
                    self.0.seen.give_up();
                }
                let save = Command::script(&self.0.scripts.save, &[&name], &[&want, &draft]);
                let reply = self.run_by(operation, save, name, deadline).await;
                let saved = reply.and_then(|reply| reply.revision(operation, drafted));
                saved.map_err(|error| if in_doubt { error.with_maybe_applied() } else { error })?
            }
        };
        wait::freed(self, key);
        if has_moved {
            index::enlist(self, key, &write).await;
        }
        Ok(revision)
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        _op: OpToken,
    ) -> Result<()> {
        let want = [incarnation.as_bytes().as_slice(), &record::millis(ttl).to_be_bytes()].concat();
        let reply = self.run(Operation::Touch, &self.0.scripts.touch, key, &[&want]).await?;
        reply.done(Operation::Touch)
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, _op: OpToken) -> Result<()> {
        let operation = Operation::Delete;
        let want = expectation(expected, operation)?;
        let reply = self.run(operation, &self.0.scripts.delete, key, &[&want]).await?;
        reply.done(operation)?;
        wait::freed(self, key);
        Ok(())
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        wait::lock(self, key, request).await
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        let duration = record::lease(duration).to_be_bytes();
        let want = [lease.token().as_bytes().as_slice(), &duration].concat();
        let reply = self.run(Operation::Renew, &self.0.scripts.renew, key, &[&want]).await?;
        reply.done(Operation::Renew)
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        let token = lease.token();
        let arguments: [&[u8]; 1] = [token.as_bytes()];
        let reply = self.run(Operation::Release, &self.0.scripts.release, key, &arguments).await?;
        reply.done(Operation::Release)?;
        wait::freed(self, key);
        Ok(())
    }

    async fn sweep(&self, _cursor: Option<&Cursor>, _budget: SweepBudget) -> Result<SweepReport> {
        Ok(SweepReport::default())
    }

    async fn ping(&self) -> Result<()> {
        let request =
            Request { key: Vec::new(), commands: vec![Command::new("PING", &[])], replica: false };
        self.ask(Operation::Ping, request).await.map(drop)
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
