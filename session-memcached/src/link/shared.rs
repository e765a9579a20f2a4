//! What the callers of a connection share with its reader and its writer.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::{Buf, BytesMut};
use session_core::ErrorKind;
use tokio::{
    net::tcp::OwnedWriteHalf,
    sync::{Notify, oneshot},
    time::{Instant, timeout_at},
};

use super::{
    fault::Fault,
    parse::{Form, Reply},
};

/// So much may be on its way before callers have to wait, in bytes.
const ROOM: usize = 64 * 1_024 * 1_024;
/// What a command takes of it, beside its value.
const OVERHEAD: usize = 1_024;

pub(super) struct Shared {
    state: Mutex<State>,
    /// There is something to write.
    pub(super) news: Notify,
    /// There is room again.
    freed: Notify,
    is_dead: AtomicBool,
    /// Where writes can be tried without a task.
    pub(super) direct: Option<Arc<OwnedWriteHalf>>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) out: BytesMut,
    /// What was asked for and is not yet at the reader's.
    pub(super) due: VecDeque<Due>,
    /// When the first that is under way was asked for, if nothing has come since.
    pub(super) asked: Option<Instant>,
    /// When the reader will see next whose time is over, at the latest.
    pub(super) next_look: Option<Instant>,
    /// How many replies are still to come, and how much was sent for them.
    in_flight: usize,
    under_way: usize,
    /// The writer is at it, and will look again.
    pub(super) writing: bool,
    /// Replies came for several callers at once: where one asks, others are about to.
    crowded: bool,
    opaque: u32,
    pub(super) dead: Option<Fault>,
}

/// A reply that is to come.
pub(super) struct Due {
    pub(super) form: Form,
    /// How many bytes were sent for it.
    pub(super) size: usize,
    /// Who asked, at the last of his commands.
    pub(super) asker: Option<Asker>,
}

/// Who waits for a reply, and until when.
pub(super) struct Asker {
    pub(super) to: oneshot::Sender<Reply>,
    pub(super) deadline: Instant,
}

/// What has come since the others were told.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) replies: usize,
    pub(super) callers: usize,
    pub(super) bytes: usize,
}

impl Shared {
    pub(super) fn new(direct: Option<Arc<OwnedWriteHalf>>) -> Self {
        Self {
            state: Mutex::default(),
            news: Notify::new(),
            freed: Notify::new(),
            is_dead: AtomicBool::new(false),
            direct,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    /// Waits until there may be room.
    pub(super) async fn room(&self, deadline: Instant) -> Result<(), Fault> {
        let freed = self.freed.notified();
        if !self.state().is_full() {
            return Ok(());
        }
        timeout_at(deadline, freed).await.map_err(|_elapsed| Fault::timeout())
    }

    /// Takes note of replies that were handed out.
    pub(super) fn settle(&self, done: &Done) {
        let mut state = self.state();
        let was_full = state.is_full();
        state.in_flight = state.in_flight.saturating_sub(done.replies);
        state.under_way = state.under_way.saturating_sub(done.bytes + done.replies * OVERHEAD);
        state.crowded = done.callers > 1;
        if was_full && !state.is_full() {
            self.freed.notify_waiters();
        }
    }

    /// Ends the connection; whoever waits is told by the end of his channel.
    pub(super) fn die(&self, fault: Fault) {
        let mut state = self.state();
        state.dead.get_or_insert(fault);
        // Whoever still waits for room finds out what there is.
        state.under_way = 0;
        let due = std::mem::take(&mut state.due);
        self.is_dead.store(true, Ordering::Relaxed);
        drop(state);
        drop(due);
        self.freed.notify_waiters();
    }

    /// Why there is no reply: the connection has ended, or else the time is over.
    pub(super) fn end(&self) -> Fault {
        self.state().dead.clone().unwrap_or_else(Fault::timeout)
    }
}

impl State {
    pub(super) const fn is_full(&self) -> bool {
        self.under_way >= ROOM
    }

    /// Whether nobody else asks, as far as can be known.
    pub(super) fn is_quiet(&self) -> bool {
        self.in_flight == 0 && self.out.is_empty() && !self.writing && !self.crowded
    }

    pub(super) const fn next_opaque(&mut self) -> u32 {
        let opaque = self.opaque;
        self.opaque = opaque.wrapping_add(1);
        opaque
    }

    pub(super) fn expect(&mut self, due: Due) {
        if self.in_flight == 0 {
            self.asked = Some(Instant::now());
        }
        self.in_flight += 1;
        self.under_way += due.size + OVERHEAD;
        self.due.push_back(due);
    }

    /// Takes note that so much of what was to be written is.
    pub(super) fn forget_written(&mut self, written: usize) {
        if written == self.out.len() {
            // Unlike an advance, this leaves the whole buffer to be used again.
            self.out.clear();
        } else {
            self.out.advance(written);
        }
    }

    /// Gives the writer all that is to be written; false if there is nothing.
    pub(super) fn hand_over(&mut self, batch: &mut BytesMut) -> bool {
        self.writing = !self.out.is_empty();
        if self.writing {
            std::mem::swap(&mut self.out, batch);
        }
        self.writing
    }
}

pub(super) fn closed() -> Fault {
    Fault::new(ErrorKind::Unavailable, "the connection was closed")
}
