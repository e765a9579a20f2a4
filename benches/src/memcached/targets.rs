//! What the store is to reach, and whether it does.

use crate::{
    findings::Verdict,
    measure::{Operation, Role},
    rounds::Series,
};

/// Of the throughput of one pipelined socket, with many tasks.
const OF_THE_SOCKET: f64 = 0.9;

/// With what an operation is compared.
pub(crate) fn baseline(operation: Operation) -> Operation {
    operation
}

/// All targets, for each number of tasks.
pub(crate) fn verdicts(all: &[Series]) -> Vec<Verdict> {
    let ours = all.iter().filter(|series| series.role == Role::Ours);
    ours.flat_map(|ours| against(all, ours)).collect()
}

fn against(all: &[Series], ours: &Series) -> Vec<Verdict> {
    let same = |other: &&Series| {
        other.operation == ours.operation && other.tasks == ours.tasks && ours.tasks > 1
    };
    let verdict = |other: &Series| {
        let (what, part) = match other.role {
            Role::Bare => ("bare ", OF_THE_SOCKET),
            Role::Client => ("", 1.0),
            _ => return None,
        };
        let target = format!("{}, {} tasks, of {what}{}", ours.name, ours.tasks, other.name);
        Some(Verdict::new(target, ours.ratio(other), part))
    };
    all.iter().filter(same).filter_map(verdict).collect()
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
        let all = [
            series("mg", Role::Bare, 100.0),
            series("load", Role::Ours, 89.0),
            series("memcache", Role::Client, 10.0),
        ];
        let met: Vec<bool> = verdicts(&all).iter().map(|verdict| verdict.met).collect();
        assert_eq!(met, [false, true]);
    }
}
