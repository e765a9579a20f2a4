//! A store that a test can get in between of, and what most tests start from.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::{
    cell::RefCell,
    fmt::{self, Write as _},
    sync::{Arc, Once},
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    Capabilities, CookieChange, Cursor, Enumeration, Error, ErrorKind, Expected, Incarnation, Key,
    Lease, LockAbsent, LockRequest, Locked, MemoryStore, OpToken, Operation, PrincipalIndex,
    ReadOptions, Record, Result, Revision, Session, SessionId, SessionManager, SessionStore,
    SweepBudget, SweepReport, Ttl, Under, Write,
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// More than any test takes: a hang is a failure, slowness is not.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// What happens around the calls to a store.
#[async_trait]
pub(crate) trait Between: Send + Sync + 'static {
    /// Before the call reaches the store; an error takes its place.
    async fn before(&self, call: Operation) -> Result<()> {
        let _call = call;
        Ok(())
    }

    /// After the store has done it; an error is what the caller sees instead.
    async fn after(&self, call: Operation) -> Result<()> {
        let _call = call;
        Ok(())
    }
}

/// A memory store with somebody in between.
pub(crate) struct Watched<B> {
    pub(crate) store: MemoryStore,
    pub(crate) between: Arc<B>,
    capabilities: Capabilities,
}

impl<B> Watched<B> {
    pub(crate) fn new(between: B) -> Self {
        Self::over(MemoryStore::new(), between)
    }

    pub(crate) fn over(store: MemoryStore, between: B) -> Self {
        let capabilities = store.capabilities().clone();
        Self { store, between: Arc::new(between), capabilities }
    }

    pub(crate) fn declaring(mut self, declare: impl FnOnce(&mut Capabilities)) -> Self {
        declare(&mut self.capabilities);
        self
    }
}

impl<B: Between> Watched<B> {
    async fn call<T>(
        &self,
        call: Operation,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.between.before(call).await?;
        let outcome = work.await;
        self.between.after(call).await?;
        outcome
    }
}

impl<B> fmt::Debug for Watched<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

#[async_trait]
impl<B: Between> SessionStore for Watched<B> {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        self.call(Operation::Create, self.store.create(key, write, op, under)).await
    }

    async fn load(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        self.call(Operation::Load, self.store.load(key, options)).await
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        self.call(Operation::Save, self.store.save(key, write, expected, op)).await
    }

    async fn touch(&self, key: &Key, ttl: Ttl, of: Incarnation, op: OpToken) -> Result<()> {
        self.call(Operation::Touch, self.store.touch(key, ttl, of, op)).await
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, op: OpToken) -> Result<()> {
        self.call(Operation::Delete, self.store.delete(key, expected, op)).await
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        let work = async {
            let locked = self.store.lock(key, request).await?;
            match (&locked.lease, self.capabilities.lock_absent) {
                (Some(lease), LockAbsent::NotHeld) if locked.record.is_none() => {
                    self.store.release(key, lease).await?;
                    Ok(Locked::new(None, None))
                }
                _ => Ok(locked),
            }
        };
        self.call(Operation::Lock, work).await
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        self.call(Operation::Renew, self.store.renew(key, lease, duration)).await
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        self.call(Operation::Release, self.store.release(key, lease)).await
    }

    async fn sweep(&self, cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport> {
        self.call(Operation::Sweep, self.store.sweep(cursor, budget)).await
    }

    async fn ping(&self) -> Result<()> {
        self.call(Operation::Ping, self.store.ping()).await
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        self.store.principal_index()
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        self.store.enumeration()
    }
}

/// The reply of a call that may have been applied was lost.
pub(crate) fn lost(call: Operation) -> Error {
    Error::new(ErrorKind::Timeout, "watched", call).with_maybe_applied()
}

pub(crate) fn manager() -> SessionManager {
    SessionManager::new(MemoryStore::new()).unwrap()
}

/// The id that the response would set.
pub(crate) fn set_id(session: &Session) -> SessionId {
    match session.cookie_change() {
        CookieChange::Set { id, .. } => id,
        other => panic!("expected a new id, found {other:?}"),
    }
}

/// A session with one entry, and its id.
pub(crate) async fn stored(manager: &SessionManager) -> SessionId {
    let session = manager.open(None);
    session.insert("user", "ada").await.unwrap();
    session.save().await.unwrap();
    set_id(&session)
}

/// Waits until something holds.
pub(crate) async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    tokio::time::timeout(SOON, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
}

/// Writes down all that is traced in a thread.
#[derive(Clone, Copy)]
pub(crate) struct Log;

thread_local! {
    static TRACED: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Log {
    /// What is traced while something is done in this thread. The subscriber is that of the whole
    /// program: one for a thread may miss what another thread met first.
    pub(crate) async fn of(work: impl Future<Output = ()>) -> String {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| tracing::subscriber::set_global_default(Self).unwrap());
        TRACED.take();
        work.await;
        TRACED.take()
    }
}

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        TRACED.with_borrow_mut(|text| write!(text, "{field}={value:?} ").unwrap());
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        span.record(&mut Self);
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut Self);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Self);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
