//! One slice of time of one contender: warm-up, then the part that counts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};

use super::{Contender, Result, Sample, Share, cpu};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    WarmUp,
    Counted,
    Over,
}

/// Tells the tasks of a contender how far the slice is.
#[derive(Debug)]
pub(crate) struct Signal {
    phase: AtomicU8,
    /// How many steps may still begin.
    steps: Option<AtomicU64>,
}

impl Signal {
    fn new(steps: Option<u64>) -> Self {
        Self { phase: AtomicU8::new(0), steps: steps.map(AtomicU64::new) }
    }

    fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The phase of the step that would begin now.
    pub(super) fn next(&self) -> Phase {
        if let Some(steps) = &self.steps {
            let one_less = |steps: u64| steps.checked_sub(1);
            let taken = steps.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
            return if taken.is_ok() { Phase::Counted } else { Phase::Over };
        }
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::WarmUp,
            1 => Phase::Counted,
            _ => Phase::Over,
        }
    }
}

/// How long a slice is, and over how many sessions it works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) warm_up: Duration,
    pub(crate) counted: Duration,
    pub(crate) sessions: usize,
    /// The process of the server, where its time is looked at.
    pub(crate) server: Option<i32>,
}

impl Plan {
    /// Measures one contender with so many tasks.
    pub(crate) async fn measure(&self, contender: &Contender, tasks: usize) -> Result<Sample> {
        let signal = Arc::new(Signal::new(None));
        let mut running = self.start(contender, tasks, &signal);
        sleep(self.warm_up).await;
        let (server, cpu, began) = (self.server()?, cpu::of_this_process()?, Instant::now());
        signal.set(Phase::Counted);
        sleep(self.counted).await;
        signal.set(Phase::Over);
        let (cpu, elapsed) = (cpu::of_this_process()? - cpu, began.elapsed());
        let server = self.server()?.saturating_sub(server);
        Ok(Sample::of(gather(&mut running).await?, elapsed, cpu, server))
    }

    fn server(&self) -> Result<Duration> {
        self.server.map_or(Ok(Duration::ZERO), cpu::of_server)
    }

    /// Makes so many steps, one after the other.
    pub(crate) async fn steps(&self, contender: &Contender, steps: u64) -> Result<()> {
        let signal = Arc::new(Signal::new(Some(steps)));
        gather(&mut self.start(contender, 1, &signal)).await.map(drop)
    }

    fn start(&self, contender: &Contender, tasks: usize, signal: &Arc<Signal>) -> Tasks {
        let shares = (0..tasks).map(|index| Share::of(index, tasks, self.sessions));
        shares.map(|share| contender.start(share, signal)).collect()
    }
}

type Tasks = JoinSet<Result<Vec<u32>>>;

async fn gather(running: &mut Tasks) -> Result<Vec<u32>> {
    let mut times = Vec::new();
    while let Some(task) = running.join_next().await {
        times.append(&mut task??);
    }
    Ok(times)
}
