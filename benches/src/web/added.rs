//! What a session adds to a page: the time of the page, less that of the same page without one.

use crate::{
    measure::{Operation, Role, median},
    report::Table,
    rounds::Series,
};

pub(crate) const BARE_AXUM: &str = "axum, no session";
pub(crate) const BARE_ACTIX: &str = "actix, no session";

/// By contender and number of clients. The frameworks themselves are not equally fast.
pub(crate) fn table(all: &[Series]) -> Table {
    let with_session =
        |series: &&Series| series.role != Role::Bare && series.operation == Operation::Read;
    let row = |series: &Series| {
        let added = |operation| {
            let micros = added(all, series.name, operation, series.tasks);
            micros.map_or_else(|| "-".to_owned(), |micros| format!("{micros:.1}"))
        };
        let tasks = series.tasks.to_string();
        vec![series.name.to_owned(), tasks, added(Operation::Read), added(Operation::Write)]
    };
    Table {
        title: "What a session adds to a page of its framework: microseconds, by requests a second",
        head: vec!["", "tasks", "read", "write"],
        rows: all.iter().filter(with_session).map(row).collect(),
    }
}

/// Round by round, and then the median.
fn added(all: &[Series], name: &str, operation: Operation, tasks: usize) -> Option<f64> {
    let of = |name: &str| {
        let is_it = |series: &&Series| {
            (series.name, series.operation, series.tasks) == (name, operation, tasks)
        };
        all.iter().find(is_it)
    };
    let bare = if name.contains("actix") { BARE_ACTIX } else { BARE_AXUM };
    let (with, without) = (of(name)?, of(bare)?);
    let pairs = with.samples.iter().zip(&without.samples);
    Some(median(pairs.map(|(with, without)| 1e6 / with.per_second - 1e6 / without.per_second)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Sample;

    fn series(name: &'static str, role: Role, speeds: [f64; 3]) -> Series {
        let sample = |per_second| Sample { per_second, ..Sample::default() };
        let samples = speeds.into_iter().map(sample).collect();
        Series { name, role, operation: Operation::Read, tasks: 16, samples }
    }

    #[test]
    fn a_session_is_compared_with_its_own_framework() {
        let all = [
            series(BARE_AXUM, Role::Bare, [100_000.0, 50_000.0, 100_000.0]),
            series(BARE_ACTIX, Role::Bare, [200_000.0; 3]),
            series("session-tower", Role::Ours, [50_000.0, 25_000.0, 40_000.0]),
            series("session-actix", Role::Ours, [50_000.0; 3]),
        ];
        let rows = [["session-tower", "16", "15.0", "-"], ["session-actix", "16", "15.0", "-"]];
        assert_eq!(table(&all).rows, rows);
    }
}
