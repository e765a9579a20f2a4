//! How many tests passed, failed and were skipped, and why.

use std::ops::AddAssign;

/// How many lines of a failed test are repeated.
const MOST_TOLD: usize = 8;

/// Sums of tests. A check that is not a test program, such as the formatter, counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// What one step came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    /// What was not run and why, or what failed; one line each.
    pub(crate) notes: Vec<String>,
}

impl Outcome {
    /// One check that passed.
    pub(crate) fn passed() -> Self {
        Self { counts: Counts { passed: 1, ..Counts::default() }, notes: Vec::new() }
    }

    /// One check that failed.
    pub(crate) fn failed(note: impl Into<String>) -> Self {
        Self { counts: Counts { failed: 1, ..Counts::default() }, notes: vec![note.into()] }
    }

    /// One check that was not made.
    pub(crate) fn skipped(note: impl Into<String>) -> Self {
        Self { counts: Counts { skipped: 1, ..Counts::default() }, notes: vec![note.into()] }
    }

    /// One check, by the exit status of its program.
    pub(crate) fn of(success: bool, what: &str) -> Self {
        if success { Self::passed() } else { Self::failed(format!("failed: {what}")) }
    }

    /// Takes over what another step came to.
    pub(crate) fn add(&mut self, other: Self) {
        self.counts += other.counts;
        self.notes.extend(other.notes);
    }

    /// Reads the output of test programs, in the format of libtest and its imitations.
    ///
    /// A run that failed without a failed test (a program that did not compile, or died) counts as
    /// one failure.
    pub(crate) fn of_tests(output: &str, success: bool) -> Self {
        let mut outcome = Self::default();
        let mut reasons = Vec::new();
        let mut lines = output.lines();
        while let Some(line) = lines.next() {
            if let Some(counts) = summary(line) {
                outcome.counts += counts;
            } else if let Some(note) = remark(line) {
                outcome.notes.push(note);
            } else if let Some(reason) = line.strip_prefix("ignored: ") {
                reasons.push(reason);
            } else if let Some(store) = suite(line) {
                outcome.explain(store, &std::mem::take(&mut reasons));
            } else if let Some(name) = reported(line) {
                // Beside the note that it failed.
                let told = lines.by_ref().skip_while(|line| line.is_empty());
                let told = told.take_while(|line| !line.is_empty()).take(MOST_TOLD);
                outcome.notes.extend(told.map(|line| format!("failed: {name}: {line}")));
            }
        }
        if !success && outcome.counts.failed == 0 {
            outcome.add(Self::failed("failed: a test program did not compile or did not finish"));
        }
        outcome
    }

    /// Puts the reasons that the conformance suite gives for a store in the place of what says only
    /// that its cases were ignored.
    fn explain(&mut self, store: &str, reasons: &[&str]) {
        let bare = format!("ignored: {store}::");
        self.notes.retain(|note| !note.starts_with(&bare));
        self.notes.extend(reasons.iter().map(|reason| format!("ignored: {store}: {reason}")));
    }
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn summary(line: &str) -> Option<Counts> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |word: &str| {
        let part = numbers.split("; ").find_map(|part| part.strip_suffix(word))?;
        part.trim().parse::<u64>().ok()
    };
    Some(Counts {
        passed: number("passed")?,
        failed: number("failed")?,
        skipped: number("ignored")?,
    })
}

/// Reads `conformance memory: 87 run, 5 ignored, 0 failed`, which ends what the suite says of a store.
fn suite(line: &str) -> Option<&str> {
    let (store, _sums) = line.strip_prefix("conformance ")?.split_once(": ")?;
    Some(store)
}

/// Reads `test name ... ignored, reason` or `.. ignored (reason)`, and `test name ... FAILED`.
fn remark(line: &str) -> Option<String> {
    let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let name = name.trim();
    if outcome.starts_with("FAILED") {
        return Some(format!("failed: {name}"));
    }
    let reason = outcome.strip_prefix("ignored")?.trim_start_matches([',', ' ']);
    let reason = reason.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(reason);
    let reason = if reason.is_empty() { "no reason given" } else { reason };
    Some(format!("ignored: {name}: {reason}"))
}

/// Reads `---- name stdout ----`, behind which stands what a failed test has told.
fn reported(line: &str) -> Option<&str> {
    let name = line.strip_prefix("---- ")?.strip_suffix(" ----")?;
    Some(name.strip_suffix(" stdout").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 3 tests
test cases::c01 ... ok
test cases::c02 ... ignored, the server is not there
test cases::c03 ... FAILED
test page        ... ignored (no browser)
test doc.md - example (line 3) ... ignored
test memory::L40_lock ... ignored

failures:

---- cases::c03 stdout ----

thread 'cases::c03' panicked at c03.rs:1:1:
two are not three

failures:
    cases::c03

test result: FAILED. 1 passed; 1 failed; 4 ignored; 0 measured; 5 filtered out; finished in 0.1s
test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s
ignored: the store holds absent keys: L40
conformance memory: 40 run, 1 ignored, 0 failed
";

    #[test]
    fn sums_and_reasons_are_read() {
        let outcome = Outcome::of_tests(OUTPUT, false);
        assert_eq!(outcome.counts, Counts { passed: 41, failed: 1, skipped: 4 });
        assert_eq!(
            outcome.notes,
            [
                "ignored: cases::c02: the server is not there",
                "failed: cases::c03",
                "ignored: page: no browser",
                "ignored: doc.md - example (line 3): no reason given",
                "failed: cases::c03: thread 'cases::c03' panicked at c03.rs:1:1:",
                "failed: cases::c03: two are not three",
                "ignored: memory: the store holds absent keys: L40",
            ]
        );
    }

    #[test]
    fn a_run_that_died_is_a_failure() {
        let outcome = Outcome::of_tests("error: could not compile", false);
        assert_eq!(outcome.counts, Counts { failed: 1, ..Counts::default() });
    }
}
