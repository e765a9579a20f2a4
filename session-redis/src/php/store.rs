//! The store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use session_core::{
    Capabilities, Cursor, Enumeration, Error, ErrorKind, Expected, Holds, Incarnation, Key, Lease,
    LockQueue, LockRequest, Locked, OpToken, Operation, PrincipalIndex, ReadOptions, Record,
    Result, Revision, SessionStore, SweepBudget, SweepReport, Sweeping, Then, Ttl, Under, Write,
};

use super::{
    PhpLayout, lock,
    reply::{self, Reply},
    scripts::Scripts,
};
use crate::{
    BACKEND,
    answer::nonsense,
    link::{Answer, Command, Fault, Link, Parts, Request, Script, Value},
    record,
    scripts::Dialect,
};

/// Keeps sessions in Redis or Valkey as PHP's extension phpredis does, so that both can use them at
/// the same time.
///
/// It needs the id of a session ([`Key::secret`]), which is part of the name of its key. Its revisions
/// are digests of the stored bytes. A clone is a handle to the same store.
#[derive(Debug, Clone)]
pub struct PhpStore(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    layout: PhpLayout,
    /// One for each server of the layout.
    links: Vec<Link>,
    pub(super) scripts: Scripts,
    pub(super) queue: LockQueue,
    pub(super) holds: Holds,
    capabilities: Capabilities,
}

/// The names of a session's keys, and the server that has them.
pub(super) struct Names<'a> {
    link: &'a Link,
    data: Vec<u8>,
    lock: Option<Vec<u8>>,
}

impl PhpStore {
    /// Connects.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when a setting or the credentials are wrong,
    /// [`Unavailable`](ErrorKind::Unavailable) or [`Timeout`](ErrorKind::Timeout) when a server does
    /// not answer.
    pub async fn open(layout: PhpLayout) -> Result<Self> {
        layout.check()?;
        let mut links = Vec::new();
        for server in &layout.servers {
            let link = Link::open(&server.redis, Arc::new(|_| {})).await;
            links.push(link.map_err(|fault| fault.into_error(Operation::Open, false))?);
        }
        let flags = links.iter().all(|link| link.info().has_script_flags());
        let scripts = Scripts::new(Dialect { sharded: false, flags, waits: false });
        let evicts = links.iter().any(|link| link.info().evicts());
        let capabilities = capabilities(&layout, evicts);
        let queue = LockQueue::new(capabilities.max_waiters);
        let holds = Holds::default();
        Ok(Self(Arc::new(Inner { layout, links, scripts, queue, holds, capabilities })))
    }

    pub(super) fn names(&self, key: &Key, operation: Operation) -> Result<Names<'_>> {
        let refuse = |kind| Error::new(kind, BACKEND, operation);
        let id = key.secret().ok_or_else(|| {
            refuse(ErrorKind::Unsupported).with_detail("PHP's layout needs the id of a session")
        })?;
        let id = id.expose().as_bytes();
        let lock = self.0.layout.lock.as_ref();
        if lock.is_some_and(|lock| id.ends_with(lock.suffix.as_bytes())) {
            // Its key would be the lock of another session.
            return Err(refuse(ErrorKind::InvalidId));
        }
        let place = self.0.layout.place(id).ok_or_else(|| refuse(ErrorKind::InvalidId))?;
        let (Some(server), Some(link)) =
            (self.0.layout.servers.get(place), self.0.links.get(place))
        else {
            return Err(refuse(ErrorKind::Backend));
        };
        let data = [&server.prefix, id].concat();
        let lock = lock.map(|lock| [&data, lock.suffix.as_bytes()].concat());
        Ok(Names { link, data, lock })
    }

    async fn ask(&self, operation: Operation, link: &Link, request: Request) -> Result<Answer> {
        let writes = !matches!(operation, Operation::Load | Operation::Ping);
        link.ask(request).await.map_err(|fault| fault.into_error(operation, writes))
    }

    pub(super) async fn run(
        &self,
        operation: Operation,
        script: &Script,
        names: &Names<'_>,
        arguments: &[impl AsRef<[u8]> + Sync],
    ) -> Result<Reply> {
        let keys: Vec<&[u8]> = [Some(&names.data), names.lock.as_ref()]
            .into_iter()
            .flatten()
            .map(Vec::as_slice)
            .collect();
        let arguments: Vec<&[u8]> = arguments.iter().map(AsRef::as_ref).collect();
        let commands = vec![Command::script(script, &keys, &arguments)];
        let request = Request { key: names.data.clone(), commands, replica: false };
        let mut answer = self.ask(operation, names.link, request).await?;
        let parts = answer.values.pop().and_then(Parts::of);
        let parts = parts.ok_or_else(|| nonsense(operation))?;
        let reply = Reply::new(operation, parts, answer.resent)?;
        if reply.is_ok() && !answer.acknowledged {
            return Err(Fault::unacknowledged().into_error(operation, true));
        }
        Ok(reply)
    }

    fn check_locking(&self, operation: Operation) -> Result<()> {
        let locks = self.0.capabilities.locking.is_yes();
        if locks { Ok(()) } else { Err(no_locks(operation)) }
    }

    fn expectation(&self, expected: Expected<'_>, operation: Operation) -> Result<Expectation> {
        let (mode, revision, secret, then) = match expected {
            Expected::Any => ("any", String::new(), String::new(), "break"),
            Expected::Incarnation(Incarnation::NONE) => {
                ("any", String::new(), String::new(), "release")
            }
            Expected::Incarnation(_) => ("never", String::new(), String::new(), "keep"),
            Expected::Revision(revision) => {
                ("revision", reply::hex(revision), String::new(), "keep")
            }
            Expected::Lease { lease, revision, then } => {
                self.check_locking(operation)?;
                ("lease", reply::hex(revision), secret(lease), named(then))
            }
            _ => return Err(Error::new(ErrorKind::Unsupported, BACKEND, operation)),
        };
        Ok(Expectation { mode, revision, secret, then })
    }

    /// Takes note of what a write under a lease made of the record.
    fn note(&self, key: &Key, lease: &Lease, then: Then, seen: Option<Revision>) {
        match then {
            Then::Keep => self.0.holds.note(key.digest(), lease, seen),
            _ => self.0.holds.forget(key.digest(), lease),
        }
        self.0.queue.wake(key.digest());
    }
}

/// An [`Expected`] as the scripts read it.
struct Expectation {
    mode: &'static str,
    revision: String,
    secret: String,
    then: &'static str,
}

const fn named(then: Then) -> &'static str {
    if matches!(then, Then::Keep) { "keep" } else { "release" }
}

/// What the lock's key holds under this lease. PHP compares such secrets and nothing else.
pub(super) fn secret(lease: &Lease) -> String {
    HEXLOWER.encode(lease.token().as_bytes())
}

/// A lifetime as the scripts read it.
fn ttl(ttl: Ttl) -> String {
    if ttl == Ttl::NEVER { String::new() } else { record::millis(ttl).to_string() }
}

fn no_locks(operation: Operation) -> Error {
    Error::new(ErrorKind::Unsupported, BACKEND, operation)
        .with_detail("sessions are not locked in this layout")
}

fn capabilities(layout: &PhpLayout, evicts: bool) -> Capabilities {
    let mut capabilities = Capabilities::of_payloads_only(BACKEND);
    match &layout.lock {
        Some(lock) => {
            capabilities.wake_step = lock.pause;
            capabilities.takeover_time = Duration::from_millis(2);
        }
        None => capabilities = capabilities.without_locking(),
    }
    if let Some(first) = layout.servers.first() {
        capabilities.max_payload = first.redis.max_payload;
        capabilities.max_waiters = first.redis.max_waiters;
    }
    capabilities.sweeping = Sweeping::ByServer;
    capabilities.evicts = evicts;
    capabilities.survives_restart = false;
    capabilities
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
        let operation = Operation::Create;
        self.0.capabilities.check_write(&write, operation)?;
        if under.is_some() {
            self.check_locking(operation)?;
        }
        let secret = under.map_or_else(String::new, |under| secret(under.lease));
        let then = under.map_or("keep", |under| named(under.then));
        let (names, ttl) = (self.names(key, operation)?, ttl(write.ttl));
        let arguments: [&[u8]; 4] =
            [&write.payload, ttl.as_bytes(), secret.as_bytes(), then.as_bytes()];
        self.run(operation, &self.0.scripts.create, &names, &arguments).await?.done(operation)?;
        let revision = reply::revision(&write.payload);
        if let Some(under) = under {
            self.note(key, under.lease, under.then, Some(revision));
        }
        Ok(revision)
    }

    async fn load(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        let operation = Operation::Load;
        let names = self.names(key, operation)?;

        let commands =
            vec![Command::new("GET", &[&names.data]), Command::new("PTTL", &[&names.data])];
        let request = Request { key: names.data, commands, replica: false };
        let mut values = self.ask(operation, names.link, request).await?.values.into_iter();
        match (values.next(), values.next()) {
            // It ended between the two.
            (Some(Value::Nil), _) | (_, Some(Value::Int(-2))) => Ok(None),
            (Some(Value::BulkString(value)), Some(Value::Int(left))) => {
                Ok(Some(reply::record(&value, left)))
            }
            _ => Err(nonsense(operation)),
        }
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
        let want = self.expectation(expected, operation)?;
        let (names, ttl) = (self.names(key, operation)?, ttl(write.ttl));
        let then = if want.then == "break" { "release" } else { want.then };
        let arguments: [&[u8]; 6] = [
            &write.payload,
            ttl.as_bytes(),
            want.mode.as_bytes(),
            want.revision.as_bytes(),
            want.secret.as_bytes(),
            then.as_bytes(),
        ];
        self.run(operation, &self.0.scripts.save, &names, &arguments).await?.done(operation)?;
        let revision = reply::revision(&write.payload);
        match expected {
            Expected::Lease { lease, then, .. } => self.note(key, lease, then, Some(revision)),
            _ => self.0.queue.wake(key.digest()),
        }
        Ok(revision)
    }

    async fn touch(
        &self,
        key: &Key,
        lifetime: Ttl,
        incarnation: Incarnation,
        _op: OpToken,
    ) -> Result<()> {
        let operation = Operation::Touch;
        let names = self.names(key, operation)?;
        let other = if incarnation == Incarnation::NONE { "" } else { "never" };
        let arguments = [ttl(lifetime), other.to_owned()];
        self.run(operation, &self.0.scripts.touch, &names, &arguments).await?.done(operation)
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, _op: OpToken) -> Result<()> {
        let operation = Operation::Delete;
        let want = self.expectation(expected, operation)?;
        let names = self.names(key, operation)?;
        let arguments = [want.mode, &want.revision, &want.secret, want.then];
        self.run(operation, &self.0.scripts.delete, &names, &arguments).await?.done(operation)?;
        match expected {
            Expected::Lease { lease, then, .. } => self.note(key, lease, then, None),
            _ => self.0.queue.wake(key.digest()),
        }
        Ok(())
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        match &self.0.layout.lock {
            Some(how) => lock::lock(self, key, how, request).await,
            None => Err(no_locks(Operation::Lock)),
        }
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        let operation = Operation::Renew;
        self.check_locking(operation)?;
        let names = self.names(key, operation)?;
        let seen = self.0.holds.seen(key.digest(), lease);
        let again = match seen {
            Some(Some(revision)) => reply::hex(revision),
            Some(None) => "none".to_owned(),
            None => String::new(),
        };
        let arguments = [secret(lease), record::lease(duration).to_string(), again];
        let reply = self.run(operation, &self.0.scripts.renew, &names, &arguments).await?;
        let outcome = reply.done(operation);
        match (&outcome, seen) {
            (Ok(()), Some(seen)) => {
                self.0.holds.note(key.digest(), &Lease::new(lease.token(), duration), seen);
            }
            (Err(error), _) if error.kind() == ErrorKind::LockLost => {
                self.0.holds.forget(key.digest(), lease);
            }
            _ => {}
        }
        outcome
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        let operation = Operation::Release;
        self.check_locking(operation)?;
        let names = self.names(key, operation)?;
        self.0.holds.forget(key.digest(), lease);
        let arguments = [secret(lease)];
        let reply = self.run(operation, &self.0.scripts.release, &names, &arguments).await?;
        reply.done(operation)?;
        self.0.queue.wake(key.digest());
        Ok(())
    }

    async fn sweep(&self, _cursor: Option<&Cursor>, _budget: SweepBudget) -> Result<SweepReport> {
        Ok(SweepReport::default())
    }

    async fn ping(&self) -> Result<()> {
        for link in &self.0.links {
            let commands = vec![Command::new("PING", &[])];
            let request = Request { key: Vec::new(), commands, replica: false };
            self.ask(Operation::Ping, link, request).await?;
        }
        Ok(())
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
