//! The suite, its catalogue and the contract's documentation name the same cases.

use std::collections::BTreeSet;

use session_conformance::{NOT_HERE, cases};

/// The catalogue: groups and how many numbers each has.
const CATALOGUE: [(&str, u32); 7] =
    [("C", 30), ("E", 27), ("L", 45), ("X", 9), ("U", 6), ("N", 4), ("Z", 25)];

fn catalogue() -> BTreeSet<String> {
    let number =
        |(group, count): (&'static str, u32)| (1..=count).map(move |n| format!("{group}{n:02}"));
    CATALOGUE.into_iter().flat_map(number).collect()
}

fn run_here() -> BTreeSet<String> {
    cases::all().map(|case| case.number.to_owned()).collect()
}

fn not_here() -> BTreeSet<String> {
    NOT_HERE.iter().map(|(number, _)| (*number).to_owned()).collect()
}

#[test]
fn every_number_of_the_catalogue_is_a_case_or_has_a_reason() {
    let catalogue = catalogue();
    assert_eq!(catalogue.len(), 146);
    let known = &run_here() | &not_here();
    let missing: Vec<_> = catalogue.difference(&known).collect();
    assert!(missing.is_empty(), "neither a case nor a reason: {missing:?}");
}

#[test]
fn no_number_is_both_a_case_and_excused() {
    let both: Vec<_> = run_here().intersection(&not_here()).cloned().collect();
    assert!(both.is_empty(), "run, and excused: {both:?}");
    assert_eq!(not_here().len(), NOT_HERE.len(), "excused twice");
}

#[test]
fn no_number_is_made_up() {
    let own = |number: &str| number.starts_with(['D', 'H']) || number.starts_with("SEC-");
    let catalogue = catalogue();
    let known = &run_here() | &not_here();
    let made_up: Vec<_> =
        known.iter().filter(|number| !own(number) && !catalogue.contains(*number)).collect();
    assert!(made_up.is_empty(), "in no catalogue: {made_up:?}");
}

#[test]
fn ids_of_cases_are_unique() {
    let ids: BTreeSet<_> = cases::all().map(|case| case.id()).collect();
    assert_eq!(ids.len(), cases::all().count());
}

#[test]
fn every_number_in_the_contract_is_a_case() {
    let contract = [
        include_str!("../../session-core/src/store.rs"),
        include_str!("../../session-core/src/store.md"),
    ];
    let mentioned: BTreeSet<_> = contract.into_iter().flat_map(numbers_in).collect();
    assert!(mentioned.len() > 50, "the contract names only {} cases", mentioned.len());
    let known = run_here();
    let unproven: Vec<_> = mentioned.difference(&known).collect();
    assert!(unproven.is_empty(), "the contract names cases that nothing runs: {unproven:?}");
}

/// What looks like a number of the catalogue: a group's letter and two digits, alone.
fn numbers_in(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_number = |word: &&str| {
        word.len() == 3
            && CATALOGUE.iter().any(|(group, _)| word.starts_with(group))
            && word.get(1..).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
    };
    words.filter(is_number).map(str::to_owned).collect()
}
