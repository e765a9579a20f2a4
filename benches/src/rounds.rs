//! All contenders in every round, in an order that is drawn anew.

use std::io::{Write, stdout};

use serde::Serialize;

use crate::measure::{Contender, Operation, Plan, Result, Role, Sample, median};

/// What one contender did with so many tasks, in each round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) operation: Operation,
    pub(crate) tasks: usize,
    pub(crate) samples: Vec<Sample>,
}

impl Series {
    pub(crate) fn median(&self) -> Sample {
        Sample::median(&self.samples)
    }

    /// The throughput as a part of that of `other`, round by round, and then the median.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        let pairs = self.samples.iter().zip(&other.samples);
        median(pairs.map(|(ours, theirs)| ours.per_second / theirs.per_second))
    }

    /// From the slowest round to the fastest, as a part of the median.
    pub(crate) fn spread(&self) -> f64 {
        let speeds = || self.samples.iter().map(|sample| sample.per_second);
        let (least, most) = (speeds().fold(f64::MAX, f64::min), speeds().fold(0.0, f64::max));
        (most - least) / self.median().per_second
    }
}

/// The command that an operation is compared with.
pub(crate) fn bare(all: &[Series], operation: Operation, tasks: usize) -> Option<&Series> {
    let matches = |series: &&Series| series.operation == operation && series.tasks == tasks;
    all.iter().filter(matches).find(|series| series.role == Role::Bare)
}

/// How the rounds go.
#[derive(Debug)]
pub(crate) struct Rounds {
    pub(crate) plan: Plan,
    pub(crate) tasks: Vec<usize>,
    pub(crate) rounds: usize,
}

impl Rounds {
    /// Runs them all, and shows how far it is.
    pub(crate) async fn run(&self, contenders: &[Contender]) -> Result<Vec<Series>> {
        let series = |tasks| move |contender| Series::new(contender, tasks);
        let mut all: Vec<Series> =
            self.tasks.iter().flat_map(|tasks| contenders.iter().map(series(*tasks))).collect();
        for round in 1..=self.rounds {
            let mut order: Vec<usize> = (0..all.len()).collect();
            fastrand::shuffle(&mut order);
            for (done, index) in order.into_iter().enumerate() {
                let series = &mut all[index];
                show(&format!(
                    "round {round} of {}: {} of {}, {} with {}",
                    self.rounds,
                    done + 1,
                    self.tasks.len() * contenders.len(),
                    series.name,
                    series.tasks
                ));
                let contender = &contenders[index % contenders.len()];
                let sample = self.plan.measure(contender, series.tasks).await;
                series.samples.push(sample.map_err(|error| format!("{}: {error}", series.name))?);
            }
        }
        show("");
        Ok(all)
    }
}

impl Series {
    fn new(contender: &Contender, tasks: usize) -> Self {
        let Contender { name, role, operation, .. } = contender;
        Self { name, role: *role, operation: *operation, tasks, samples: Vec::new() }
    }
}

/// Shows how far it is, over what was shown before.
pub(crate) fn show(text: &str) {
    print!("\r\x1b[2K{text}");
    drop(stdout().flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(speeds: &[f64]) -> Series {
        let sample = |per_second: &f64| Sample { per_second: *per_second, ..Sample::default() };
        Series {
            name: "a",
            role: Role::Ours,
            operation: Operation::Read,
            tasks: 1,
            samples: speeds.iter().map(sample).collect(),
        }
    }

    #[test]
    fn a_ratio_is_of_rounds_not_of_medians() {
        let (ours, bare) = (series(&[10.0, 40.0, 90.0]), series(&[10.0, 20.0, 100.0]));
        assert_eq!(ours.ratio(&bare), 1.0);
        assert_eq!(ours.spread(), 2.0);
    }
}
