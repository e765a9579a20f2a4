//! Rules for Markdown: links lead to files, commands exist.

use std::path::Path;

use super::{Source, assert_none, sources};
use crate::workspace::Workspace;

/// Targets of `[text](target)`, outside of code.
fn links(text: &str) -> Vec<&str> {
    let prose = prose(text);
    let targets = prose.flat_map(|line| line.split("](").skip(1));
    targets.filter_map(|rest| rest.split(')').next()).collect()
}

/// The lines outside of fences.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

fn dead_links(source: &Source, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let folder = Path::new(&source.path).parent().unwrap_or(Path::new(""));
    let files = links(&source.text).into_iter().filter_map(|target| {
        let file = target.split('#').next().unwrap_or_default();
        let ours = !file.is_empty()
            && !file.contains("://")
            && !file.starts_with("mailto:")
            && !file.contains("::");
        ours.then_some(file)
    });
    files
        .filter(|file| !exists(&folder.join(file)))
        .map(|file| format!("{}: no such file: {file}", source.path))
        .collect()
}

/// Lines of shell in fences, without their prompt.
fn commands(text: &str) -> Vec<&str> {
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches("$ "));
    lines.filter(|line| line.starts_with("cargo ")).collect()
}

fn unknown_commands(source: &Source, packages: &[&str]) -> Vec<String> {
    let wrong = commands(&source.text).into_iter().filter(|command| !is_known(command, packages));
    wrong.map(|command| format!("{}: no such command: {command}", source.path)).collect()
}

fn is_known(command: &str, packages: &[&str]) -> bool {
    let words: Vec<&str> = command.split_whitespace().collect();
    let package = words.windows(2).find(|pair| pair[0] == "-p" || pair[0] == "--package");
    match words.as_slice() {
        [_, "xtask", name, ..] => crate::USAGE.contains(&format!("\n  {name} ")),
        [_, "add", ..] => true,
        _ => package.is_none_or(|pair| packages.contains(&pair[1])),
    }
}

#[test]
fn links_lead_to_files() {
    let root = Workspace::read().unwrap().root;
    let complaints = sources(".md")
        .into_iter()
        .flat_map(|source| dead_links(&source, |file| root.join(file).exists()));
    assert_none(complaints.collect());
}

#[test]
fn commands_in_documents_exist() {
    let workspace = Workspace::read().unwrap();
    let packages: Vec<&str> =
        workspace.packages.iter().map(|package| package.name.as_str()).collect();
    assert_none(
        sources(".md").iter().flat_map(|source| unknown_commands(source, &packages)).collect(),
    );
}

fn planted(text: &str) -> Source {
    Source { path: "docs/a.md".to_owned(), text: text.to_owned() }
}

#[test]
fn dead_links_are_found() {
    let source = planted(
        "[a](b.md#x) [c](../d.md) [e](https://x.y) [f](#g)\n```\n[h](i.md)\n```\n[j](k.md)\n",
    );
    let dead = dead_links(&source, |file| file == Path::new("docs/b.md"));
    assert_eq!(dead, ["docs/a.md: no such file: ../d.md", "docs/a.md: no such file: k.md"]);
}

#[test]
fn unknown_commands_are_found() {
    let source = planted(
        "```sh\n$ cargo run -p a\ncargo run -p b\ncargo xtask test --quick\ncargo xtask fly\ncargo add b\n```\n",
    );
    let unknown = unknown_commands(&source, &["a"]);
    assert_eq!(
        unknown,
        [
            "docs/a.md: no such command: cargo run -p b",
            "docs/a.md: no such command: cargo xtask fly"
        ]
    );
}
