//! Payloads that the store cannot read.

mod keys;
mod sealed;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use session_core::{
    Capabilities, Clock, Error, ErrorKind, Expected, Key, LockAbsent, LockRequest, Locked, OpToken,
    Operation, ReadOptions, Record, Result, Revision, SessionStore, SystemClock, Timestamp, Under,
    Write, forward,
};

pub use self::keys::{EncryptionKey, KeyId, KeyRing};
use self::sealed::{OVERHEAD, Place, Unreadable};

#[doc = include_str!("encryption.md")]
#[derive(Debug)]
pub struct Encrypted<S> {
    inner: S,
    keys: KeyRing,
    namespace: String,
    change: Option<(Timestamp, Timestamp)>,
    unreadable_is_absent: bool,
    clock: Arc<dyn Clock>,
    capabilities: Capabilities,
}

impl<S: SessionStore> Encrypted<S> {
    /// Encrypts what `inner` keeps.
    #[must_use]
    pub fn new(inner: S, keys: KeyRing) -> Self {
        let mut capabilities = inner.capabilities().clone();
        capabilities.max_payload = capabilities.max_payload.saturating_sub(OVERHEAD);
        let clock = Arc::new(SystemClock::default());
        Self {
            inner,
            keys,
            namespace: String::new(),
            change: None,
            unreadable_is_absent: false,
            clock,
            capabilities,
        }
    }

    /// The name of the application or tenant whose sessions these are. A payload of another one is
    /// unreadable, even if both use the same keys and their stores are mixed up. Default: none.
    #[must_use]
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// Lets a fleet with live sessions change over without losing one. Default: everything is and
    /// was encrypted.
    ///
    /// Before `start` payloads are written as they are, from then on encrypted; before `end` those
    /// that are not encrypted are read as they are. So every server must have the layer before
    /// `start`, and by `end` every session must have been saved or have ended. Until `end` whoever
    /// can write to the store can forge sessions, as before.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when `end` is not after `start`: what was written before
    /// `start` could not be read after it.
    pub fn change_over(mut self, start: Timestamp, end: Timestamp) -> Result<Self> {
        if end <= start {
            return Err(wrong_setting("a change-over must end after it starts"));
        }
        self.change = Some((start, end));
        Ok(self)
    }

    /// Takes a session whose payload cannot be read for one that has ended: its user is nobody
    /// and can log in again, under a new id. Default: it is
    /// [`Corrupt`](session_core::ErrorKind::Corrupt), and every use of it an error.
    ///
    /// Set it before a key that leaked goes, and where a damaged session must not lock its user
    /// out. With it, a server that lacks a key that others write with logs users out instead of
    /// failing. Each time the event `undecryptable` says so. The record itself stays until it expires
    /// or is deleted.
    #[must_use]
    pub const fn unreadable_as_absent(mut self) -> Self {
        self.unreadable_is_absent = true;
        self
    }

    /// The clock by which [`change_over`](Self::change_over) goes. Default: the operating system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    fn writes_plain(&self) -> bool {
        self.change.is_some_and(|(start, _)| self.clock.now() < start)
    }

    fn reads_plain(&self) -> bool {
        self.change.is_some_and(|(_, end)| self.clock.now() < end)
    }

    fn error(&self, kind: ErrorKind, operation: Operation) -> Error {
        Error::new(kind, self.capabilities.backend, operation)
    }

    fn seal(&self, key: &Key, mut write: Write, op: OpToken, of: Operation) -> Result<Write> {
        if write.payload.len() > self.capabilities.max_payload {
            return Err(self.error(ErrorKind::TooLarge, of));
        }
        if self.writes_plain() {
            return Ok(write);
        }
        let place = Place { key: key.digest(), meta: &write.meta, namespace: &self.namespace };
        let sealed = sealed::seal(&self.keys, &place, op, &write.payload);
        // Beyond 256 GiB; no store takes that much.
        write.payload = sealed.map_err(|_too_long| self.error(ErrorKind::TooLarge, of))?;
        Ok(write)
    }

    fn open(&self, key: &Key, mut record: Record, of: Operation) -> Result<Record> {
        let place = Place { key: key.digest(), meta: &record.meta, namespace: &self.namespace };
        match sealed::open(&self.keys, &place, &record.payload) {
            Ok(payload) => record.payload = payload,
            Err(Unreadable::Plain) if self.reads_plain() => {}
            Err(reason) => {
                #[cfg(feature = "observe")]
                crate::observe::undecryptable(self.capabilities.backend, reason.label());
                let (session, reason) = (key.log_id(), reason.as_str());
                tracing::warn!(target: "session", event = "undecryptable", %session, "{reason}");
                return Err(self.error(ErrorKind::Corrupt, of).with_detail(reason));
            }
        }
        Ok(record)
    }

    /// Opens what was read. `None` if nothing was, or what cannot be read counts as nothing.
    fn opened_or_absent(
        &self,
        key: &Key,
        record: Option<Record>,
        of: Operation,
    ) -> Result<Option<Record>> {
        match record.map(|record| self.open(key, record, of)).transpose() {
            Err(_told) if self.unreadable_is_absent => Ok(None),
            opened => opened,
        }
    }

    /// Opens the record that comes with a refusal. One that cannot be read is left out: whoever
    /// reads again learns why.
    async fn opened<T: Send>(
        &self,
        operation: Operation,
        key: Option<&Key>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        call.await.map_err(|mut error| {
            let current = key.zip(error.take_current());
            let open = |(key, record)| self.open(key, record, operation).ok();
            error.with_current(current.and_then(open))
        })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore> SessionStore for Encrypted<S> {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        let write = self.seal(key, write, op, Operation::Create)?;
        self.opened(Operation::Create, Some(key), self.inner.create(key, write, op, under)).await
    }

    async fn load(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        let record = self.inner.load(key, options).await?;
        self.opened_or_absent(key, record, Operation::Load)
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        let write = self.seal(key, write, op, Operation::Save)?;
        self.opened(Operation::Save, Some(key), self.inner.save(key, write, expected, op)).await
    }

    /// A lock over a record that cannot be read is given back at once, unless the record counts as
    /// absent and the store holds absent keys.
    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        let Locked { lease, record, .. } = self.inner.lock(key, request).await?;
        let found = record.is_some();
        let opened = self.opened_or_absent(key, record, Operation::Lock);
        let holds_absent = self.capabilities.lock_absent == LockAbsent::Held;
        let keeps = match &opened {
            Ok(Some(_)) => true,
            Ok(None) => !found || holds_absent,
            Err(_) => false,
        };
        if keeps {
            return Ok(Locked::new(lease, opened?));
        }
        if let Some(lease) = &lease {
            // If that fails, the lease ends by itself; the caller is told what is wrong here.
            drop(self.inner.release(key, lease).await);
        }
        Ok(Locked::new(None, opened?))
    }

    forward!(self => self.inner, around opened; touch delete);
    forward!(self => self.inner; renew release sweep ping principal_index enumeration);

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }
}

fn wrong_setting(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, "encryption", Operation::Open).with_detail(detail)
}
