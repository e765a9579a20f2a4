//! One connection, and whether it is fit for use.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Command, Value,
    batch::{Line, Replicas},
    fault::Fault,
    reply::ErrorReply,
    wire::{Lost, Wire},
};

/// So many tries, one after the other, without an answer make a connection unfit.
const SILENCES: u32 = 3;

/// A connection, and whether it is fit for use.
pub(super) struct Connection {
    wire: Wire,
    health: Arc<Health>,
    /// How long one try may take.
    limit: Duration,
    /// Where requests wait for replicas.
    line: Option<Line>,
}

/// What the users of a connection have seen of it.
#[derive(Debug, Default)]
pub(super) struct Health {
    closed: AtomicBool,
    silences: AtomicU32,
    /// When the last of them ended: who began before that was not one more.
    silent: Mutex<Option<Instant>>,
}

/// Why a try failed.
pub(super) enum Why {
    /// A server said so; nothing was done.
    Refused(ErrorReply),
    /// The request did not leave.
    Unsent(Fault),
    /// The server may have got it.
    Unanswered(Fault),
    /// It was done, but too few replicas are known to have it.
    Unacknowledged(Vec<Value>),
}

impl Why {
    pub(super) fn into_fault(self) -> Fault {
        match self {
            Self::Refused(error) => (&error).into(),
            Self::Unsent(fault) | Self::Unanswered(fault) => fault,
            Self::Unacknowledged(_) => Fault::unacknowledged(),
        }
    }
}

impl Connection {
    /// `replicas`: what each request waits for.
    pub(super) fn new(wire: Wire, limit: Duration, replicas: Option<Replicas>) -> Self {
        let health = Arc::<Health>::default();
        let line = replicas.map(|replicas| Line::new(&wire, &health, limit, replicas));
        Self { wire, health, limit, line }
    }

    pub(super) fn is_fit(&self) -> bool {
        self.health.is_fit() && !self.wire.has_ended()
    }

    /// Lets nobody begin to use it.
    pub(super) fn retire(&self) {
        self.health.close();
    }

    /// Whether its server no longer answers, which is told once; it is not used from then on.
    pub(super) fn fell_silent(&self) -> bool {
        self.health.is_silent() && !self.health.closed.swap(true, Ordering::Relaxed)
    }

    /// Whether nothing was wrong with it when its runtime ended.
    pub(super) fn was_left(&self) -> bool {
        self.health.is_fit() && self.wire.was_left()
    }

    /// Sends commands, which no others come between, and waits for their replies. Ends by the
    /// deadline. Cancel safe: what was sent is sent, and its replies are thrown away.
    pub(super) async fn ask(
        &self,
        commands: &[Command],
        deadline: Instant,
    ) -> Result<Vec<Value>, Why> {
        if let Some(line) = &self.line {
            return Box::pin(line.ask(commands.to_vec(), deadline)).await;
        }
        let began = Instant::now();
        let replies = self.wire.ask(commands, deadline.min(began + self.limit)).await;
        let mut replies = self.health.judge(replies, began)?;
        refusal(&mut replies).map_or(Ok(replies), |error| Err(Why::Refused(error)))
    }
}

impl From<Lost> for Why {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Unsent(fault) => Self::Unsent(fault),
            Lost::Crowded => Self::Unsent(Fault::timeout()),
            lost => Self::Unanswered(lost.into_fault()),
        }
    }
}

impl Health {
    pub(super) fn is_fit(&self) -> bool {
        !self.closed.load(Ordering::Relaxed) && !self.is_silent()
    }

    fn is_silent(&self) -> bool {
        self.silences.load(Ordering::Relaxed) >= SILENCES
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    fn answered(&self) {
        if self.silences.load(Ordering::Relaxed) != 0 {
            self.silences.store(0, Ordering::Relaxed);
        }
    }

    /// Takes note of what has come to those who began then.
    pub(super) fn judge(
        &self,
        replies: Result<Vec<Value>, Lost>,
        began: Instant,
    ) -> Result<Vec<Value>, Lost> {
        match &replies {
            Ok(_) => self.answered(),
            // Nobody gets a place any more on a connection whose server has fallen silent.
            Err(Lost::Silence | Lost::Crowded) => self.silent(began),
            Err(_) => {}
        }
        replies
    }

    fn silent(&self, began: Instant) {
        let mut last = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| began >= last) {
            *last = Some(Instant::now());
            self.silences.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The first error among replies.
pub(super) fn refusal(replies: &mut [Value]) -> Option<ErrorReply> {
    let error = replies.iter_mut().find(|reply| matches!(reply, Value::Error(_)))?;
    match std::mem::replace(error, Value::Nil) {
        Value::Error(error) => Some(error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_that_overlap_are_one_silence() {
        let health = Health::default();
        let began = Instant::now();
        for _ in 0..SILENCES * 2 {
            assert!(health.judge(Err(Lost::Silence), began).is_err());
        }
        assert!(health.is_fit());
        for _ in 1..SILENCES {
            assert!(health.judge(Err(Lost::Silence), Instant::now()).is_err());
        }
        assert!(!health.is_fit());
    }

    #[test]
    fn an_answer_ends_a_row_of_silences() {
        let health = Health::default();
        for _ in 0..SILENCES {
            assert!(health.judge(Err(Lost::Silence), Instant::now()).is_err());
            assert!(health.judge(Ok(vec![Value::Nil]), Instant::now()).is_ok());
        }
        assert!(health.is_fit());
    }
}
