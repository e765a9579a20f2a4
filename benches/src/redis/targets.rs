//! What the store is to reach, and whether it does.

use crate::{
    findings::Verdict,
    measure::{Operation, Role},
    rounds::{Series, bare},
};

/// Of the throughput of the bare command.
const READ_AND_WRITE: f64 = 0.95;
const LOCKED: f64 = 0.45;
/// What is taken for noise with one task.
const NOISE: f64 = 0.95;

/// With what an operation is compared: a locked cycle has no command of its own, a read is what it is
/// measured by.
pub(crate) fn baseline(operation: Operation) -> Operation {
    if operation == Operation::Locked { Operation::Read } else { operation }
}

/// All targets, for each number of tasks.
pub(crate) fn verdicts(all: &[Series]) -> Vec<Verdict> {
    let ours = all.iter().filter(|series| series.role == Role::Ours);
    ours.flat_map(|ours| against_bare(all, ours).into_iter().chain(against_others(all, ours)))
        .collect()
}

fn against_bare(all: &[Series], ours: &Series) -> Option<Verdict> {
    let wanted = match ours.operation {
        Operation::Read | Operation::Write => READ_AND_WRITE,
        Operation::Locked => LOCKED,
        _ => return None,
    };
    let bare = bare(all, baseline(ours.operation), ours.tasks)?;
    let target = format!("{}, {} tasks, of bare {}", ours.name, ours.tasks, bare.name);
    Some(Verdict::new(target, ours.ratio(bare), wanted))
}

fn against_others(all: &[Series], ours: &Series) -> Vec<Verdict> {
    let wanted = if ours.tasks == 1 { NOISE } else { 1.0 };
    let same = |other: &&Series| {
        other.operation == ours.operation
            && other.tasks == ours.tasks
            && matches!(other.role, Role::Client | Role::Peer)
    };
    let verdict = |other: &Series| {
        let target = format!("{}, {} tasks, of {}", ours.name, ours.tasks, other.name);
        Verdict::new(target, ours.ratio(other), wanted)
    };
    all.iter().filter(same).map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Sample;

    fn series(name: &'static str, role: Role, operation: Operation, per_second: f64) -> Series {
        let samples = vec![Sample { per_second, ..Sample::default() }];
        Series { name, role, operation, tasks: 16, samples }
    }

    #[test]
    fn each_target_is_judged() {
        let all = [
            series("GET", Role::Bare, Operation::Read, 100.0),
            series("load", Role::Ours, Operation::Read, 96.0),
            series("cycle", Role::Ours, Operation::Locked, 44.0),
            series("fred", Role::Client, Operation::Read, 97.0),
        ];
        let met: Vec<bool> = verdicts(&all).iter().map(|verdict| verdict.met).collect();
        assert_eq!(met, [true, false, false]);
    }
}
