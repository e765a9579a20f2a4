//! Reads replies and hands them out.

use std::{collections::VecDeque, pin::pin, time::Duration};

use bytes::BytesMut;
use session_core::ErrorKind;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{Instant, sleep_until},
};

use super::{
    connection::Terms,
    fault::Fault,
    parse::{self, Form, Reply},
    shared::{Done, Due, Shared, State, closed},
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
    let Some(mut look) = hands.look(shared, terms.response_timeout) else {
        return Fault::timeout();
    };
    let mut timer = pin!(sleep_until(look));
    loop {
        let read = tokio::select! {
            biased;
            read = from.read_buf(buffer.free()) => Some(read),
            () = timer.as_mut() => None,
        };
        let now = Instant::now();
        match read {
            Some(Ok(0)) => return closed(),
            Some(Ok(_)) => {
                hands.heard = now;
                buffer.grow();
                if let Err(parse::Garbage) =
                    hands.take_all(&mut buffer.bytes, shared, terms.largest)
                {
                    return Fault::new(ErrorKind::Backend, "the reply makes no sense");
                }
            }
            Some(Err(error)) => return error.into(),
            None => {}
        }
        // Not only when the timer says so: there may be something to read each time.
        if now >= look {
            match hands.look(shared, terms.response_timeout) {
                Some(next) => look = next,
                None => return Fault::timeout(),
            }
            timer.as_mut().reset(look);
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
            drop(asker.to.send(reply));
        }
    }

    /// Tells those whose time is over, and returns when to look again; nothing, if the server has
    /// been silent for `limit` while somebody waited.
    fn look(&mut self, shared: &Shared, limit: Duration) -> Option<Instant> {
        let now = Instant::now();
        let mut next = now + limit;
        let mut state = shared.state();
        let State { due, asked, next_look, .. } = &mut *state;
        let mut all = self.due.iter_mut().chain(due).peekable();
        if all.peek().is_some() {
            let end = asked.map_or(self.heard, |asked| asked.max(self.heard)) + limit;
            if end <= now {
                return None;
            }
            next = next.min(end);
        }
        let mut late = Vec::new();
        for due in all {
            // Their places in the order stay.
            late.extend(due.asker.take_if(|asker| asker.deadline <= now));
            next = due.asker.iter().fold(next, |next, asker| next.min(asker.deadline));
        }
        *next_look = Some(next);
        drop(state);
        drop(late);
        Some(next)
    }
}
