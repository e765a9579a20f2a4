//! What the store is to reach, and whether it does.

use crate::{
    findings::Verdict,
    measure::{Operation, Role},
    rounds::{Series, bare},
};

/// Of the throughput of the bare command.
const OF_BARE: f64 = 0.9;

/// With what an operation is compared.
pub(super) fn baseline(operation: Operation) -> Operation {
    operation
}

/// All targets, for each number of tasks.
pub(super) fn verdicts(all: &[Series]) -> Vec<Verdict> {
    // Leases aside are more requests by design: what they save is units.
    let counts = |series: &&Series| series.role == Role::Ours && !series.name.starts_with("aside");
    let ours = all.iter().filter(counts);
    let verdict = |ours: &Series| {
        let bare = bare(all, ours.operation, ours.tasks)?;
        let target = format!("{}, {} tasks, of bare {}", ours.name, ours.tasks, bare.name);
        Some(Verdict::new(target, ours.ratio(bare), OF_BARE))
    };
    ours.filter_map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Sample;

    fn series(name: &'static str, role: Role, per_second: f64) -> Series {
        let samples = vec![Sample { per_second, ..Sample::default() }];
        Series { name, role, operation: Operation::Read, tasks: 16, samples }
    }

    #[test]
    fn each_target_is_judged() {
        let bare = || series("GetItem", Role::Bare, 100.0);
        let met = |ours| verdicts(&[bare(), series("load", Role::Ours, ours)])[0].met;
        assert_eq!((met(91.0), met(89.0)), (true, false));
    }
}
