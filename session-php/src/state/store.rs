//! PHP's slots over any store of the family.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use session_core::{
    Error, ErrorKind, Expected, Key, KeyHasher, Lease, LockRequest, OpToken, Operation,
    ReadOptions, Record, Result, Revision, SessionStore, SweepBudget, Sweeping, Then, Ttl, Under,
    Write,
};

use super::{HandlerName, PhpId, SaveHandler, Slots};

/// How a [`StoreHandler`] locks and names sessions.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreOptions {
    /// How long the lock outlives a program that ends without closing. Nothing renews it: a request
    /// that takes longer may lose it, and then stores nothing. The standard is 30 seconds, as PHP's
    /// `max_execution_time`.
    pub lease: Duration,
    /// How long `read` waits for the lock before it fails; 30 seconds.
    pub wait: Duration,
    /// What makes keys of ids.
    pub hasher: KeyHasher,
}

impl Default for StoreOptions {
    fn default() -> Self {
        let moment = Duration::from_secs(30);
        Self { lease: moment, wait: moment, hasher: KeyHasher::plain() }
    }
}

/// A save handler over a [`SessionStore`]: `read` takes the lock, `write` commits and gives it back in one
/// step, and whatever else the request does, `close` gives it back.
///
/// What PHP's handlers cannot do, it does: a write of a request that has lost its lock, or whose session was
/// destroyed by another one, is refused; PHP warns of it. On stores that do not lock, a write is refused
/// when the session has changed since it was read.
///
/// It has no slot for new ids: PHP's own generator makes them. Ids with other characters than
/// `A-Z a-z 0-9 - _ ,` are refused when they are read, as `files` does.
#[derive(Debug)]
pub struct StoreHandler {
    store: Arc<dyn SessionStore>,
    options: StoreOptions,
    open: Option<Open>,
}

/// The session that was read.
#[derive(Debug)]
struct Open {
    id: PhpId,
    key: Key,
    lease: Option<Lease>,
    /// Of the record as we know it; none while there is no record.
    revision: Option<Revision>,
}

/// More steps of a sweep than any store has in one walk.
const STEPS: usize = 1_000;

impl StoreHandler {
    /// A handler for one request.
    #[must_use]
    pub fn new(store: Arc<dyn SessionStore>) -> Self {
        Self::with_options(store, StoreOptions::default())
    }

    /// A handler for one request, with other options than the standard.
    #[must_use]
    pub fn with_options(store: Arc<dyn SessionStore>, options: StoreOptions) -> Self {
        Self { store, options, open: None }
    }

    /// Lets the lock last for a whole lease again: for requests that take long.
    ///
    /// # Errors
    /// [`LockLost`](ErrorKind::LockLost), when somebody else has it, or nobody: then nothing is stored at the
    /// end.
    pub async fn renew(&self) -> Result<()> {
        let held = self.open.as_ref().and_then(|open| Some((&open.key, open.lease.as_ref()?)));
        let lost = || Error::new(ErrorKind::LockLost, "session", Operation::Renew);
        let (key, lease) = held.ok_or_else(lost)?;
        self.store.renew(key, lease, self.options.lease).await
    }

    fn key(&self, id: &PhpId) -> Result<Key> {
        Ok(self.options.hasher.key(&id.to_session_id()?))
    }

    /// The record, and the lock with it, unless the lock is ours already: `session_reset` reads without
    /// closing.
    async fn take(&mut self, id: &PhpId) -> Result<Option<Record>> {
        let key = self.key(id)?;
        let held = match self.open.take() {
            Some(open) if open.id == *id => open.lease,
            Some(open) => {
                self.open = Some(open);
                self.close().await?;
                None
            }
            None => None,
        };
        let (lease, record) = match held {
            None if self.store.capabilities().locking.is_yes() => {
                let StoreOptions { lease, wait, .. } = self.options;
                let request = LockRequest::new(OpToken::generate()?, lease, wait);
                let locked = self.store.lock(&key, request).await?;
                (locked.lease, locked.record)
            }
            held => {
                let record = self.store.load(&key, ReadOptions::latest()).await;
                (held, record?)
            }
        };
        let revision = record.as_ref().map(|record| record.revision);
        self.open = Some(Open { id: id.clone(), key, lease, revision });
        Ok(record)
    }

    /// The session that is open, which is this one if it was read.
    async fn opened(&mut self, id: &PhpId) -> Result<&mut Open> {
        if self.open.as_ref().is_none_or(|open| open.id != *id) {
            self.take(id).await?;
        }
        self.open.as_mut().ok_or_else(|| Error::new(ErrorKind::Backend, "session", Operation::Lock))
    }
}

#[async_trait]
impl SaveHandler for StoreHandler {
    fn name(&self) -> HandlerName {
        HandlerName::Module(self.store.capabilities().backend)
    }

    fn slots(&self) -> Slots {
        Slots { create_sid: false, ..Slots::ALL }
    }

    async fn open(&mut self, _save_path: &str, _name: &str) -> Result<()> {
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        match self.open.take() {
            Some(Open { key, lease: Some(lease), .. }) => self.store.release(&key, &lease).await,
            _ => Ok(()),
        }
    }

    async fn read(&mut self, id: &PhpId) -> Result<Bytes> {
        let record = self.take(id).await?;
        Ok(record.map(|record| record.payload).unwrap_or_default())
    }

    async fn write(&mut self, id: &PhpId, data: &Bytes, lifetime: i64) -> Result<()> {
        let store = Arc::clone(&self.store);
        let open = self.opened(id).await?;
        let (key, write) = (&open.key, Write::new(data.clone(), ttl(lifetime)));
        let (op, then) = (OpToken::generate()?, Then::Release);
        let committed = match (open.revision, &open.lease) {
            (Some(revision), Some(lease)) => {
                store.save(key, write, Expected::Lease { lease, revision, then }, op).await
            }
            (Some(revision), None) => {
                store.save(key, write, Expected::Revision(revision), op).await
            }
            (None, lease) => {
                let under = lease.as_ref().map(|lease| Under::new(lease, then));
                store.create(key, write, op, under).await
            }
        };
        open.revision = Some(committed?);
        open.lease = None;
        Ok(())
    }

    async fn destroy(&mut self, id: &PhpId) -> Result<()> {
        let key = self.key(id)?;
        // A log-out waits for nobody, and the lock goes with the record.
        self.store.delete(&key, Expected::Any, OpToken::generate()?).await?;
        self.open.take_if(|open| open.id == *id);
        Ok(())
    }

    /// What is removed is past its own end, which was set when it was written.
    async fn gc(&mut self, _lifetime: i64) -> Result<Option<u64>> {
        if self.store.capabilities().sweeping == Sweeping::ByServer {
            return Ok(None);
        }
        let (mut removed, mut cursor) = (0, None);
        for _ in 0..STEPS {
            let report = self.store.sweep(cursor.as_ref(), SweepBudget::default()).await?;
            removed += u64::try_from(report.deleted).unwrap_or_default();
            cursor = report.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(Some(removed))
    }

    async fn create_sid(&mut self) -> Result<PhpId> {
        Err(Error::new(ErrorKind::Unsupported, "session", Operation::Id))
    }

    async fn validate_sid(&mut self, id: &PhpId) -> Result<bool> {
        let Ok(key) = self.key(id) else { return Ok(false) };
        Ok(self.store.load(&key, ReadOptions::latest()).await?.is_some())
    }

    async fn update_timestamp(&mut self, id: &PhpId, data: &Bytes, lifetime: i64) -> Result<()> {
        let store = Arc::clone(&self.store);
        let touches = store.capabilities().touch.is_yes();
        let open = self.opened(id).await?;
        match open.revision.filter(|_| touches) {
            Some(revision) => {
                let op = OpToken::generate()?;
                store.touch(&open.key, ttl(lifetime), revision.incarnation(), op).await
            }
            None => self.write(id, data, lifetime).await,
        }
    }
}

fn ttl(lifetime: i64) -> Ttl {
    Duration::from_secs(u64::try_from(lifetime).unwrap_or_default()).into()
}
