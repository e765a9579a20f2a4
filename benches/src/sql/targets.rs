//! What the store is to reach, and whether it does.

use crate::{
    findings::Verdict,
    measure::{Operation, Role},
    rounds::Series,
};

/// Of the throughput of the bare statement on a connection of one's own: of the one that checks
/// nothing, and of the one that the store sends.
const READ_AND_WRITE: f64 = 0.9;
/// Of the throughput of another crate's store.
const CREATE: f64 = 3.0;

/// With what an operation is compared.
pub(super) fn baseline(operation: Operation) -> Operation {
    operation
}

/// All targets, for each number of tasks.
pub(super) fn verdicts(all: &[Series]) -> Vec<Verdict> {
    let ours = all.iter().filter(|series| series.role == Role::Ours);
    ours.flat_map(|ours| {
        let others = all
            .iter()
            .filter(|other| other.operation == ours.operation && other.tasks == ours.tasks);
        others.filter_map(|other| verdict(ours, other))
    })
    .collect()
}

fn verdict(ours: &Series, other: &Series) -> Option<Verdict> {
    let changes_or_reads = matches!(ours.operation, Operation::Read | Operation::Write);
    let wanted = match other.role {
        Role::Bare | Role::Same if changes_or_reads => READ_AND_WRITE,
        Role::Peer if ours.operation == Operation::Create => CREATE,
        Role::Peer => 1.0,
        _ => return None,
    };
    let target = format!("{}, {} tasks, of {}", ours.name, ours.tasks, other.name);
    Some(Verdict::new(target, ours.ratio(other), wanted))
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
        use Operation::{Create, Read, Write};
        let all = [
            series("SELECT", Role::Bare, Read, 100.0),
            series("load", Role::Ours, Read, 91.0),
            series("UPDATE", Role::Bare, Write, 100.0),
            series("save", Role::Ours, Write, 89.0),
            series("our statement", Role::Same, Write, 98.0),
            series("create", Role::Ours, Create, 299.0),
            series("peer", Role::Peer, Create, 100.0),
        ];
        let met: Vec<bool> = verdicts(&all).iter().map(|verdict| verdict.met).collect();
        assert_eq!(met, [true, false, true, false]);
    }
}
