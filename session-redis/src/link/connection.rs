//! One connection, and whether it is fit for use.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use redis::{Pipeline, PushInfo, PushKind, RedisError, ServerError};
use session_core::ErrorKind;
use tokio::time::{Instant, timeout_at};

use super::{
    Command, Value,
    batch::{Line, Replicas},
    dial::OnPush,
    fault::Fault,
    wire::Wire,
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

/// A try without answers. The commands come back, so that they can be sent again.
pub(super) struct Failure {
    pub(super) commands: Vec<Command>,
    pub(super) why: Why,
}

/// Why a try failed.
pub(super) enum Why {
    /// A server said so; nothing was done.
    Refused(ServerError),
    /// The request did not leave.
    Unsent(Fault),
    /// The server may have got it.
    Unanswered(Fault),
    /// It was done, but too few replicas are known to have it.
    Unacknowledged(Vec<Value>),
}

impl Failure {
    pub(super) fn into_fault(self) -> Fault {
        self.why.into_fault()
    }
}

impl Why {
    pub(super) fn into_fault(self) -> Fault {
        match self {
            Self::Refused(error) => RedisError::from(error).into(),
            Self::Unsent(fault) | Self::Unanswered(fault) => fault,
            Self::Unacknowledged(_) => Fault::unacknowledged(),
        }
    }
}

impl Connection {
    /// `replicas`: what each request waits for.
    pub(super) fn new(
        wire: Wire,
        health: Arc<Health>,
        limit: Duration,
        replicas: Option<Replicas>,
    ) -> Self {
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
        self.health.is_fit() && self.wire.has_ended()
    }

    /// Sends commands, which no others come between, and waits for their replies. Ends by the
    /// deadline. Cancel safe: what was sent is sent, and its replies are thrown away.
    pub(super) async fn ask(
        &self,
        commands: Vec<Command>,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        if let Some(line) = &self.line {
            return Box::pin(line.ask(commands, deadline)).await;
        }
        let began = Instant::now();
        let by = deadline.min(began + self.limit);
        let replies = timeout_at(by, self.send(&commands)).await;
        match self.health.judge(replies.ok(), commands.len(), began) {
            Ok(mut replies) => match refusal(&mut replies) {
                Some(error) => Err(Failure { commands, why: Why::Refused(error) }),
                None => Ok(replies),
            },
            Err(fault) => Err(Failure { commands, why: Why::Unanswered(fault) }),
        }
    }

    async fn send(&self, commands: &[Command]) -> Result<Vec<Value>, RedisError> {
        if let [command] = commands {
            return Ok(vec![self.wire.send(command.cmd()).await?]);
        }
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.cmd().clone());
        }
        Box::pin(self.wire.send_all(&pipeline)).await
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

    /// Passes on what comes between replies, and notes the end of the connection.
    pub(super) fn watch(self: &Arc<Self>, then: Option<OnPush>) -> OnPush {
        let health = Arc::downgrade(self);
        Arc::new(move |info: PushInfo| {
            if let (PushKind::Disconnection, Some(health)) = (&info.kind, health.upgrade()) {
                health.close();
            }
            if let Some(then) = &then {
                then(info);
            }
        })
    }

    fn answered(&self) {
        if self.silences.load(Ordering::Relaxed) != 0 {
            self.silences.store(0, Ordering::Relaxed);
        }
    }

    fn failed(&self, error: &RedisError) {
        if error.is_io_error() && !error.is_timeout() || error.is_unrecoverable_error() {
            self.close();
        }
    }

    /// The replies to what began then, if they all came. `None` stands for a timeout.
    pub(super) fn judge(
        &self,
        replies: Option<Result<Vec<Value>, RedisError>>,
        count: usize,
        began: Instant,
    ) -> Result<Vec<Value>, Fault> {
        match replies {
            Some(Ok(replies)) if replies.len() == count => {
                self.answered();
                Ok(replies)
            }
            Some(Ok(_)) => {
                self.close();
                Err(Fault::new(ErrorKind::Unavailable, "the replies do not match"))
            }
            Some(Err(error)) => {
                self.failed(&error);
                Err(error.into())
            }
            None => {
                self.silent(began);
                Err(Fault::timeout())
            }
        }
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
pub(super) fn refusal(replies: &mut [Value]) -> Option<ServerError> {
    let error = replies.iter_mut().find(|reply| matches!(reply, Value::ServerError(_)))?;
    match std::mem::take(error) {
        Value::ServerError(error) => Some(error),
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
            assert!(health.judge(None, 1, began).is_err());
        }
        assert!(health.is_fit());
        for _ in 1..SILENCES {
            assert!(health.judge(None, 1, Instant::now()).is_err());
        }
        assert!(!health.is_fit());
    }

    #[test]
    fn an_answer_ends_a_row_of_silences() {
        let health = Health::default();
        for _ in 0..SILENCES {
            assert!(health.judge(None, 1, Instant::now()).is_err());
            assert!(health.judge(Some(Ok(vec![Value::Nil])), 1, Instant::now()).is_ok());
        }
        assert!(health.is_fit());
    }
}
