//! What the store is to reach, and whether it does.

use crate::{
    findings::Verdict,
    measure::{Operation, Role},
    rounds::Series,
};

/// Of the throughput of the bare command: of one that checks next to nothing, and of the one that the
/// store sends.
const OF_BARE: f64 = 0.9;

/// With what an operation is compared.
pub(super) fn baseline(operation: Operation) -> Operation {
    operation
}

/// All targets, for each number of tasks.
pub(super) fn verdicts(all: &[Series]) -> Vec<Verdict> {
    // Leases aside are more requests by design: what they save is units.
    let counts = |series: &&Series| series.role == Role::Ours && !series.name.starts_with("aside");
    let is_sdk = |series: &&Series| matches!(series.role, Role::Bare | Role::Same);
    let verdicts = |ours: &'_ Series| {
        let (operation, tasks) = (ours.operation, ours.tasks);
        let same = move |series: &&Series| series.operation == operation && series.tasks == tasks;
        let others = all.iter().filter(is_sdk).filter(same);
        others.map(|other| verdict(ours, other)).collect::<Vec<_>>()
    };
    all.iter().filter(counts).flat_map(verdicts).collect()
}

fn verdict(ours: &Series, other: &Series) -> Verdict {
    let target = format!("{}, {} tasks, of {}", ours.name, ours.tasks, other.name);
    Verdict::new(target, ours.ratio(other), OF_BARE)
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
        let bare = || [("GetItem", Role::Bare, 100.0), ("ours", Role::Same, 90.0)];
        let met = |ours| {
            let all = [("load", Role::Ours, ours)].into_iter().chain(bare());
            let all: Vec<_> = all.map(|(name, role, speed)| series(name, role, speed)).collect();
            verdicts(&all).iter().map(|verdict| verdict.met).collect::<Vec<_>>()
        };
        assert_eq!((met(91.0), met(89.0)), (vec![true, true], vec![false, true]));
    }
}
