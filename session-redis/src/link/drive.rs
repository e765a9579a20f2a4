//! The task of a connection: it reads replies, hands them out, and writes what is asked.

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use session_core::ErrorKind;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::oneshot,
};

use super::{
    Value,
    fault::Fault,
    parse::{Garbage, Parser},
    shared::{Due, Shared},
    wire::{Event, OnEvent},
};

/// How much is read at once, at first, and when more than that comes.
const CHUNK: usize = 16 * 1_024;
const LARGEST_CHUNK: usize = 256 * 1_024;

/// A connection's task.
pub(super) struct Driver<R> {
    from: R,
    buffer: Buffer,
    parser: Parser,
    hands: Hands,
    shared: Arc<Shared>,
    has_stepped_back: bool,
}

/// What was read and not yet understood.
struct Buffer {
    bytes: BytesMut,
    /// How much is read at once.
    chunk: usize,
    /// Whether there was so much of it that the memory is not kept.
    is_large: bool,
}

/// What the driver has in its hands.
struct Hands {
    due: VecDeque<Due>,
    /// Those to the first of them that have come.
    replies: Vec<Value>,
    /// Who has all of his.
    done: Vec<(oneshot::Sender<Vec<Value>>, Vec<Value>)>,
    on_event: Option<OnEvent>,
}

impl<R: AsyncRead + Unpin> Driver<R> {
    pub(super) fn new(from: R, shared: Arc<Shared>, on_event: Option<OnEvent>) -> Self {
        Self {
            from,
            buffer: Buffer::new(),
            parser: Parser::default(),
            hands: Hands { due: VecDeque::new(), replies: Vec::new(), done: Vec::new(), on_event },
            shared,
            has_stepped_back: false,
        }
    }

    /// Goes on until that cannot be.
    pub(super) async fn run(mut self) {
        let fault = poll_fn(|context| self.turn(context)).await;
        self.shared.end(Some(fault));
    }

    /// Does what there is to do, and ends with the connection.
    fn turn(&mut self, context: &mut Context<'_>) -> Poll<Fault> {
        if self.steps_back() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while let Poll::Ready(read) = self.read(context) {
            let understood = match read {
                Ok(0) => Err(self.hands.last_word().unwrap_or_else(closed)),
                Ok(_) => self.understand(),
                Err(error) => Err(error.into()),
            };
            if let Err(fault) = understood {
                return Poll::Ready(fault);
            }
        }
        match ready!(self.shared.write(context)) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(error.into()),
        }
    }

    /// Lets all who are ready to run ask before anything is written: the first who asks would else
    /// be alone in a write, and its reply alone in a read. Who is alone anyway is not held up.
    fn steps_back(&mut self) -> bool {
        self.has_stepped_back = !self.has_stepped_back && self.shared.is_busy();
        self.has_stepped_back
    }

    fn read(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let read = ready!(pin!(self.from.read_buf(self.buffer.with_room())).poll(context));
        self.buffer.grow();
        Poll::Ready(read)
    }

    /// Takes what was read for replies, and hands them out.
    fn understand(&mut self) -> Result<(), Fault> {
        let understood = self.understand_all();
        self.shared.settle(self.hands.done.len());
        for (to, replies) in self.hands.done.drain(..) {
            // Who has gone away needs no answer.
            drop(to.send(replies));
        }
        understood
    }

    fn next_reply(&mut self) -> Result<Option<Value>, Fault> {
        self.parser.next(&mut self.buffer.bytes).map_err(|Garbage| nonsense())
    }

    fn understand_all(&mut self) -> Result<(), Fault> {
        while let Some(reply) = self.next_reply()? {
            self.hands.take(reply, &self.shared)?;
        }
        Ok(())
    }
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: BytesMut::new(), chunk: CHUNK, is_large: false }
    }

    /// The bytes, with room for a read. Replies that are part of them may be in use.
    fn with_room(&mut self) -> &mut BytesMut {
        if self.bytes.is_empty() && self.is_large {
            (self.bytes, self.is_large) = (BytesMut::new(), false);
        }
        if self.bytes.capacity() - self.bytes.len() < self.chunk / 4 {
            self.bytes.reserve(self.chunk);
        }
        &mut self.bytes
    }

    /// Reads more at once from now on, if there was as much to read as there was room for.
    fn grow(&mut self) {
        if self.bytes.len() == self.bytes.capacity() {
            self.chunk = (2 * self.chunk).min(LARGEST_CHUNK);
        }
        self.is_large |= self.bytes.len() > 2 * LARGEST_CHUNK;
    }
}

impl Hands {
    /// Why the server ends the connection, if it said so in reply to the first of several commands.
    fn last_word(&self) -> Option<Fault> {
        self.replies.iter().find_map(|reply| match reply {
            Value::Error(error) => Some(error.into()),
            _ => None,
        })
    }

    fn take(&mut self, reply: Value, shared: &Shared) -> Result<(), Fault> {
        if self.due.is_empty() {
            shared.hand_over(&mut self.due);
        }
        let due = self.due.front();
        if let Value::Push(parts) = &reply
            && !(due.is_some_and(|due| due.subscribes) && is_about_a_subscription(parts))
        {
            if let Some(on_event) = &self.on_event {
                on_event(Event::Push(parts));
            }
            return Ok(());
        }
        let Some(Due { count, .. }) = due else {
            return Err(match &reply {
                // The server ends the connection, and says why.
                Value::Error(error) => error.into(),
                _ => nonsense(),
            });
        };
        let count = *count;
        self.replies.reserve_exact(count - self.replies.len());
        self.replies.push(reply);
        if self.replies.len() == count
            && let Some(due) = self.due.pop_front()
        {
            self.done.push((due.to, mem::take(&mut self.replies)));
        }
        Ok(())
    }
}

/// Whether a message is what a server replies to a command about a channel.
fn is_about_a_subscription(parts: &[Value]) -> bool {
    let Some(Value::BulkString(kind)) = parts.first() else { return false };
    kind.ends_with(b"subscribe")
}

fn nonsense() -> Fault {
    Fault::new(ErrorKind::Backend, "the reply makes no sense")
}

fn closed() -> Fault {
    Fault::new(ErrorKind::Unavailable, "the connection was closed")
}

/// Whichever way the driver ends, with its runtime for instance: nobody waits any more.
impl<R> Drop for Driver<R> {
    fn drop(&mut self) {
        self.shared.end(None);
        self.hands.due.clear();
        if let Some(on_event) = &self.hands.on_event {
            on_event(Event::End);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_large_reply_is_not_kept() {
        let mut buffer = Buffer::new();
        for _ in 0..3 {
            buffer.with_room().extend_from_slice(&[b'x'; 8 * LARGEST_CHUNK]);
            buffer.grow();
            // All of it is taken out, and let go of.
            drop(buffer.bytes.split());
            assert!(buffer.with_room().capacity() <= 2 * LARGEST_CHUNK);
        }
    }
}
