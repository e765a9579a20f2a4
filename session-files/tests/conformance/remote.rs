//! A store in another process.

use std::{
    collections::HashMap,
    env, io,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    Capabilities, Cursor, Enumeration, Error, ErrorKind, Expected, Incarnation, Key, KeyPage,
    Lease, LockRequest, Locked, OpToken, Operation, PrincipalIndex, ReadOptions, Record, Result,
    Revision, SessionStore, SweepBudget, SweepReport, Then, Ttl, Under, Write,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::{OnceCell, mpsc, oneshot},
};

use crate::{
    directory::{Elsewhere, failed},
    served::ASKED,
    wire::{Answer, Call, Digest, Line, held, key, lease, life, revision},
};

/// The other process, started when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Other(OnceCell<Process>);

#[async_trait]
impl Elsewhere for Other {
    async fn open(&self, root: &Path, has: Capabilities) -> Result<Arc<dyn SessionStore>> {
        let process = self.0.get_or_try_init(Process::start).await.map_err(failed)?;
        Ok(Arc::new(process.open(root, has).await?))
    }
}

/// The other process, and the calls that it has not answered yet.
#[derive(Debug)]
struct Process {
    line: Arc<Connection>,
    stores: AtomicUsize,
    _child: Child,
}

#[derive(Debug)]
struct Connection {
    out: mpsc::UnboundedSender<Line>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    numbers: AtomicU64,
}

impl Process {
    async fn start() -> io::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .env(ASKED, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        let mut input = child.stdin.take().ok_or_else(closed)?;
        let output = child.stdout.take().ok_or_else(closed)?;
        let (out, mut lines) = mpsc::unbounded_channel::<Line>();
        let waiting = Mutex::default();
        let line = Arc::new(Connection { out, waiting, numbers: AtomicU64::default() });
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                let text = serde_json::to_string(&line).unwrap_or_default() + "\n";
                if input.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        tokio::spawn(Arc::clone(&line).listen(BufReader::new(output).lines()));
        Ok(Self { line, stores: AtomicUsize::default(), _child: child })
    }

    async fn open(&self, root: &Path, has: Capabilities) -> Result<RemoteStore> {
        let number = self.stores.fetch_add(1, Ordering::Relaxed);
        let store = RemoteStore { line: Arc::clone(&self.line), number, has };
        store.call(Operation::Open, Call::Open(root.to_owned())).await?;
        Ok(store)
    }
}

impl Connection {
    async fn listen(self: Arc<Self>, mut lines: Lines<BufReader<ChildStdout>>) {
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok((number, answer)) = serde_json::from_str::<(u64, Answer)>(&line) else { return };
            if let Some(caller) = self.forget(number) {
                caller.send(answer).ok();
            }
        }
    }

    fn forget(&self, number: u64) -> Option<oneshot::Sender<Answer>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&number)
    }
}

/// Tells the other process when the caller has gone away.
struct Pending<'a>(&'a Connection, u64);

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.0.forget(self.1).is_some() {
            self.0.out.send(Line::Drop(self.1)).ok();
        }
    }
}

#[derive(Debug)]
pub(crate) struct RemoteStore {
    line: Arc<Connection>,
    number: usize,
    has: Capabilities,
}

impl RemoteStore {
    async fn call(&self, operation: Operation, call: Call) -> Result<Answer> {
        let number = self.line.numbers.fetch_add(1, Ordering::Relaxed);
        let (caller, answer) = oneshot::channel();
        let waiting = &self.line.waiting;
        waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(number, caller);
        let _pending = Pending(&self.line, number);
        self.line
            .out
            .send(Line::Call(number, self.number, Box::new(call)))
            .map_err(|_closed| gone(operation))?;
        match answer.await.map_err(|_closed| gone(operation))? {
            Answer::Failed(failure) => Err(failure.into_error(operation)),
            answer => Ok(answer),
        }
    }
}

impl Drop for RemoteStore {
    fn drop(&mut self) {
        let number = self.line.numbers.fetch_add(1, Ordering::Relaxed);
        self.line.out.send(Line::Call(number, self.number, Box::new(Call::Close))).ok();
    }
}

fn gone(operation: Operation) -> Error {
    Error::new(ErrorKind::Backend, "the other process", operation)
}

fn digest(key: &Key) -> Digest {
    *key.digest().as_bytes()
}

fn bytes(cursor: Option<&Cursor>) -> Option<Vec<u8>> {
    cursor.map(|cursor| cursor.as_bytes().to_vec())
}

#[async_trait]
impl SessionStore for RemoteStore {
    async fn create(
        &self,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        let under = under.map(|under| (held(under.lease), under.then == Then::Release));
        let call = Call::Create(digest(key), write.into(), *op.as_bytes(), under);
        match self.call(Operation::Create, call).await? {
            Answer::Revision(version) => Ok(revision(version)),
            _ => Err(gone(Operation::Create)),
        }
    }

    async fn load(&self, key: &Key, _options: ReadOptions) -> Result<Option<Record>> {
        match self.call(Operation::Load, Call::Load(digest(key))).await? {
            Answer::Record(record) => Ok(record.map(Record::from)),
            _ => Err(gone(Operation::Load)),
        }
    }

    async fn save(
        &self,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        let call = Call::Save(digest(key), write.into(), expected.into(), *op.as_bytes());
        match self.call(Operation::Save, call).await? {
            Answer::Revision(version) => Ok(revision(version)),
            _ => Err(gone(Operation::Save)),
        }
    }

    async fn touch(
        &self,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        op: OpToken,
    ) -> Result<()> {
        let call = Call::Touch(digest(key), life(ttl), *incarnation.as_bytes(), *op.as_bytes());
        self.call(Operation::Touch, call).await.map(drop)
    }

    async fn delete(&self, key: &Key, expected: Expected<'_>, op: OpToken) -> Result<()> {
        let call = Call::Delete(digest(key), expected.into(), *op.as_bytes());
        self.call(Operation::Delete, call).await.map(drop)
    }

    async fn lock(&self, key: &Key, request: LockRequest) -> Result<Locked> {
        let token = *request.op.as_bytes();
        let call = Call::Lock(digest(key), token, request.lease, request.wait);
        match self.call(Operation::Lock, call).await? {
            Answer::Locked(held, record) => {
                Ok(Locked::new(held.map(lease), record.map(Record::from)))
            }
            _ => Err(gone(Operation::Lock)),
        }
    }

    async fn renew(&self, key: &Key, lease: &Lease, duration: Duration) -> Result<()> {
        let call = Call::Renew(digest(key), held(lease), duration);
        self.call(Operation::Renew, call).await.map(drop)
    }

    async fn release(&self, key: &Key, lease: &Lease) -> Result<()> {
        self.call(Operation::Release, Call::Release(digest(key), held(lease))).await.map(drop)
    }

    async fn sweep(&self, cursor: Option<&Cursor>, budget: SweepBudget) -> Result<SweepReport> {
        let call = Call::Sweep(bytes(cursor), budget.max_scanned, budget.max_time);
        match self.call(Operation::Sweep, call).await? {
            Answer::Report(report) => Ok(report.into()),
            _ => Err(gone(Operation::Sweep)),
        }
    }

    async fn ping(&self) -> Result<()> {
        self.call(Operation::Ping, Call::Ping).await.map(drop)
    }

    fn capabilities(&self) -> &Capabilities {
        &self.has
    }

    fn principal_index(&self) -> Option<&dyn PrincipalIndex> {
        None
    }

    fn enumeration(&self) -> Option<&dyn Enumeration> {
        Some(self)
    }
}

#[async_trait]
impl Enumeration for RemoteStore {
    async fn keys(&self, cursor: Option<&Cursor>, limit: usize) -> Result<KeyPage> {
        match self.call(Operation::Enumerate, Call::Keys(bytes(cursor), limit)).await? {
            Answer::Keys(keys, next) => {
                Ok(KeyPage::new(keys.into_iter().map(key).collect(), next.map(Cursor::new)))
            }
            _ => Err(gone(Operation::Enumerate)),
        }
    }
}
