//! One slice of time of one candidate: warm-up, then the part that counts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use tokio::{
    task::{JoinSet, consume_budget},
    time::{sleep, timeout},
};

use super::{
    histogram::Histogram,
    library::{Change, Library, Mode, Rotated},
    results::{Deed, Sample},
    sessions::{Sessions, Zipf},
};
use crate::measure::{Error, Result, cpu};

/// A request that takes longer does not end.
const LIMIT: Duration = Duration::from_secs(60);
/// Of a text that says what went wrong, so much is kept.
const ERROR_LENGTH: usize = 160;

/// How long a slice is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) warm_up: Duration,
    pub(crate) counted: Duration,
    pub(crate) seed: u64,
}

/// What is done in a slice, and by how many.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) deed: Deed,
    pub(crate) tasks: usize,
    pub(crate) sessions: Sessions,
    pub(crate) zipf: Zipf,
    /// The process of the server.
    pub(crate) server: Option<i32>,
}

/// A slice's figures, and what they are made of.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    pub(crate) sample: Sample,
    pub(crate) times: Histogram,
    pub(crate) first_error: Option<String>,
}

const WARMS_UP: u8 = 0;
const COUNTS: u8 = 1;
const IS_OVER: u8 = 2;

impl Plan {
    pub(crate) async fn measure(&self, library: &Arc<dyn Library>, work: &Work) -> Result<Slice> {
        let phase = Arc::new(AtomicU8::new(WARMS_UP));
        let mut running = JoinSet::new();
        for index in 0..work.tasks {
            let library = Arc::clone(library);
            let random = Rng::with_seed(self.seed.wrapping_add(index as u64));
            let task = Task { library, work: work.clone(), index, random };
            running.spawn(task.repeat(Arc::clone(&phase)));
        }
        sleep(self.warm_up).await;
        let (before, began) = (Usage::look(library, work)?, Instant::now());
        phase.store(COUNTS, Relaxed);
        sleep(self.counted).await;
        phase.store(IS_OVER, Relaxed);
        let (after, elapsed) = (Usage::look(library, work)?, began.elapsed());
        let mut tally = Tally::default();
        let gather = async {
            while let Some(done) = running.join_next().await {
                tally.merge(done?);
            }
            Result::Ok(())
        };
        timeout(LIMIT, gather).await.map_err(|_late| Error::from("a request does not end"))??;
        Ok(tally.finish(elapsed, &before, &after))
    }
}

/// CPU time so far.
struct Usage {
    program: Duration,
    server: Duration,
}

impl Usage {
    fn look(library: &Arc<dyn Library>, work: &Work) -> Result<Self> {
        let mut program = cpu::of_this_process()?;
        for process in library.processes() {
            program += cpu::of_server(process).unwrap_or_default();
        }
        // One that runs elsewhere, or is somebody else's, is not looked at.
        let server = work.server.map(|id| cpu::of_server(id).unwrap_or_default());
        Ok(Self { program, server: server.unwrap_or_default() })
    }
}

/// What a task saw while it counted.
#[derive(Debug, Default)]
struct Tally {
    times: Histogram,
    errors: u64,
    missed: u64,
    refused: u64,
    first_error: Option<String>,
}

impl Tally {
    fn merge(&mut self, other: Self) {
        self.times.merge(&other.times);
        self.errors += other.errors;
        self.missed += other.missed;
        self.refused += other.refused;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    fn finish(self, elapsed: Duration, before: &Usage, after: &Usage) -> Slice {
        let requests = self.times.total() as f64;
        let each =
            |time: Duration| if requests > 0.0 { time.as_secs_f64() * 1e6 / requests } else { 0.0 };
        let sample = Sample {
            per_second: requests / elapsed.as_secs_f64(),
            latency: [0.5, 0.95, 0.99, 0.999].map(|part| self.times.at(part)),
            cpu: each(after.program.saturating_sub(before.program)),
            server: each(after.server.saturating_sub(before.server)),
            errors: self.errors,
            missed: self.missed,
            refused: self.refused,
        };
        Slice { sample, times: self.times, first_error: self.first_error }
    }
}

/// How a request went.
enum Answer {
    Well,
    /// There was no session.
    Missed,
    /// Another log-in had just replaced the id.
    Refused,
}

struct Task {
    library: Arc<dyn Library>,
    work: Work,
    index: usize,
    random: Rng,
}

impl Task {
    async fn repeat(mut self, phase: Arc<AtomicU8>) -> Tally {
        let mut tally = Tally::default();
        loop {
            let now = phase.load(Relaxed);
            if now == IS_OVER {
                return tally;
            }
            // Who waits for nothing would keep the clock from running.
            consume_budget().await;
            let began = Instant::now();
            let outcome = self.request().await;
            if now != COUNTS {
                continue;
            }
            match outcome {
                Ok(Answer::Well) => tally.times.add(nanos(began.elapsed())),
                Ok(Answer::Missed) => tally.missed += 1,
                Ok(Answer::Refused) => tally.refused += 1,
                Err(error) => {
                    tally.errors += 1;
                    tally.first_error.get_or_insert_with(|| shortened(&error));
                }
            }
        }
    }

    async fn request(&mut self) -> Result<Answer> {
        match self.work.deed {
            Deed::Read => {
                let any = self.random.usize(..self.work.sessions.len());
                Ok(found(self.library.read(&self.work.sessions.id(any)).await?))
            }
            Deed::Change => {
                let mode = self.library.modes().first().copied().unwrap_or(Mode::Plain);
                self.change(mode).await
            }
            Deed::Locked => {
                let locks = self.library.modes().contains(&Mode::Exclusive);
                self.change(if locks { Mode::Exclusive } else { Mode::Plain }).await
            }
            Deed::Touch => {
                let id = self.own();
                self.library.touch(&id).await.map(|()| Answer::Well)
            }
            Deed::Cycle => {
                let id = self.library.create().await?;
                self.library.destroy(&id).await.map(|()| Answer::Well)
            }
            Deed::Mixed => self.mixed().await,
        }
    }

    /// Of a session that no other task changes.
    fn own(&mut self) -> String {
        let (all, tasks) = (self.work.sessions.len(), self.work.tasks);
        let share = all * self.index / tasks..all * (self.index + 1) / tasks;
        self.work.sessions.id(self.random.usize(share))
    }

    async fn change(&mut self, mode: Mode) -> Result<Answer> {
        let id = self.own();
        self.library.change(&id, &Change::last(), mode).await.map(|_same| Answer::Well)
    }

    /// 90 % reads, 9 % writes, 1 % log-ins with another id. Who finds no session logs in again.
    async fn mixed(&mut self) -> Result<Answer> {
        let index = self.work.zipf.next(&mut self.random);
        let id = self.work.sessions.id(index);
        match self.random.u8(..100) {
            0..90 => {
                let there = self.library.read(&id).await?;
                if !there && self.work.sessions.id(index) == id {
                    self.work.sessions.set(index, self.library.create().await?);
                }
                return Ok(found(there));
            }
            90..99 => {
                let mode = self.library.modes().first().copied().unwrap_or(Mode::Plain);
                if let Some(now) = self.library.change(&id, &Change::last(), mode).await? {
                    self.work.sessions.set(index, now);
                }
            }
            _ => match self.library.rotate(&id).await? {
                Rotated::To(fresh) => self.work.sessions.set(index, fresh),
                Rotated::ByAnother => {}
                Rotated::Refused => return Ok(Answer::Refused),
            },
        }
        Ok(Answer::Well)
    }
}

fn found(there: bool) -> Answer {
    if there { Answer::Well } else { Answer::Missed }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What an error says, on one line.
pub(crate) fn shortened(error: &Error) -> String {
    let text = error.to_string().replace('\n', " ");
    text.chars().take(ERROR_LENGTH).collect()
}
