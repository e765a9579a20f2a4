//! The store.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    Capabilities, Cursor, Enumeration, Error, ErrorKind, Expected, Incarnation, Jitter, Key,
    KeyPage, Lease, LockAbsent, LockQueue, LockRequest, Locked, OpToken, Operation, PrincipalIndex,
    QueueError, ReadOptions, Record, Result, Revision, SessionStore, SweepBudget, SweepReport,
    SystemClock, Then, Ttl, Under, Write, instant_after,
};
use tokio::time::{Instant, sleep_until};

use super::{
    PhpLayout,
    file::QUIET,
    gc,
    hold::{AFTERLIFE, Hold, Holds, Kept},
    steps::{Inner, Look, Taken, Tried},
};
use crate::{
    BACKEND,
    fault::{Outcome, pool_error},
    pool::Pool,
};

/// The pauses between two looks at a lock: the first and the longest.
const POLLS: (Duration, Duration) = (Duration::from_millis(1), WAKE_STEP);
const WAKE_STEP: Duration = Duration::from_millis(20);
/// Who holds a lock for longer than this is at work, not just writing.
const BRIEFLY: Duration = Duration::from_millis(500);
/// How many writers of one session stand in line in this process.
const WRITERS: usize = 4_096;

/// Keeps sessions in the files of PHP's `files` handler.
///
/// A clone is a handle to the same store. Any number of stores and of PHP's processes may use one
/// directory, if they run as one user.
#[derive(Debug, Clone)]
pub struct PhpStore(Arc<Inner>);

impl PhpStore {
    /// Opens the store.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the directory is not there, or no thread can be started.
    pub async fn open(layout: PhpLayout) -> Result<Self> {
        let wrong = |detail: &str| {
            Error::new(ErrorKind::Config, BACKEND, Operation::Open).with_detail(detail)
        };
        if layout.mode > 0o7777 {
            return Err(wrong("a file's mode is at most 7777"));
        }
        let pool = Pool::start(layout.threads.max(1), layout.queue, layout.timeout)
            .map_err(|error| wrong("no thread can be started").with_source(error))?;
        let store = Self(Arc::new(Inner {
            clock: SystemClock::default(),
            pool,
            queue: LockQueue::new(layout.max_waiters),
            writers: LockQueue::new(WRITERS),
            holds: Holds::default(),
            capabilities: capabilities(&layout),
            layout,
        }));
        let is_there = store.run(Operation::Open, |inner| Ok(inner.layout.directory.is_dir()));
        if !is_there.await? {
            return Err(wrong("the directory is not there; PHP makes none either"));
        }
        Ok(store)
    }

    /// Runs something that blocks on one of the threads.
    async fn run<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl FnOnce(&Inner) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.0);
        let deadline = instant_after(inner.layout.timeout);
        let writes = !matches!(operation, Operation::Load | Operation::Lock | Operation::Ping);
        match self.0.pool.run(deadline, move || work(&inner)).await {
            Ok(outcome) => outcome.map_err(|fault| fault.into_error(operation)),
            Err(error) => Err(pool_error(error, operation, writes)),
        }
    }

    /// Makes a change that needs the lock for a moment, when nobody in this process is at one. A lock
    /// that somebody holds for longer is `LockHeld`.
    async fn change<T: Send + 'static>(
        &self,
        operation: Operation,
        key: &Key,
        path: PathBuf,
        change: impl Fn(&Inner, &Path) -> Outcome<Tried<T>> + Clone + Send + 'static,
    ) -> Result<T> {
        let mut patience = (instant_after(BRIEFLY), None);
        let timed_out = |_error| Error::new(ErrorKind::Timeout, BACKEND, operation);
        let line = instant_after(self.0.layout.timeout);
        let _turn = self.0.writers.enter(key.digest(), line).await.map_err(timed_out)?;
        let mut pause = Jitter::new(POLLS.0, POLLS.0 * 4);
        loop {
            let (change, at) = (change.clone(), path.clone());
            let changed = match self.run(operation, move |inner| change(inner, &at)).await? {
                Tried::Done(done) => return done,
                Tried::Busy(changed) => changed,
            };
            if patience.1 != Some(changed) {
                // Whoever has it is another one than before, and writes.
                patience = (instant_after(BRIEFLY), Some(changed));
            }
            let (now, held) = (Instant::now(), self.0.holds.left(&path));
            if held.is_some() || now >= patience.0 || now >= line {
                let error = Error::new(ErrorKind::LockHeld, BACKEND, operation);
                return Err(error.with_retry_after(held));
            }
            tokio::time::sleep(pause.pause()).await;
        }
    }

    /// Makes a change under a lease.
    async fn change_held<T: Send + 'static>(
        &self,
        operation: Operation,
        lease: &Lease,
        change: impl FnOnce(&Inner, &Hold) -> Outcome<Result<T>> + Send + 'static,
    ) -> Result<T> {
        let lost = || Error::new(ErrorKind::LockLost, BACKEND, operation);
        let hold = self.0.holds.get(lease.token()).ok_or_else(lost)?;
        self.run(operation, move |inner| change(inner, &hold)).await?
    }

    /// Lets the lock go when its lease lapses, and forgets it when nobody comes back to it.
    fn watch(&self, token: OpToken, hold: &Arc<Hold>) {
        let (store, watched) = (Arc::downgrade(&self.0), Arc::clone(hold));
        let watcher = tokio::spawn(async move {
            loop {
                watched.wait().await;
                let Some(inner) = store.upgrade() else { return };
                let (lapsed, soon) = (Arc::clone(&watched), instant_after(inner.layout.timeout));
                let freed = inner.pool.run(soon, move || lapsed.lapse()).await;
                drop(inner);
                let until = watched.until();
                if until > Instant::now() {
                    continue;
                }
                sleep_until(if freed.is_ok() { until + AFTERLIFE } else { soon }).await;
                if freed.is_ok() && watched.until() == until {
                    store.upgrade().and_then(|inner| inner.holds.remove(token));
                    return;
                }
            }
        });
        hold.watched_by(watcher.abort_handle());
    }

    fn file(&self, key: &Key, operation: Operation) -> Result<PathBuf> {
        self.0.layout.file(key, operation)
    }
}

fn capabilities(layout: &PhpLayout) -> Capabilities {
    let mut capabilities = Capabilities::of_payloads_only(BACKEND);
    capabilities.max_payload = layout.max_payload;
    capabilities.lock_absent = LockAbsent::NotHeld;
    capabilities.max_waiters = layout.max_waiters;
    capabilities.wake_step = WAKE_STEP;
    capabilities.takeover_time = WAKE_STEP;
    capabilities.expiry_precision = Duration::from_secs(1);
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
        let path = self.file(key, operation)?;
        if under.is_some() {
            // There is no lock on what is not there.
            return Err(Error::new(ErrorKind::LockLost, BACKEND, operation));
        }
        self.change(operation, key, path, move |inner, path| inner.create(path, &write)).await
    }

    async fn load(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        let path = self.file(key, Operation::Load)?;
        let end = instant_after(self.0.layout.timeout);
        let mut pause = Jitter::new(POLLS.0, QUIET);
        loop {
            let at = path.clone();
            match self.run(Operation::Load, move |inner| inner.load(&at)).await? {
                Look::Sure(record) => return Ok(record),
                Look::Unsure if Instant::now() < end => tokio::time::sleep(pause.pause()).await,
                Look::Unsure => {
                    return Err(Error::new(ErrorKind::Timeout, BACKEND, Operation::Load));
                }
            }
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
        let saved = self.write(operation, key, Some(write), expected).await?;
        saved.ok_or_else(|| Error::new(ErrorKind::NotFound, BACKEND, operation))
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        _op: OpToken,
    ) -> Result<()> {
        let operation = Operation::Touch;
        let path = self.file(key, operation)?;
        if incarnation != Incarnation::NONE {
            return Err(Error::new(ErrorKind::Conflict, BACKEND, operation));
        }
        self.run(operation, move |inner| inner.touch(&path, ttl)).await?
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, _op: OpToken) -> Result<()> {
        self.write(Operation::Delete, key, None, expected).await.map(drop)
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        let refuse = |kind| Error::new(kind, BACKEND, Operation::Lock);
        let path = self.file(key, Operation::Lock)?;
        let lease = Lease::new(request.op, request.lease);
        if self.renew(key, &lease, request.lease).await.is_ok() {
            let record = self.load(key, ReadOptions::latest()).await?;
            return Ok(Locked::new(Some(lease), record));
        }
        let deadline = instant_after(request.wait);
        let turn = match self.0.queue.enter(key.digest(), deadline).await {
            Ok(turn) => turn,
            Err(QueueError::Full) => return Err(refuse(ErrorKind::TooManyWaiters)),
            Err(_) => return Err(refuse(ErrorKind::LockTimeout)),
        };
        let mut pause = Jitter::new(POLLS.0, POLLS.1);
        loop {
            let at = path.clone();
            match self.run(Operation::Lock, move |inner| inner.lock(&at)).await? {
                Taken::Held(file, record) => {
                    let until = instant_after(request.lease);
                    let hold = Hold::new(path, file, record.revision, until);
                    self.watch(request.op, &self.0.holds.add(request.op, hold));
                    return Ok(Locked::new(Some(lease), Some(record)));
                }
                Taken::Absent => return Ok(Locked::new(None, None)),
                Taken::Busy => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let held = self.0.holds.left(&path);
                return Err(refuse(ErrorKind::LockTimeout).with_retry_after(held));
            }
            turn.wait(pause.pause().min(left)).await;
        }
    }

    async fn renew(&self, _key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        let operation = Operation::Renew;
        self.change_held(operation, lease, move |_, hold| {
            Ok(match hold.keep()? {
                Kept::Held(_held) => {
                    hold.extend(instant_after(duration));
                    Ok(())
                }
                Kept::Lost | Kept::Gone => Err(Error::new(ErrorKind::LockLost, BACKEND, operation)),
            })
        })
        .await
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        if let Some(hold) = self.0.holds.remove(lease.token()) {
            self.run(Operation::Release, move |_| {
                hold.free();
                Ok(())
            })
            .await?;
        }
        self.0.queue.wake(key.digest());
        Ok(())
    }

    async fn sweep(&self, cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport> {
        let cursor = cursor.cloned();
        self.run(Operation::Sweep, move |inner| {
            gc::sweep(&inner.layout, inner.now(), cursor.as_ref(), budget)
        })
        .await
    }

    async fn ping(&self) -> Result<()> {
        let answers = self.run(Operation::Ping, |inner| Ok(fs::metadata(&inner.layout.directory)?));
        answers.await.map(drop)
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        None
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        Some(self)
    }
}

impl PhpStore {
    /// Saves, or deletes where there is nothing to write.
    async fn write(
        &self,
        operation: Operation,
        key: &Key,
        write: Option<Write>,
        expected: Expected<'_>,
    ) -> Result<Option<Revision>> {
        let path = self.file(key, operation)?;
        let Expected::Lease { lease, revision, then } = expected else {
            let expected = match expected {
                Expected::Any => None,
                Expected::Incarnation(incarnation) if incarnation == Incarnation::NONE => None,
                Expected::Revision(revision) => Some(revision),
                _ => return Err(Error::new(ErrorKind::Conflict, BACKEND, operation)),
            };
            let change = move |inner: &Inner, path: &Path| {
                inner.replace(operation, path, expected, write.as_ref())
            };
            let done = self.change(operation, key, path, change).await;
            self.0.queue.wake(key.digest());
            return done;
        };
        let done = self.change_held(operation, lease, move |inner, hold| {
            inner.replace_held(operation, hold, revision, write.as_ref())
        });
        let done = done.await?;
        if then == Then::Release {
            self.release(key, lease).await?;
        }
        Ok(done)
    }
}

#[async_trait]
impl Enumeration for PhpStore {
    async fn keys(&self, cursor: Option<&Cursor>, limit: usize) -> Result<KeyPage> {
        let cursor = cursor.cloned();
        self.run(Operation::Enumerate, move |inner| {
            gc::keys(&inner.layout, inner.now(), cursor.as_ref(), limit)
        })
        .await
    }
}
