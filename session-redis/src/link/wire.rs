//! A connection that its callers share: what they ask at the same time goes out in one write, and
//! the replies come back in the order of the commands.
//!
//! A caller that goes away leaves his place in that order behind: the reply is read and thrown away.

use std::sync::Arc;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{Command, Value, drive::Driver, fault::Fault, shared::Shared};

/// What is told of a connection beside replies.
pub(super) enum Event<'a> {
    /// What the server says without having been asked: its kind, then what belongs to it.
    Push(&'a [Value]),
    /// There will be nothing more.
    End,
}

/// Is told of events. Must not block.
pub(super) type OnEvent = Arc<dyn Fn(Event<'_>) + Send + Sync>;

/// A connection. A clone is the same one, which ends with its last clone.
#[derive(Clone)]
pub(super) struct Wire {
    shared: Arc<Shared>,
    _driving: Arc<JoinSet<()>>,
}

/// Why there are no replies.
#[derive(Debug, Clone)]
pub(super) enum Lost {
    /// Nothing was sent.
    Unsent(Fault),
    /// The same: there was no room until the deadline.
    Crowded,
    /// It was sent, and may have been done.
    Unanswered(Fault),
    /// The same, and the server has been silent until the deadline.
    Silence,
}

impl Lost {
    pub(super) fn into_fault(self) -> Fault {
        match self {
            Self::Unsent(fault) | Self::Unanswered(fault) => fault,
            Self::Crowded | Self::Silence => Fault::timeout(),
        }
    }
}

impl Wire {
    pub(super) fn over<R, W>((from, to): (R, W), on_event: Option<OnEvent>) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let shared = Arc::new(Shared::new(Box::new(to)));
        let mut driving = JoinSet::new();
        driving.spawn(Driver::new(from, Arc::clone(&shared), on_event).run());
        Self { shared, _driving: Arc::new(driving) }
    }

    /// Whether it is no more: it was closed, or its runtime has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.shared.has_ended()
    }

    /// Whether it ended with its runtime.
    pub(super) fn was_left(&self) -> bool {
        self.shared.was_left()
    }

    /// Sends commands, which no others come between, and waits for a reply to each; refusals are
    /// among them.
    ///
    /// Cancel safe: what was sent is sent, and its replies are thrown away.
    pub(super) async fn ask(&self, commands: &[Command], by: Instant) -> Result<Vec<Value>, Lost> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let replies = match self.shared.send(commands).map_err(Lost::Unsent)? {
            Some(replies) => replies,
            None => Box::pin(self.send_when_there_is_room(commands, by)).await?,
        };
        match timeout_at(by, replies).await {
            Ok(replies) => replies.map_err(|_ended| Lost::Unanswered(self.shared.fault())),
            Err(_elapsed) => Err(Lost::Silence),
        }
    }

    async fn send_when_there_is_room(
        &self,
        commands: &[Command],
        by: Instant,
    ) -> Result<oneshot::Receiver<Vec<Value>>, Lost> {
        loop {
            let room = timeout_at(by, self.shared.room()).await;
            room.map_err(|_elapsed| Lost::Crowded)?;
            if let Some(replies) = self.shared.send(commands).map_err(Lost::Unsent)? {
                return Ok(replies);
            }
        }
    }
}

#[cfg(test)]
mod tests;
