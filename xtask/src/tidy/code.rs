//! Rules for Rust files.

use super::{Source, assert_none, sources};

const LONGEST_FILE: usize = 600;
const LONGEST_FUNCTION: usize = 60;

fn too_long(source: &Source) -> Option<String> {
    if source.path.contains("/tests/") {
        return None;
    }
    let lines = without_tests(&source.text).count();
    (lines > LONGEST_FILE).then(|| format!("{}: {lines} lines, split it", source.path))
}

/// The lines before the test module, which stands last.
fn without_tests(text: &str) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    });
    let end = tests.unwrap_or(lines.len());
    lines.into_iter().take(end)
}

/// Relies on rustfmt: a function ends at the first brace that stands as far in as it began, and a
/// declaration without a body at such a line with a semicolon.
fn long_functions(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = without_tests(&source.text).collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| is_function(line));
    let lengths = starts.map(|(start, first)| {
        let ends = |line: &str| indent(line) == indent(first) && line.ends_with(['}', ';']);
        (start + 1, lines.iter().skip(start).take_while(|line| !ends(line)).count() + 1)
    });
    lengths
        .filter(|(_, length)| *length > LONGEST_FUNCTION)
        .map(|(line, length)| format!("{}:{line}: a function of {length} lines", source.path))
        .collect()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn is_function(line: &str) -> bool {
    let line = line.trim_start();
    let header = line.split(['(', '<']).next().unwrap_or_default();
    !line.starts_with("//") && header.split(' ').any(|word| word == "fn")
}

fn bare_ignores(source: &Source) -> Vec<String> {
    complain(source, |line| line.trim() == "#[ignore]", "ignored without a reason")
}

fn loose_ends(source: &Source) -> Vec<String> {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let loose =
        |line: &str| words.iter().any(|word| line.contains(word)) && !line.contains("https://");
    complain(source, loose, "a loose end needs the address of its issue")
}

fn complain(source: &Source, wrong: impl Fn(&str) -> bool, what: &str) -> Vec<String> {
    let lines = source.text.lines().enumerate().filter(|(_, line)| wrong(line));
    lines.map(|(number, _)| format!("{}:{}: {what}", source.path, number + 1)).collect()
}

fn check(rule: impl Fn(&Source) -> Vec<String>) {
    assert_none(sources(".rs").iter().flat_map(rule).collect());
}

#[test]
fn no_file_is_too_long() {
    check(|source| too_long(source).into_iter().collect());
}

#[test]
fn no_function_is_too_long() {
    check(long_functions);
}

#[test]
fn no_test_is_ignored_without_a_reason() {
    check(bare_ignores);
}

#[test]
fn no_loose_end_is_without_its_issue() {
    check(loose_ends);
}

fn planted(text: String) -> Source {
    Source { path: "src/planted.rs".to_owned(), text }
}

#[test]
fn long_files_are_found_and_tests_do_not_count() {
    let code = "let a = 1;\n";
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", code.repeat(900));
    assert!(too_long(&planted(code.repeat(601))).is_some());
    assert!(too_long(&planted(code.repeat(600) + &tests)).is_none());
}

#[test]
fn long_functions_are_found() {
    let function = |lines: usize| {
        format!(
            "impl A {{\n    pub async fn f(&self) -> u8 {{\n{}    }}\n}}\n",
            "        {\n        }\n".repeat(lines / 2)
        )
    };
    assert_eq!(
        long_functions(&planted(function(60))),
        ["src/planted.rs:2: a function of 62 lines"]
    );
    assert!(long_functions(&planted(function(58))).is_empty());
}

#[test]
fn bare_ignores_and_loose_ends_are_found() {
    let text = format!("#[ignore]\n#[ignore = \"slow\"]\n// {}: later\n", concat!("TO", "DO"));
    assert_eq!(bare_ignores(&planted(text.clone())).len(), 1);
    assert_eq!(loose_ends(&planted(text)).len(), 1);
}
