//! What was asked under load, and what came of it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use session_core::{Error, Operation};

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Acknowledged.
    Done,
    /// It has not happened, and never will.
    Refused,
    /// It may have happened.
    Unknown,
}

/// One thing that was asked of the store.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) session: usize,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Created(Outcome),
    /// The payload, if there was a record.
    Saw(Option<Bytes>),
    /// The number that was appended to the payload.
    Committed(u64, Outcome),
    Deleted(Outcome),
    /// A lock was held from when it was granted until its commit was sent, which succeeded.
    Held,
}

/// Everything that one client, or all of them, have to tell.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) all: Vec<Note>,
    /// What callers were told, other than success.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Writes sent again by the caller with their token.
    pub(crate) repeated: u64,
    pub(crate) locks: u64,
    pub(crate) abandoned: u64,
    pub(crate) longest: Duration,
    /// What must not be.
    pub(crate) wrong: Vec<String>,
}

impl Notes {
    pub(crate) fn add(&mut self, session: usize, began: Instant, what: What) {
        self.all.push(Note { session, began, ended: Instant::now(), what });
    }

    pub(crate) fn error(&mut self, operation: Operation, error: &Error) {
        *self.errors.entry(format!("{} {:?}", operation.as_str(), error.kind())).or_default() += 1;
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.all.extend(other.all);
        for (what, count) in other.errors {
            *self.errors.entry(what).or_default() += count;
        }
        self.repeated += other.repeated;
        self.locks += other.locks;
        self.abandoned += other.abandoned;
        self.longest = self.longest.max(other.longest);
        self.wrong.extend(other.wrong);
    }
}
