//! What a run leaves behind: a line on the terminal and a file in the target directory.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{Case, Verdict};

/// The outcome of every case on one store.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) store: String,
    pub(crate) server_version: Option<String>,
    pub(crate) cases: Vec<Entry>,
}

/// The outcome of one case.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    number: &'static str,
    name: &'static str,
    outcome: &'static str,
    reason: Option<String>,
}

impl Entry {
    pub(crate) fn new(case: &Case, verdict: Verdict) -> Self {
        let (outcome, reason) = match verdict {
            Verdict::Passed(note) => ("passed", note),
            Verdict::Failed(reason) => ("failed", Some(reason)),
            Verdict::Ignored(reason) => ("ignored", Some(reason)),
        };
        Self { number: case.number, name: case.name, outcome, reason }
    }
}

impl Report {
    /// One line for people: `conformance memory: 87 run, 5 ignored, 0 failed`.
    pub(crate) fn summary(&self) -> String {
        let count = |outcome| self.cases.iter().filter(|case| case.outcome == outcome).count();
        let (passed, failed, ignored) = (count("passed"), count("failed"), count("ignored"));
        format!(
            "conformance {}: {} run, {ignored} ignored, {failed} failed",
            self.store,
            passed + failed
        )
    }

    /// Why cases were ignored: a line for each reason, with the numbers.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for case in self.cases.iter().filter(|case| case.outcome == "ignored") {
            let reason = case.reason.as_deref().unwrap_or_default();
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, numbers)) if numbers.last() == Some(&case.number) => {}
                Some((_, numbers)) => numbers.push(case.number),
                None => reasons.push((reason, vec![case.number])),
            }
        }
        let line = |(reason, numbers): (&str, Vec<&str>)| {
            format!("ignored: {reason}: {}", numbers.join(" "))
        };
        reasons.into_iter().map(line).collect()
    }

    /// Brings the cases into the order of their numbers, whatever order they ended in.
    pub(crate) fn sort(&mut self) {
        self.cases.sort_by_key(|case| (case.number, case.name));
    }

    /// Writes `conformance/<store>.json` into the target directory.
    pub(crate) fn write(&self) -> io::Result<()> {
        let folder = target_directory()?.join("conformance");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}.json", self.store));
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text)
    }
}

/// The target directory of the workspace that runs the suite: `CARGO_TARGET_DIR`, else the one
/// that this program was built into, else `target` beside the lock file.
fn target_directory() -> io::Result<PathBuf> {
    let chosen = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    if let Some(path) = chosen.filter(|path| path.is_absolute()) {
        return Ok(path);
    }
    let program = env::current_exe()?;
    let built = program.ancestors().find(|path| path.join("CACHEDIR.TAG").is_file());
    if let Some(path) = built {
        return Ok(path.to_owned());
    }
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let locked = package.as_deref().unwrap_or(Path::new(".")).ancestors();
    let workspace = locked.filter(|path| path.join("Cargo.lock").is_file()).last();
    workspace
        .map(|path| path.join("target"))
        .ok_or_else(|| io::Error::other("no target directory found; set CARGO_TARGET_DIR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_written_beside_what_the_build_made() {
        let target = target_directory().unwrap();
        assert!(env::current_exe().unwrap().starts_with(&target), "{}", target.display());
    }
}
