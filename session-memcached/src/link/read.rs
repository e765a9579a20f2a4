//! Reads replies and hands them out.

use std::{collections::VecDeque, pin::pin, time::Duration};

use bytes::BytesMut;
use session_core::ErrorKind;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{Instant, sleep},
};

use super::{
    connection::Terms,
    fault::Fault,
    parse::{self, Form, Reply},
    shared::{Done, Due, Shared, closed},
};

/// How much is read at once, at first, and when more than that comes.
const CHUNK: usize = 16 * 1_024;
const LARGEST_CHUNK: usize = 256 * 1_024;

/// Reads replies and hands them out, until that cannot go on.
pub(super) async fn read(from: impl AsyncRead + Unpin, shared: &Shared, terms: Terms) -> Fault {
    let mut hands = Hands { due: VecDeque::new(), done: Done::default(), heard: Instant::now() };
    let fault = read_all(from, &mut hands, shared, terms).await;
    // Whoever waits learns of the end when his place is given up, and then asks why.
    shared.die(fault.clone());
    fault
}

async fn read_all(
    mut from: impl AsyncRead + Unpin,
    hands: &mut Hands,
    shared: &Shared,
    terms: Terms,
) -> Fault {
    let mut buffer = Buffer { bytes: BytesMut::new(), chunk: CHUNK };
    let mut timer = pin!(sleep(terms.response_timeout));
    loop {
        tokio::select! {
            biased;
            read = from.read_buf(buffer.free()) => match read {
                Ok(0) => return closed(),
                Ok(_) => {}
                Err(error) => return error.into(),
            },
            () = timer.as_mut() => match hands.next_look(shared, terms.response_timeout) {
                Some(next) => {
                    timer.as_mut().reset(next);
                    continue;
                }
                None => return Fault::timeout(),
            },
        }
        hands.heard = Instant::now();
        buffer.grow();
        if let Err(parse::Garbage) = hands.take_all(&mut buffer.bytes, shared, terms.largest) {
            return Fault::new(ErrorKind::Backend, "the reply makes no sense");
        }
    }
}

/// What was read and not yet understood.
struct Buffer {
    bytes: BytesMut,
    chunk: usize,
}

impl Buffer {
    /// The buffer, with room for one read.
    fn free(&mut self) -> &mut BytesMut {
        if self.bytes.is_empty() && self.bytes.capacity() > 2 * LARGEST_CHUNK {
            self.bytes = BytesMut::new();
        }
        self.bytes.reserve(self.chunk);
        &mut self.bytes
    }

    /// Reads more at once from now on, if there was more to read than there was room for.
    fn grow(&mut self) {
        if self.bytes.len() == self.bytes.capacity() {
            self.chunk = (2 * self.chunk).min(LARGEST_CHUNK);
        }
    }
}

/// What the reader has in its hands.
struct Hands {
    due: VecDeque<Due>,
    done: Done,
    /// When anything was read last.
    heard: Instant,
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
        shared.settle(&std::mem::take(&mut self.done));
        Ok(())
    }

    fn form(&mut self, shared: &Shared) -> Option<Form> {
        if self.due.is_empty() {
            std::mem::swap(&mut self.due, &mut shared.state().due);
        }
        self.due.front().map(|due| due.form)
    }

    fn hand_out(&mut self, reply: Reply) {
        let Some(due) = self.due.pop_front() else { return };
        self.done.replies += 1;
        self.done.bytes += due.size;
        if let Some(asker) = due.asker {
            self.done.callers += 1;
            // Who has gone away needs no answer.
            drop(asker.send(reply));
        }
    }

    /// When to look again; nothing, if the server has been silent for `limit` while somebody waited.
    fn next_look(&self, shared: &Shared, limit: Duration) -> Option<Instant> {
        let (now, state) = (Instant::now(), shared.state());
        let oldest = self.due.front().or_else(|| state.due.front());
        let late = oldest.map_or(now, |due| self.heard.max(due.since)) + limit;
        (late > now).then_some(late)
    }
}
