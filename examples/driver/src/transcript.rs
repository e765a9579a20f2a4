//! Transcripts in documents, held against what really happens.

use std::{fs, net::SocketAddr, path::Path};

use tokio::{process::Command, time::timeout};

use crate::{Result, ensure, program::PATIENCE};

/// Where documents say that the example listens.
const ADDRESS: &str = "127.0.0.1:3000";

/// What stands for anything.
const ANYTHING: &str = "…";

/// A command and what it prints.
#[derive(Debug, PartialEq, Eq)]
struct Exchange<'a> {
    command: String,
    expected: Vec<&'a str>,
}

/// Runs each `curl` of the document's transcripts, in order, in this folder and against the example at this
/// address, and compares.
pub async fn is_true(document: &Path, address: SocketAddr, folder: &Path) -> Result {
    let text = fs::read_to_string(document)?;
    let exchanges = exchanges(&text);
    ensure(!exchanges.is_empty(), || format!("no transcript in {}", document.display()))?;
    for Exchange { command, expected } in exchanges {
        let here = command.replace(ADDRESS, &address.to_string());
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", &here]).current_dir(folder).kill_on_drop(true);
        let output = timeout(PATIENCE, shell.output()).await??;
        let printed = String::from_utf8_lossy(&output.stdout);
        let printed: Vec<&str> = printed.trim_end().lines().map(str::trim_end).collect();
        ensure(same_lines(&expected, &printed), || {
            format!("$ {command}\nprints\n{}\nnot\n{}", printed.join("\n"), expected.join("\n"))
        })?;
    }
    Ok(())
}

/// The commands in fences marked `console` that call curl. A command goes on after a backslash;
/// empty lines after an output belong to nobody.
fn exchanges(markdown: &str) -> Vec<Exchange<'_>> {
    let mut exchanges: Vec<Exchange<'_>> = Vec::new();
    let mut fenced = false;
    for line in markdown.lines() {
        if line.starts_with("```") {
            fenced = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| fenced) {
            exchanges.push(Exchange { command: command.to_owned(), expected: Vec::new() });
        } else if let Some(last) = exchanges.last_mut().filter(|_| fenced) {
            last.append(line.trim_end());
        }
    }
    exchanges.retain(|exchange| exchange.command.contains("curl "));
    exchanges.iter_mut().for_each(Exchange::trim);
    exchanges
}

impl<'a> Exchange<'a> {
    fn append(&mut self, line: &'a str) {
        match self.command.strip_suffix('\\') {
            Some(begun) => self.command = format!("{begun}{}", line.trim_start()),
            None => self.expected.push(line),
        }
    }

    fn trim(&mut self) {
        while self.expected.last() == Some(&"") {
            self.expected.pop();
        }
    }
}

fn same_lines(expected: &[&str], printed: &[&str]) -> bool {
    match (expected, printed) {
        ([], printed) => printed.is_empty(),
        ([first, rest @ ..], printed) if *first == ANYTHING => (0..=printed.len())
            .any(|skipped| same_lines(rest, printed.get(skipped..).unwrap_or(&[]))),
        ([first, rest @ ..], [line, lines @ ..]) => {
            same_line(first, line) && same_lines(rest, lines)
        }
        _ => false,
    }
}

fn same_line(expected: &str, printed: &str) -> bool {
    let Some((start, rest)) = expected.split_once(ANYTHING) else { return expected == printed };
    let Some(printed) = printed.strip_prefix(start) else { return false };
    let places = printed.char_indices().map(|(place, _)| place).chain([printed.len()]);
    places.filter_map(|place| printed.get(place..)).any(|tail| same_line(rest, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_what_they_print() {
        let markdown = "\
$ curl no
```console
$ cargo run
running
$ curl -i \\
    x
HTTP/1.1 200 OK

{}

$ curl y
```
$ curl no
";
        let answer = vec!["HTTP/1.1 200 OK", "", "{}"];
        assert_eq!(
            exchanges(markdown),
            [
                Exchange { command: "curl -i x".to_owned(), expected: answer },
                Exchange { command: "curl y".to_owned(), expected: vec![] },
            ]
        );
    }

    #[test]
    fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
        assert!(same_lines(&["a", "…", "id=…; Path=/", "…"], &["a", "b", "c", "id=7; Path=/"]));
        assert!(same_lines(&["…"], &[]));
        assert!(!same_lines(&["a"], &["a", "b"]));
        assert!(!same_lines(&["id=…; Path=/"], &["id=7; Path=/x"]));
        assert!(!same_lines(&["a", "…", "d"], &["a", "b", "c"]));
    }
}
