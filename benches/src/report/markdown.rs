//! The report as Markdown, which is also what the terminal shows.

use super::Report;
use crate::{
    findings::{Burst, Cost, Verdict},
    measure::{Operation, Role},
    rounds::{Series, bare},
};

pub(super) fn whole(report: &Report) -> String {
    let parts = [
        head(report),
        Operation::ALL.map(|operation| speed(report, operation)).concat(),
        costs(report),
        bursts(report),
        report.tables.iter().map(further).collect(),
        verdicts(report),
    ];
    parts.concat()
}

fn head(report: &Report) -> String {
    let (facts, machine) = (&report.facts, &report.machine);
    let crates = facts.crates.iter().map(|(name, version)| format!("{name} {version}"));
    let mut text = format!("# {}\n\n", facts.title);
    text += &list(&[
        ("server", facts.server.clone()),
        (
            "machine",
            format!("{}, {} cores, Linux {}", machine.processor, machine.cores, machine.kernel),
        ),
        ("load average", format!("{} before, {} after", machine.load_before, machine.load_after)),
        ("crates", crates.collect::<Vec<_>>().join(", ")),
        ("sessions", format!("{} of {} bytes", facts.sessions, facts.payload)),
        ("rounds", format!("{}, every contender in each, in random order; medians", report.rounds)),
    ]);
    for (name, reason) in &facts.left_out {
        text += &format!("- left out: {name}, {reason}\n");
    }
    text
}

fn list(facts: &[(&str, String)]) -> String {
    facts.iter().map(|(name, fact)| format!("- {name}: {fact}\n")).collect()
}

/// One table for an operation: a line for each contender and number of tasks.
fn speed(report: &Report, operation: Operation) -> String {
    let all = &report.series;
    let of_it = |series: &&Series| series.operation == operation;
    if !all.iter().any(|series| of_it(&series)) {
        return String::new();
    }
    let mut tasks: Vec<usize> = all.iter().map(|series| series.tasks).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let mut rows = Vec::new();
    for tasks in tasks {
        let bare = bare(all, (report.baseline)(operation), tasks);
        let with = all.iter().filter(of_it).filter(|series| series.tasks == tasks);
        rows.extend(with.map(|series| row(series, bare)));
    }
    let head = ["", "tasks", "ops/s", "of bare", "p50 us", "p99 us", "CPU us", "server", "spread"];
    format!("\n## {}\n\n{}", operation.title(), table(&head, &rows))
}

fn row(series: &Series, bare: Option<&Series>) -> [String; 9] {
    let median = series.median();
    let ratio = bare.map_or_else(|| "-".to_owned(), |bare| percent(series.ratio(bare)));
    let name = if series.role == Role::Bare {
        format!("bare {}", series.name)
    } else {
        series.name.to_owned()
    };
    [
        name,
        series.tasks.to_string(),
        format!("{:.0}", median.per_second),
        ratio,
        format!("{:.0}", median.p50),
        format!("{:.0}", median.p99),
        format!("{:.1}", median.cpu),
        if median.server > 0.0 { format!("{:.1}", median.server) } else { "-".to_owned() },
        percent(series.spread()),
    ]
}

fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

fn costs(report: &Report) -> String {
    if report.costs.is_empty() {
        return String::new();
    }
    let row = |cost: &Cost| {
        [
            cost.name.to_owned(),
            cost.round_trips.map_or_else(|| "-".to_owned(), |trips| format!("{trips:.2}")),
            cost.commands(),
        ]
    };
    let rows: Vec<_> = report.costs.iter().map(row).collect();
    let head = ["", "round trips", "commands, those of scripts included"];
    format!("\n## What one operation is for the server\n\n{}", table(&head, &rows))
}

fn bursts(report: &Report) -> String {
    if report.bursts.is_empty() {
        return String::new();
    }
    let row = |burst: &Burst| {
        [
            format!("{} x {} ms", burst.requests, burst.hold_ms),
            burst.processes.to_string(),
            burst.way.to_owned(),
            format!("{:.1}", burst.p50),
            format!("{:.1}", burst.p95),
            format!("{:.0}", burst.total),
            format!("{:.0}", burst.commands),
        ]
    };
    let rows: Vec<_> = report.bursts.iter().map(row).collect();
    let head =
        ["burst", "processes", "way", "wait p50 ms", "wait p95 ms", "total ms", "commands sent"];
    format!("\n## Waiting for one session's lock\n\n{}", table(&head, &rows))
}

fn verdicts(report: &Report) -> String {
    if report.verdicts.is_empty() {
        return String::new();
    }
    let row = |verdict: &Verdict| {
        let met = if verdict.met { "pass" } else { "falls short" };
        [verdict.target.clone(), percent(verdict.reached), percent(verdict.wanted), met.to_owned()]
    };
    let rows: Vec<_> = report.verdicts.iter().map(row).collect();
    format!("\n## Targets\n\n{}", table(&["target", "reached", "wanted", ""], &rows))
}

fn further(one: &super::Table) -> String {
    let (head, rows) = (&one.head, &one.rows);
    format!("\n## {}\n\n{}", one.title, grid(head, rows))
}

fn table<const N: usize>(head: &[&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
    grid(head, &rows)
}

/// A table whose columns stand in line in the terminal as well.
fn grid(head: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |row: &Vec<String>, column: usize| row.get(column).map_or(0, String::len);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| cell(row, column));
        cells.chain([head[column].len(), 3]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &[&str]| {
        for (cell, width) in cells.iter().zip(&widths) {
            text += &format!("| {cell:width$} ");
        }
        text += "|\n";
    };
    line(head);
    line(&vec!["---"; head.len()]);
    for row in rows {
        line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_line() {
        let rows = [["long cell".to_owned(), "1".to_owned()], ["a".to_owned(), "2".to_owned()]];
        let text = table(&["x", "y"], &rows);
        assert_eq!(text.lines().map(str::len).collect::<std::collections::HashSet<_>>().len(), 1);
        assert!(text.starts_with("| x         | y   |\n| ---       | --- |\n| long cell | 1   |"));
    }
}
