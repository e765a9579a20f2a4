//! The documents name tests that exist, and every statement is named by one of them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const DOCUMENTS: [&str; 3] = ["session.md", "settings.md", "headers.md"];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| unreachable!("{}: {error}", path.display()))
}

/// Words in backticks that can only be names of tests.
fn named(text: &str) -> BTreeSet<&str> {
    let is_name = |word: &&str| {
        let letters = word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        letters && (word.matches('_').count() > 1 || word.ends_with("_fails"))
    };
    text.split('`').skip(1).step_by(2).filter(is_name).collect()
}

/// Names of functions, tests among them, and of statements.
fn existing() -> (BTreeSet<String>, BTreeSet<String>) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let statements = read(&tests.join("state/statements.txt"));
    let statements = statements.lines().filter_map(|line| line.strip_prefix("# "));
    let files = ["state", "state_alone", "../src/state"].into_iter().flat_map(|folder| {
        let entries = fs::read_dir(tests.join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<PathBuf>>()
    });
    let functions =
        files.filter(|path| path.extension().is_some_and(|it| it == "rs")).flat_map(|path| {
            let text = read(&path);
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            names.map(str::to_owned).collect::<Vec<_>>()
        });
    (functions.collect(), statements.map(str::to_owned).collect())
}

#[test]
fn documents_name_tests_that_exist_and_all_statements() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/php");
    let documents: String = DOCUMENTS.iter().map(|name| read(&folder.join(name))).collect();
    let named = named(&documents);
    let (functions, statements) = existing();
    assert!(named.len() > 80 && statements.len() > 80, "they are found at all");
    let phps =
        ["auto_globals_jit", "session_", "sid_", "use_", "read_and_close", "private_no_expire"];
    let is_phps = |name: &str| {
        let known = functions.contains(name) || statements.contains(name);
        !known && phps.iter().any(|start| name.starts_with(start))
    };
    let gone: Vec<_> = named
        .iter()
        .filter(|name| {
            !is_phps(name) && !functions.contains(**name) && !statements.contains(**name)
        })
        .collect();
    assert!(gone.is_empty(), "no such tests: {gone:?}");
    let silent: Vec<_> = statements.iter().filter(|name| !named.contains(name.as_str())).collect();
    assert!(silent.is_empty(), "no document says: {silent:?}");
}
