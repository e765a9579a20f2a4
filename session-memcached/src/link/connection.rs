//! A connection that its callers share: what they ask at the same time goes out in one write, and the
//! replies come back in the order of the commands.
//!
//! A caller that goes away leaves its place in that order behind: the reply is read and thrown away.

use std::{
    collections::VecDeque,
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Buf, BytesMut};
use session_core::ErrorKind;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot},
    task::{AbortHandle, JoinSet},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Command, Dialect,
    fault::Fault,
    parse::{self, Form, Reply},
};

/// How much may be on its way at a time, in units of [`UNIT`].
const ROOM: u32 = 65_536;
const UNIT: usize = 1_024;
/// How much is read at once, at least.
const CHUNK: usize = 16 * 1_024;
/// A buffer that has become larger than this is not kept.
const KEPT: usize = 256 * 1_024;

/// What holds for all connections to a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) dialect: Dialect,
    /// How long the server may be silent while somebody waits.
    pub(super) response_timeout: Duration,
    /// The largest value that is read.
    pub(super) largest: usize,
}

/// One connection. Dropping it closes it.
pub(super) struct Connection {
    id: ConnectionId,
    shared: Arc<Shared>,
    terms: Terms,
    task: AbortHandle,
}

/// Names a connection. An item's number is one of the server's process, which nothing but a connection
/// to it can be sure to be still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionId(u64);

impl ConnectionId {
    fn fresh() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

/// Why there are no replies.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was sent.
    Unsent(Fault),
    /// It was sent, and may have been done.
    Unanswered(Fault),
}

struct Shared {
    state: Mutex<State>,
    /// There is something to write.
    news: Notify,
    room: Arc<Semaphore>,
    /// Where writes can be tried without a task.
    direct: Option<Arc<OwnedWriteHalf>>,
}

#[derive(Default)]
struct State {
    out: BytesMut,
    /// What was asked for and is not yet at the reader's.
    due: VecDeque<Due>,
    /// How many replies are still to come.
    in_flight: usize,
    /// The writer is at it, and will look again.
    writing: bool,
    /// Replies came for several callers at once: where one asks, others are about to.
    crowded: bool,
    opaque: u32,
    dead: Option<Fault>,
}

/// A reply that is to come.
struct Due {
    form: Form,
    /// Who asked, at the last of his commands.
    asker: Option<Asker>,
}

struct Asker {
    to: oneshot::Sender<Vec<Reply>>,
    since: Instant,
    _room: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) fn over_tcp(reader: OwnedReadHalf, writer: OwnedWriteHalf, terms: Terms) -> Self {
        let writer = Arc::new(writer);
        Self::start(Some(Arc::clone(&writer)), terms, |shared| async move {
            // A task of its own, so that it writes while the replies are read.
            let other = Arc::clone(&shared);
            let mut writing = JoinSet::new();
            writing.spawn(async move { write_directly(&writer, &other).await });
            tokio::select! {
                fault = read(reader, &shared, terms) => fault,
                fault = writing.join_next() => fault.and_then(Result::ok).unwrap_or_else(closed),
            }
        })
    }

    pub(super) fn over<S>(stream: S, terms: Terms) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        Self::start(None, terms, |shared| async move {
            tokio::select! {
                fault = read(reader, &shared, terms) => fault,
                fault = write(writer, &shared) => fault,
            }
        })
    }

    fn start<F>(
        direct: Option<Arc<OwnedWriteHalf>>,
        terms: Terms,
        run: impl FnOnce(Arc<Shared>) -> F,
    ) -> Self
    where
        F: Future<Output = Fault> + Send + 'static,
    {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            news: Notify::new(),
            room: Arc::new(Semaphore::new(ROOM as usize)),
            direct,
        });
        let running = run(Arc::clone(&shared));
        // Whichever way the task ends, with its runtime for instance: nobody waits any more.
        let end = End(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let fault = running.await;
            end.0.die(fault);
        });
        Self { id: ConnectionId::fresh(), shared, terms, task: task.abort_handle() }
    }

    pub(super) fn id(&self) -> ConnectionId {
        self.id
    }

    /// Whether it still serves.
    pub(super) fn is_fit(&self) -> bool {
        self.shared.state().dead.is_none()
    }

    /// Sends commands about one item in one write, and waits for their replies.
    ///
    /// Cancel safe: what was sent is sent, and its replies are thrown away.
    pub(super) async fn ask(
        &self,
        key: &[u8],
        commands: &[Command<'_>],
        deadline: Instant,
    ) -> Result<Vec<Reply>, Failure> {
        let room = self.room(commands, deadline).await.map_err(Failure::Unsent)?;
        let (to, replies) = oneshot::channel();
        self.send(key, commands, Asker { to, since: Instant::now(), _room: room })
            .map_err(Failure::Unsent)?;
        match timeout_at(deadline, replies).await {
            Ok(Ok(replies)) => Ok(replies),
            Ok(Err(_closed)) => Err(Failure::Unanswered(self.shared.end())),
            Err(_elapsed) => Err(Failure::Unanswered(Fault::timeout())),
        }
    }

    async fn room(
        &self,
        commands: &[Command<'_>],
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, Fault> {
        let size: usize = commands.iter().map(Command::size).sum();
        let units = u32::try_from(1 + size / UNIT).unwrap_or(ROOM).min(ROOM);
        let room = Arc::clone(&self.shared.room);
        match Arc::clone(&room).try_acquire_many_owned(units) {
            Ok(permit) => Ok(permit),
            Err(_) => match timeout_at(deadline, room.acquire_many_owned(units)).await {
                Ok(Ok(permit)) => Ok(permit),
                Ok(Err(_closed)) => Err(self.shared.end()),
                Err(_elapsed) => Err(Fault::timeout()),
            },
        }
    }

    fn send(&self, key: &[u8], commands: &[Command<'_>], asker: Asker) -> Result<(), Fault> {
        let mut state = self.shared.state();
        if let Some(fault) = &state.dead {
            return Err(fault.clone());
        }
        let is_alone =
            state.in_flight == 0 && state.out.is_empty() && !state.writing && !state.crowded;
        let mut asker = Some(asker);
        for (n, command) in commands.iter().enumerate() {
            let opaque = state.opaque;
            state.opaque = opaque.wrapping_add(1);
            let form = command.encode(&mut state.out, self.terms.dialect, key, opaque);
            let asker = if n + 1 == commands.len() { asker.take() } else { None };
            state.due.push_back(Due { form, asker });
            state.in_flight += 1;
        }
        if let (true, Some(direct)) = (is_alone, &self.shared.direct)
            && let Ok(written) = direct.try_write(&state.out)
        {
            state.out.advance(written);
        }
        if !state.out.is_empty() && !state.writing {
            self.shared.news.notify_one();
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection; whoever waits is told by the end of his channel.
    fn die(&self, fault: Fault) {
        let mut state = self.state();
        if state.dead.is_none() {
            state.dead = Some(fault);
        }
        let due = std::mem::take(&mut state.due);
        drop(state);
        drop(due);
        self.room.close();
    }

    /// Why it has ended.
    fn end(&self) -> Fault {
        self.state().dead.clone().unwrap_or_else(closed)
    }
}

/// The end of the task.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.die(closed());
    }
}

fn closed() -> Fault {
    Fault::new(ErrorKind::Unavailable, "the connection was closed")
}

/// Reads replies and hands them out, until that cannot go on.
async fn read(mut from: impl AsyncRead + Unpin, shared: &Shared, terms: Terms) -> Fault {
    let mut hands = Hands { due: VecDeque::new(), replies: Vec::new(), done: 0, callers: 0 };
    let mut buffer = BytesMut::with_capacity(CHUNK);
    loop {
        buffer.reserve(CHUNK);
        match timeout(terms.response_timeout, from.read_buf(&mut buffer)).await {
            Ok(Ok(0)) => return closed(),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.into(),
            Err(_elapsed) if hands.is_late(shared, terms.response_timeout) => {
                return Fault::timeout();
            }
            Err(_elapsed) => continue,
        }
        if let Err(parse::Garbage) = hands.take_all(&mut buffer, shared, terms.largest) {
            return Fault::new(ErrorKind::Backend, "the reply makes no sense");
        }
    }
}

/// What the reader has in its hands.
struct Hands {
    due: VecDeque<Due>,
    /// What has come for the one who is next.
    replies: Vec<Reply>,
    /// How many have come since the others were told, and for how many callers.
    done: usize,
    callers: usize,
}

impl Hands {
    fn take_all(
        &mut self,
        buffer: &mut BytesMut,
        shared: &Shared,
        largest: usize,
    ) -> Result<(), parse::Garbage> {
        while !buffer.is_empty() {
            let Some(form) = self.form(shared) else {
                // Nothing was asked for.
                return Err(parse::Garbage);
            };
            let Some(reply) = parse::next(buffer, form, largest)? else { break };
            self.hand_out(reply);
        }
        let mut state = shared.state();
        state.in_flight = state.in_flight.saturating_sub(self.done);
        state.crowded = self.callers > 1;
        (self.done, self.callers) = (0, 0);
        Ok(())
    }

    fn form(&mut self, shared: &Shared) -> Option<Form> {
        if self.due.is_empty() {
            std::mem::swap(&mut self.due, &mut shared.state().due);
        }
        self.due.front().map(|due| due.form)
    }

    fn hand_out(&mut self, reply: Reply) {
        self.done += 1;
        self.replies.push(reply);
        if let Some(asker) = self.due.pop_front().and_then(|due| due.asker) {
            self.callers += 1;
            // Who has gone away needs no answer.
            drop(asker.to.send(std::mem::take(&mut self.replies)));
        }
    }

    /// Whether somebody has waited for longer than a server may take.
    fn is_late(&self, shared: &Shared, limit: Duration) -> bool {
        let oldest = |due: &VecDeque<Due>| {
            due.iter().find_map(|due| due.asker.as_ref().map(|asker| asker.since))
        };
        let since = oldest(&self.due).or_else(|| oldest(&shared.state().due));
        since.is_some_and(|since| since.elapsed() >= limit)
    }
}

/// Writes what there is, until that cannot go on.
async fn write(mut to: impl AsyncWrite + Unpin, shared: &Shared) -> Fault {
    let mut batch = BytesMut::new();
    loop {
        take_batch(shared, &mut batch).await;
        let written = async {
            to.write_all(&batch).await?;
            to.flush().await
        };
        if let Err(error) = written.await {
            return error.into();
        }
    }
}

async fn write_directly(to: &OwnedWriteHalf, shared: &Shared) -> Fault {
    let mut batch = BytesMut::new();
    loop {
        take_batch(shared, &mut batch).await;
        while !batch.is_empty() {
            match to.try_write(&batch) {
                Ok(written) => batch.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Err(error) = to.writable().await {
                        return error.into();
                    }
                }
                Err(error) => return error.into(),
            }
        }
    }
}

/// Waits until there is something to write, and takes all of it.
async fn take_batch(shared: &Shared, batch: &mut BytesMut) {
    batch.clear();
    if batch.capacity() > KEPT {
        *batch = BytesMut::new();
    }
    while !shared.state().hand_over(batch) {
        shared.news.notified().await;
        // Who else is about to ask comes with the same write.
        tokio::task::yield_now().await;
    }
}

impl State {
    fn hand_over(&mut self, batch: &mut BytesMut) -> bool {
        self.writing = !self.out.is_empty();
        if self.writing {
            std::mem::swap(&mut self.out, batch);
        }
        self.writing
    }
}
