//! The wire between a server and its store: it remembers what was sent, and fails where a case
//! wants it to.

#![deny(clippy::missing_trait_methods)]

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    Capabilities, Cursor, Enumeration, Error, ErrorKind, Expected, Incarnation, Key, KeyPage,
    Lease, LockRequest, Locked, OpToken, Operation, PrincipalDigest, PrincipalIndex, ReadOptions,
    Record, Result, Revision, SessionStore, SweepBudget, SweepReport, Ttl, Under, Write,
};
use tokio::sync::Notify;

/// What becomes of a call on its way to the store and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrives, and so does the reply.
    Arrives,
    /// It does not arrive, and the caller is told so.
    Refused,
    /// It does not arrive, and the caller hears nothing.
    Swallowed,
    /// It arrives, and the caller is told that no reply came.
    ReplyLost,
    /// It arrives, and the caller hears nothing.
    Unanswered,
    /// It stays where it is until [`Wire::go_on`], and arrives then.
    Held,
}

/// A call that was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// How many calls were sent before it.
    pub(crate) n: usize,
    /// How many calls of the same operation were sent before it.
    pub(crate) nth: usize,
    pub(crate) operation: Operation,
    pub(crate) key: Option<Key>,
}

type Rule = Arc<dyn Fn(&Sent) -> Fate + Send + Sync>;

/// A store behind a wire. A clone is the same wire.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Inner>);

struct Inner {
    store: Arc<dyn SessionStore>,
    log: Mutex<Vec<Sent>>,
    rule: Mutex<Rule>,
    silence: Notify,
    go_on: Notify,
    lags: AtomicBool,
}

impl Wire {
    pub(crate) fn new(store: Arc<dyn SessionStore>) -> Self {
        let rule: Rule = Arc::new(|_| Fate::Arrives);
        Self(Arc::new(Inner {
            store,
            log: Mutex::default(),
            rule: Mutex::new(rule),
            silence: Notify::new(),
            go_on: Notify::new(),
            lags: AtomicBool::new(false),
        }))
    }

    /// What was sent since the wire was made or last cleared, in order.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        guard(&self.0.log).clone()
    }

    /// The operations that were sent since then.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        guard(&self.0.log).iter().map(|sent| sent.operation).collect()
    }

    /// How often an operation was sent since then.
    pub(crate) fn count(&self, operation: Operation) -> usize {
        guard(&self.0.log).iter().filter(|sent| sent.operation == operation).count()
    }

    /// Forgets what was sent, and starts counting anew.
    pub(crate) fn clear(&self) {
        guard(&self.0.log).clear();
    }

    /// Decides what becomes of the calls from now on, counted anew.
    pub(crate) fn rule(&self, rule: impl Fn(&Sent) -> Fate + Send + Sync + 'static) {
        *guard(&self.0.rule) = Arc::new(rule);
        self.clear();
    }

    /// Decides what becomes of the call of number `point` from now on; all others arrive. Renewals of
    /// locks do not count: where calls take long they go on beside them, and nobody waits for them.
    pub(crate) fn rule_of(&self, point: usize, fate: Fate) {
        let calls = AtomicUsize::new(0);
        self.rule(move |call| {
            let counts = call.operation != Operation::Renew;
            let is_it = counts && calls.fetch_add(1, Ordering::SeqCst) == point;
            if is_it { fate } else { Fate::Arrives }
        });
    }

    /// Everything arrives again.
    pub(crate) fn mend(&self) {
        self.rule(|_| Fate::Arrives);
    }

    /// From now on a replica answers where it may, which has not heard of any session yet.
    pub(crate) fn lag(&self) {
        self.0.lags.store(true, Ordering::SeqCst);
    }

    /// Returns when a caller waits for an answer that does not come, or not yet.
    pub(crate) async fn silence(&self) {
        self.0.silence.notified().await;
    }

    /// Lets the call arrive that is [held](Fate::Held).
    pub(crate) fn go_on(&self) {
        self.0.go_on.notify_one();
    }

    fn store(&self) -> &dyn SessionStore {
        &*self.0.store
    }

    fn index(&self) -> Result<&dyn PrincipalIndex> {
        let missing = || Error::new(ErrorKind::Unsupported, "wire", Operation::Index);
        self.store().principal_index().ok_or_else(missing)
    }

    fn send(&self, operation: Operation, key: Option<&Key>) -> Fate {
        let mut log = guard(&self.0.log);
        let nth = log.iter().filter(|sent| sent.operation == operation).count();
        let sent = Sent { n: log.len(), nth, operation, key: key.cloned() };
        log.push(sent.clone());
        drop(log);
        let rule = Arc::clone(&guard(&self.0.rule));
        rule(&sent)
    }

    async fn carry<T: Send>(
        &self,
        operation: Operation,
        key: Option<&Key>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match self.send(operation, key) {
            Fate::Arrives => call.await,
            Fate::Refused => Err(Error::new(ErrorKind::Unavailable, "wire", operation)),
            Fate::Swallowed => self.never().await,
            Fate::Held => {
                self.0.silence.notify_one();
                self.0.go_on.notified().await;
                call.await
            }
            Fate::ReplyLost => {
                drop(call.await);
                let error = Error::new(ErrorKind::Timeout, "wire", operation);
                let reads = matches!(operation, Operation::Load | Operation::Ping);
                Err(if reads { error } else { error.with_maybe_applied() })
            }
            Fate::Unanswered => {
                drop(call.await);
                self.never().await
            }
        }
    }

    async fn never<T>(&self) -> T {
        self.0.silence.notify_one();
        std::future::pending().await
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("store", &self.0.store).finish_non_exhaustive()
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl SessionStore for Wire {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        let call = self.store().create(key, write, op, under);
        self.carry(Operation::Create, Some(key), call).await
    }

    async fn load(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        let by_replica = options != ReadOptions::latest() && self.0.lags.load(Ordering::SeqCst);
        let call =
            async { if by_replica { Ok(None) } else { self.store().load(key, options).await } };
        self.carry(Operation::Load, Some(key), call).await
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        let call = self.store().save(key, write, expected, op);
        self.carry(Operation::Save, Some(key), call).await
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        op: OpToken,
    ) -> Result<()> {
        let call = self.store().touch(key, ttl, incarnation, op);
        self.carry(Operation::Touch, Some(key), call).await
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, op: OpToken) -> Result<()> {
        let call = self.store().delete(key, expected, op);
        self.carry(Operation::Delete, Some(key), call).await
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        self.carry(Operation::Lock, Some(key), self.store().lock(key, request)).await
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        self.carry(Operation::Renew, Some(key), self.store().renew(key, lease, duration)).await
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        self.carry(Operation::Release, Some(key), self.store().release(key, lease)).await
    }

    async fn sweep(&self, cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport> {
        self.carry(Operation::Sweep, None, self.store().sweep(cursor, budget)).await
    }

    async fn ping(&self) -> Result<()> {
        self.carry(Operation::Ping, None, self.store().ping()).await
    }

    fn capabilities(&self) -> &Capabilities {
        self.store().capabilities()
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        self.store().principal_index()?;
        Some(self)
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        self.store().enumeration()
    }
}

#[async_trait]
impl PrincipalIndex for Wire {
    async fn list(
        &self,
        principal: &PrincipalDigest,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<KeyPage> {
        let call = self.index()?.list(principal, cursor, limit);
        self.carry(Operation::Index, None, call).await
    }

    async fn epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        self.carry(Operation::Index, None, self.index()?.epoch(principal)).await
    }

    async fn bump_epoch(&self, principal: &PrincipalDigest) -> Result<u64> {
        self.carry(Operation::Index, None, self.index()?.bump_epoch(principal)).await
    }

    async fn revoke(&self, principal: &PrincipalDigest, except: Option<&Key>) -> Result<usize> {
        self.carry(Operation::Index, None, self.index()?.revoke(principal, except)).await
    }
}
