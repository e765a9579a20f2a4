//! The table of `README.md` is that of the newest results that are kept.

use super::{Source, assert_none, walk};
use crate::workspace::Workspace;

const BEGIN: &str = "<!-- compared: begin -->\n";
const END: &str = "<!-- compared: end -->";
const FOLDER: &str = "benches/results/";

/// What is between the markers.
fn block(readme: &str) -> Option<&str> {
    Some(readme.split_once(BEGIN)?.1.split_once(END)?.0)
}

/// The newest of the tables that are kept: their folders begin with the day.
fn newest(kept: &[Source]) -> Option<&Source> {
    let tables = kept
        .iter()
        .filter(|source| source.path.starts_with(FOLDER) && source.path.ends_with("/table.txt"));
    tables.max_by(|one, other| one.path.cmp(&other.path))
}

fn complaint(readme: &str, kept: &[Source]) -> Option<String> {
    let Some(block) = block(readme) else {
        return Some("README.md has lost its markers".to_owned());
    };
    let table = newest(kept)?;
    (table.text != block).then(|| {
        let path = &table.path;
        format!(
            "the table of README.md is not {path}; `cargo xtask bench --save-results` makes both"
        )
    })
}

#[test]
fn a_table_that_is_not_the_newest_is_found() {
    let source = |day: &str, text: &str| Source {
        path: format!("{FOLDER}{day}-machine/table.txt"),
        text: text.to_owned(),
    };
    let kept = [source("2026-02-01", "old\n"), source("2026-11-01", "new\n")];
    let readme = |block: &str| format!("a\n{BEGIN}{block}{END}\nb\n");
    assert_eq!(complaint(&readme("new\n"), &kept), None);
    assert!(complaint(&readme("old\n"), &kept).unwrap().contains("2026-11-01"));
    assert!(complaint("no markers", &kept).is_some());
    assert_eq!(complaint(&readme("nothing yet\n"), &[]), None);
}

#[test]
fn the_table_of_the_readme_is_that_of_the_newest_results() {
    let root = Workspace::read().unwrap().root;
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    // There may be none yet.
    let mut kept = Vec::new();
    walk(&root, "benches", "table.txt", &mut kept);
    assert_none(complaint(&readme, &kept).into_iter().collect());
}
