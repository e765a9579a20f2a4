//! What the store is to reach, and whether it does.

use crate::{
    findings::Verdict,
    measure::{Operation, Role},
    rounds::{Series, bare},
};

/// Of the throughput of the bare statement on a connection of one's own.
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
    ours.flat_map(|ours| against_bare(all, ours).into_iter().chain(against_peers(all, ours)))
        .collect()
}

fn against_bare(all: &[Series], ours: &Series) -> Option<Verdict> {
    if !matches!(ours.operation, Operation::Read | Operation::Write) {
        return None;
    }
    let bare = bare(all, ours.operation, ours.tasks)?;
    let target = format!("{}, {} tasks, of bare {}", ours.name, ours.tasks, bare.name);
    Some(Verdict::new(target, ours.ratio(bare), READ_AND_WRITE))
}

fn against_peers(all: &[Series], ours: &Series) -> Vec<Verdict> {
    let wanted = if ours.operation == Operation::Create { CREATE } else { 1.0 };
    let same = |other: &&Series| {
        other.role == Role::Peer && other.operation == ours.operation && other.tasks == ours.tasks
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
        use Operation::{Create, Read, Write};
        let all = [
            series("SELECT", Role::Bare, Read, 100.0),
            series("load", Role::Ours, Read, 91.0),
            series("UPDATE", Role::Bare, Write, 100.0),
            series("save", Role::Ours, Write, 89.0),
            series("create", Role::Ours, Create, 299.0),
            series("peer", Role::Peer, Create, 100.0),
        ];
        let met: Vec<bool> = verdicts(&all).iter().map(|verdict| verdict.met).collect();
        assert_eq!(met, [true, false, false]);
    }
}
