//! Reads what the conformance suite wrote about each store.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::workspace::Workspace;

/// Where the suite writes one file for each store.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("conformance")
}

/// One line for each store, followed by its cases that were ignored or failed.
pub(crate) fn summary(workspace: &Workspace) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder(workspace)) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.iter().flat_map(of_file).collect()
}

fn of_file(file: &PathBuf) -> Vec<String> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let report = fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    report
        .and_then(|report| of_report(&name, &report))
        .unwrap_or_else(|| vec![format!("{name}: results cannot be read")])
}

fn of_report(name: &str, report: &Value) -> Option<Vec<String>> {
    let cases = report.get("cases")?.as_array()?;
    let outcome =
        |case: &Value| case.get("outcome").and_then(Value::as_str).unwrap_or("").to_owned();
    let count = |wanted: &str| cases.iter().filter(|case| outcome(case) == wanted).count();
    let (passed, ignored, failed) = (count("passed"), count("ignored"), count("failed"));
    let mut lines =
        vec![format!("{name}: {} run, {ignored} ignored, {failed} failed", passed + failed)];
    lines.extend(cases.iter().filter(|case| outcome(case) != "passed").map(|case| {
        let text = |key| case.get(key).and_then(Value::as_str).unwrap_or("");
        format!("  {} {}: {}", text("case"), outcome(case), text("reason"))
    }));
    Some(lines)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ignored_cases_are_listed_with_their_reason() {
        let report = json!({"store": "files", "cases": [
            {"case": "C01", "outcome": "passed"},
            {"case": "L20", "outcome": "ignored", "reason": "no locks"},
            {"case": "E01", "outcome": "failed", "reason": "found"},
        ]});
        assert_eq!(
            of_report("files", &report).unwrap(),
            ["files: 2 run, 1 ignored, 1 failed", "  L20 ignored: no locks", "  E01 failed: found"]
        );
    }
}
