//! The list of security statements is whole, and each names tests that exist.

use std::collections::BTreeSet;

use super::{Source, assert_none, sources};

const LIST: &str = "docs/security.md";

/// The numbers of the checklist. There is none between its groups.
fn numbers() -> impl Iterator<Item = u32> {
    (1..=26).chain(30..=39).chain(40..=52)
}

/// A row of the list.
struct Row<'a> {
    number: u32,
    tests: Vec<&'a str>,
    reason: &'a str,
}

fn rows(text: &str) -> Vec<Row<'_>> {
    text.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Row<'_>> {
    let number = line.strip_prefix("| SEC-")?.get(..2)?.parse().ok()?;
    let mut columns = line.split('|').map(str::trim).skip(3);
    let (tests, reason) = (columns.next()?, columns.next()?);
    // Every other piece is between backticks.
    Some(Row { number, tests: tests.split('`').skip(1).step_by(2).collect(), reason })
}

fn complaints(list: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let rows = rows(list);
    let mut complaints = Vec::new();
    for number in numbers() {
        let count = rows.iter().filter(|row| row.number == number).count();
        if count != 1 {
            complaints.push(format!("{LIST}: SEC-{number:02} has {count} rows"));
        }
    }
    for Row { number, tests: named, reason } in rows {
        let own = |name: &&str| {
            name.starts_with(&format!("sec_{number:02}_"))
                || name.starts_with(&format!("SEC-{number:02}_"))
        };
        if reason.is_empty() && !named.iter().any(own) {
            complaints.push(format!("{LIST}: SEC-{number:02} has no test and no reason"));
        }
        let lost = named.into_iter().filter(|name| !tests.contains(*name));
        complaints.extend(lost.map(|name| format!("{LIST}: SEC-{number:02}: no test {name}")));
    }
    complaints
}

/// Functions with the number of a statement in their names, and cases of the suite.
fn tests_in(source: &Source) -> Vec<String> {
    source.text.lines().filter_map(|line| function(line).or_else(|| case(line))).collect()
}

fn function(line: &str) -> Option<String> {
    let name = line.split("fn ").nth(1).filter(|name| name.starts_with("sec_"))?;
    name.split(['(', '<']).next().map(ToOwned::to_owned)
}

/// A line of a table: `"C01" create_then_read_round_trips [Need];`
fn case(line: &str) -> Option<String> {
    let (number, rest) = line.trim().strip_prefix('"')?.split_once("\" ")?;
    let name = rest.strip_suffix(';')?.split(' ').next()?;
    Some(format!("{number}_{name}"))
}

#[test]
fn every_statement_of_the_security_checklist_has_tests_that_exist_or_a_reason() {
    let tests = sources(".rs").iter().flat_map(tests_in).collect();
    let list = sources("security.md").into_iter().find(|source| source.path == LIST).unwrap();
    assert_none(complaints(&list.text, &tests));
}

#[test]
fn a_statement_without_a_test_and_a_test_that_is_gone_are_found() {
    let row =
        |number: u32| format!("| SEC-{number:02} (S) | it holds | `sec_{number:02}_it` | |\n");
    let whole: String = numbers().map(row).collect();
    let tests: BTreeSet<_> = numbers().map(|number| format!("sec_{number:02}_it")).collect();
    assert!(complaints(&whole, &tests).is_empty());
    for (from, to, count) in [
        (row(7), String::new(), 1),
        (row(7), row(7) + &row(7), 1),
        ("`sec_07_it`".to_owned(), String::new(), 1),
        ("`sec_07_it`".to_owned(), "`sec_08_it`".to_owned(), 1),
        ("`sec_07_it` | |".to_owned(), "| for a reason |".to_owned(), 0),
        ("`sec_07_it`".to_owned(), "`sec_07_other`".to_owned(), 1),
    ] {
        let changed = whole.replace(&from, &to);
        assert_eq!(complaints(&changed, &tests).len(), count, "{from} became {to}");
    }
}

#[test]
fn tests_are_found_by_their_names() {
    let text = "    async fn sec_01_a() {\nfn b() {}\n    \"C01\" reads_back [Meta, Index];\n";
    let source = Source { path: "a.rs".to_owned(), text: text.to_owned() };
    assert_eq!(tests_in(&source), ["sec_01_a", "C01_reads_back"]);
}
