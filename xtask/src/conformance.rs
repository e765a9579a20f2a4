//! Reads what the conformance suite wrote about each store.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;

use crate::workspace::Workspace;

/// What the suite found out about one store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Store {
    pub(crate) name: String,
    /// One line with the sums, then one for each reason to ignore or to fail.
    pub(crate) lines: Vec<String>,
}

/// Where the suite writes one file for each store.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("conformance")
}

/// All stores of the last run.
pub(crate) fn stores(workspace: &Workspace) -> Vec<Store> {
    let Ok(entries) = fs::read_dir(folder(workspace)) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.iter().map(of_file).collect()
}

fn of_file(file: &PathBuf) -> Store {
    let report = fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    report.as_ref().and_then(of_report).unwrap_or_else(|| Store {
        name: String::new(),
        lines: vec![format!("{}: cannot be read", file.display())],
    })
}

fn of_report(report: &Value) -> Option<Store> {
    let name = report.get("store")?.as_str()?.to_owned();
    let cases = report.get("cases")?.as_array()?;
    let mut sums: BTreeMap<&str, usize> = BTreeMap::new();
    let mut reasons: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for case in cases {
        let text = |key| case.get(key).and_then(Value::as_str).unwrap_or_default();
        *sums.entry(text("outcome")).or_default() += 1;
        if text("outcome") != "passed" {
            reasons.entry((text("outcome"), text("reason"))).or_default().push(text("number"));
        }
    }
    let sum = |outcome| sums.get(outcome).copied().unwrap_or_default();
    let (ignored, failed) = (sum("ignored"), sum("failed"));
    let version = report.get("server_version").and_then(Value::as_str);
    let title = version.map_or_else(|| name.clone(), |version| format!("{name} {version}"));
    let run = sum("passed") + failed;
    let mut lines = vec![format!("{title}: {run} run, {ignored} ignored, {failed} failed")];
    lines.extend(reasons.iter().map(|((outcome, reason), numbers)| {
        format!("  {outcome}: {reason}: {}", numbers.join(" "))
    }));
    Some(Store { name, lines })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ignored_cases_are_listed_with_their_reason() {
        let report = json!({"store": "files", "server_version": null, "cases": [
            {"number": "C01", "outcome": "passed", "reason": null},
            {"number": "L20", "outcome": "ignored", "reason": "no locks"},
            {"number": "L21", "outcome": "ignored", "reason": "no locks"},
            {"number": "E01", "outcome": "failed", "reason": "found"},
        ]});
        let store = of_report(&report).unwrap();
        assert_eq!(store.name, "files");
        assert_eq!(
            store.lines,
            [
                "files: 2 run, 2 ignored, 1 failed",
                "  failed: found: E01",
                "  ignored: no locks: L20 L21"
            ]
        );
    }
}
