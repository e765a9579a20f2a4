//! What is measured, and by whom.

use std::{fmt, future::Future, ops::Range, pin::Pin, sync::Arc, time::Instant};

use serde::Serialize;

use super::{
    Result,
    phase::{Phase, Signal},
};

/// What one task does again and again.
pub(crate) trait Work: Send + 'static {
    fn step(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// The part of one task: the sessions that it alone writes, of all that it may read.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    pub(crate) index: usize,
    pub(crate) own: Range<usize>,
    pub(crate) all: usize,
}

impl Share {
    /// The part of task `index` of `tasks`, of `all` sessions.
    pub(crate) fn of(index: usize, tasks: usize, all: usize) -> Self {
        let own = all * index / tasks..all * (index + 1) / tasks;
        Self { index, own, all }
    }

    /// Any session.
    pub(crate) fn any(&self) -> usize {
        fastrand::usize(..self.all)
    }

    /// One of the task's own.
    pub(crate) fn any_own(&self) -> usize {
        fastrand::usize(self.own.clone())
    }
}

/// The kinds of operation, each with a table of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    Read,
    Write,
    Create,
    Locked,
    Touch,
}

impl Operation {
    pub(crate) const ALL: [Self; 5] =
        [Self::Read, Self::Write, Self::Create, Self::Locked, Self::Touch];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Read => "Read a session",
            Self::Write => "Write a session",
            Self::Create => "Create a session",
            Self::Locked => "Locked cycle: lock with load, then save with release",
            Self::Touch => "Extend a session's life",
        }
    }
}

/// On which side a contender is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    Ours,
    /// The command on the client crate that ours uses.
    Bare,
    /// What ours sends, on the client crate alone.
    Same,
    /// The command on another client crate.
    Client,
    /// A whole store of another crate.
    Peer,
}

type Task = Pin<Box<dyn Future<Output = Result<Vec<u32>>> + Send>>;

/// One operation of one candidate.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) operation: Operation,
    task: Box<dyn Fn(Share, Arc<Signal>) -> Task + Send + Sync>,
}

impl Contender {
    pub(crate) fn new<W: Work>(
        name: &'static str,
        role: Role,
        operation: Operation,
        make: impl Fn(Share) -> W + Send + Sync + 'static,
    ) -> Self {
        let task = move |share, signal| -> Task { Box::pin(repeat(make(share), signal)) };
        Self { name, role, operation, task: Box::new(task) }
    }

    pub(super) fn start(&self, share: Share, signal: &Arc<Signal>) -> Task {
        (self.task)(share, Arc::clone(signal))
    }
}

impl fmt::Debug for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name, self.operation)
    }
}

/// Steps until told to stop; returns what each step took in nanoseconds while it counted.
async fn repeat<W: Work>(mut work: W, signal: Arc<Signal>) -> Result<Vec<u32>> {
    let mut times = Vec::with_capacity(1 << 12);
    let mut began = Instant::now();
    loop {
        let phase = signal.next();
        if phase == Phase::Over {
            return Ok(times);
        }
        work.step().await?;
        let ended = Instant::now();
        if phase == Phase::Counted {
            let nanos = ended.duration_since(began).as_nanos();
            times.push(u32::try_from(nanos).unwrap_or(u32::MAX));
        }
        began = ended;
    }
}
