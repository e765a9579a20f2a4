//! Rules for `Cargo.toml` files.

use super::{Source, assert_none, sources};

/// What every crate takes from the workspace.
const SHARED: &[(&str, &str)] = &[
    ("[lints]", "workspace = true"),
    ("[package]", "edition.workspace = true"),
    // A crate whose client needs a newer compiler has a version of its own.
    ("[package]", "rust-version"),
    ("[package]", "license.workspace = true"),
    ("[package]", "description = "),
];

/// A package that is a workspace of its own, such as a fuzzer, shares nothing with ours.
fn complaints(manifest: &Source) -> Vec<String> {
    if !manifest.text.contains("[package]") || manifest.text.contains("[workspace]") {
        return Vec::new();
    }
    let lacking = SHARED.iter().filter(|(table, line)| !has(&manifest.text, table, line));
    lacking.map(|(table, line)| format!("{}: {table} lacks `{line}`", manifest.path)).collect()
}

fn has(text: &str, table: &str, line: &str) -> bool {
    let after = text.lines().skip_while(|candidate| candidate.trim() != table).skip(1);
    let mut table = after.take_while(|candidate| !candidate.starts_with('['));
    table.any(|candidate| candidate.starts_with(line))
}

#[test]
fn every_crate_shares_lints_and_edition() {
    assert_none(sources("Cargo.toml").iter().flat_map(complaints).collect());
}

#[test]
fn a_crate_without_the_lints_is_found() {
    let manifest = |text: &str| Source { path: "a/Cargo.toml".to_owned(), text: text.to_owned() };
    let package = "[package]\ndescription = \"a\"\nedition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\n";
    assert_eq!(complaints(&manifest(package)), ["a/Cargo.toml: [lints] lacks `workspace = true`"]);
    assert!(complaints(&manifest(&format!("{package}[lints]\nworkspace = true\n"))).is_empty());
}
