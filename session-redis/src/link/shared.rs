//! What the callers of a connection share with its driver.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};

use session_core::ErrorKind;
use tokio::{
    io::{self, AsyncWrite},
    sync::{Notify, oneshot},
};

use super::{Command, Value, fault::Fault};

/// How many requests are under way at most, before callers wait for a place.
pub(super) const LINE: usize = 4_096;
/// How many bytes wait to be written at most, before callers wait for a place.
const WRITE_BYTES: usize = 64 * 1_024;
/// A buffer that has become larger than this is not kept.
const KEPT: usize = 256 * 1_024;

pub(super) struct Shared {
    state: Mutex<State>,
    /// Whoever has it writes. Taken before `state`.
    writer: Mutex<Writer>,
    /// There is room again.
    freed: Notify,
    has_ended: AtomicBool,
}

#[derive(Default)]
struct State {
    /// What is to be written.
    out: Vec<u8>,
    /// What was asked and is not yet at the driver's.
    due: VecDeque<Due>,
    /// How many requests wait for replies.
    in_flight: usize,
    /// Replies came for several callers at once: where one asks, others are about to.
    crowded: bool,
    /// Somebody waits for room.
    wanted: bool,
    /// Wakes the driver, unless somebody has.
    driver: Option<Waker>,
    end: Option<End>,
}

/// Replies that are to come.
pub(super) struct Due {
    /// How many.
    pub(super) count: usize,
    /// Whether they come in the form of messages.
    pub(super) subscribes: bool,
    pub(super) to: oneshot::Sender<Vec<Value>>,
}

/// Why a connection is no more.
#[derive(Clone)]
enum End {
    /// Nobody drives it: its runtime has ended.
    Left,
    Broken(Fault),
}

struct Writer {
    /// None when the connection has ended.
    to: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// What is being written, and how much of it was.
    batch: Vec<u8>,
    written: usize,
    /// Whether what was written may be held back.
    unflushed: bool,
}

impl Shared {
    pub(super) fn new(to: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        let writer = Writer { to: Some(to), batch: Vec::new(), written: 0, unflushed: false };
        Self {
            state: Mutex::default(),
            writer: Mutex::new(writer),
            freed: Notify::new(),
            has_ended: AtomicBool::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    /// Whether nothing was wrong with it when it ended.
    pub(super) fn was_left(&self) -> bool {
        matches!(self.state().end, Some(End::Left))
    }

    /// Why there is no reply.
    pub(super) fn fault(&self) -> Fault {
        match &self.state().end {
            Some(End::Broken(fault)) => fault.clone(),
            _ => Fault::new(ErrorKind::Unavailable, "the connection was left"),
        }
    }

    /// Puts commands in the line, if there is room, and sees to it that they are written.
    pub(super) fn send(
        &self,
        commands: &[Command],
    ) -> Result<Option<oneshot::Receiver<Vec<Value>>>, Fault> {
        let mut state = self.state();
        if state.end.is_some() {
            drop(state);
            return Err(self.fault());
        }
        if state.is_full() {
            return Ok(None);
        }
        let is_alone = state.in_flight == 0 && !state.crowded;
        for command in commands {
            state.out.extend_from_slice(command.packed());
        }
        let (to, replies) = oneshot::channel();
        let subscribes = commands.iter().any(Command::subscribes);
        state.due.push_back(Due { count: commands.len(), subscribes, to });
        state.in_flight += 1;
        if is_alone {
            drop(state);
            self.write_at_once();
        } else {
            state.wake_driver();
        }
        Ok(Some(replies))
    }

    /// Spares the driver the work, if the stream takes it.
    fn write_at_once(&self) {
        let nobody = &mut Context::from_waker(Waker::noop());
        let written = match self.writer.try_lock() {
            Ok(mut writer) => writer.write(self, nobody),
            Err(TryLockError::Poisoned(writer)) => writer.into_inner().write(self, nobody),
            Err(TryLockError::WouldBlock) => Poll::Pending,
        };
        if !matches!(written, Poll::Ready(Ok(()))) {
            self.state().wake_driver();
        }
    }

    /// Writes all there is. The driver is woken when there is more, or when the stream takes more.
    pub(super) fn write(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state().driver.get_or_insert_with(|| context.waker().clone());
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write(self, context)
    }

    /// Whether several wait for replies, so that others may be about to ask.
    pub(super) fn is_busy(&self) -> bool {
        self.state().in_flight > 1
    }

    /// Gives the driver what was asked.
    pub(super) fn hand_over(&self, due: &mut VecDeque<Due>) {
        due.append(&mut self.state().due);
    }

    /// Takes note that so many have their replies now.
    pub(super) fn settle(&self, callers: usize) {
        let mut state = self.state();
        state.in_flight = state.in_flight.saturating_sub(callers);
        state.crowded = callers > 1;
        self.tell_of_room(&mut state);
    }

    fn tell_of_room(&self, state: &mut State) {
        if state.wanted && !state.is_full() {
            state.wanted = false;
            self.freed.notify_waiters();
        }
    }

    /// Waits until there may be room.
    pub(super) async fn room(&self) {
        let freed = {
            let mut state = self.state();
            if !state.is_full() {
                return;
            }
            state.wanted = true;
            self.freed.notified()
        };
        freed.await;
    }

    /// Ends the connection, with a fault or without one; whoever waits is told by the end of his
    /// channel.
    pub(super) fn end(&self, fault: Option<Fault>) {
        let mut state = self.state();
        state.end.get_or_insert(fault.map_or(End::Left, End::Broken));
        self.has_ended.store(true, Ordering::Relaxed);
        let due = std::mem::take(&mut state.due);
        // Whoever waits for room finds out what there is.
        (state.out, state.in_flight) = Default::default();
        self.tell_of_room(&mut state);
        drop(state);
        drop(due);
        // Its callers may still hold the connection, but are to hold nothing open.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        (writer.to, writer.batch, writer.written) = Default::default();
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.in_flight >= LINE || self.out.len() >= WRITE_BYTES
    }

    fn wake_driver(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }
}

impl Writer {
    fn write(&mut self, shared: &Shared, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.has_some(shared) {
            let to = self.to.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            let rest = self.batch.get(self.written..).unwrap_or_default();
            let written = ready!(Pin::new(to).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
            self.unflushed = true;
        }
        if let Some(to) = self.to.as_mut().filter(|_| self.unflushed) {
            ready!(Pin::new(to).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether there is something to write, which is in the batch then.
    fn has_some(&mut self, shared: &Shared) -> bool {
        if self.written < self.batch.len() {
            return true;
        }
        self.written = 0;
        self.batch.clear();
        if self.batch.capacity() > KEPT {
            self.batch = Vec::new();
        }
        let mut state = shared.state();
        std::mem::swap(&mut state.out, &mut self.batch);
        shared.tell_of_room(&mut state);
        !self.batch.is_empty()
    }
}
