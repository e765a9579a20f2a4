//! Rules for the decision records: `docs/decisions/NNNN-title.md`, each number once.

use std::collections::BTreeMap;

use super::{assert_none, sources};

const FOLDER: &str = "docs/decisions/";

fn misnumbered<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut numbers: BTreeMap<&str, &str> = BTreeMap::new();
    let mut complaints = Vec::new();
    for name in names {
        let number = name.split('-').next().unwrap_or_default();
        if number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            complaints.push(format!("{FOLDER}{name}: the name must be NNNN-title.md"));
        } else if let Some(other) = numbers.insert(number, name) {
            complaints.push(format!("{FOLDER}{name}: has the number of {other}"));
        }
    }
    complaints
}

#[test]
fn decisions_are_numbered_once() {
    let all = sources(".md");
    let names = all.iter().filter_map(|source| source.path.strip_prefix(FOLDER));
    assert_none(misnumbered(names.filter(|name| *name != "README.md")));
}

#[test]
fn wrong_numbers_are_found() {
    let names = ["0001-a.md", "0002-b.md", "0002-c.md", "12-d.md", "e.md"];
    assert_eq!(misnumbered(names.into_iter()).len(), 3);
}
