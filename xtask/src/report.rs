//! What is printed at the end.

use std::time::Duration;

use crate::counts::{Counts, Outcome};

/// One step that ran.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) step: &'static str,
    pub(crate) took: Duration,
    pub(crate) outcome: Outcome,
}

/// Renders the table of all steps, what was not run and why, and the sums on the last line.
pub(crate) fn render(lines: &[Line], conformance: &[String]) -> String {
    let mut text =
        format!("\n{:<14}{:>9}{:>9}{:>9}{:>9}\n", "step", "seconds", "passed", "failed", "skipped");
    let mut sum = Counts::default();
    for line in lines {
        let Counts { passed, failed, skipped } = line.outcome.counts;
        let seconds = line.took.as_secs_f64();
        text += &format!("{:<14}{seconds:>9.1}{passed:>9}{failed:>9}{skipped:>9}\n", line.step);
        sum += line.outcome.counts;
    }
    text += &section("conformance", conformance);
    let notes: Vec<String> = lines
        .iter()
        .flat_map(|line| {
            line.outcome.notes.iter().map(move |note| format!("{}: {note}", line.step))
        })
        .collect();
    // Who sees only the end of a long output sees what failed.
    let (ignored, told): (Vec<_>, Vec<_>) =
        notes.into_iter().partition(|note| note.contains(": ignored: "));
    text += &section("not run", &ignored);
    text += &section("failed, or to be known", &told);
    let Counts { passed, failed, skipped } = sum;
    text += &format!("\n{passed} passed, {failed} failed, {skipped} skipped\n");
    text
}

fn section(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("\n{title}:\n  {}\n", lines.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_holds_the_sums_alone() {
        let line = |step, outcome| Line { step, took: Duration::from_millis(1250), outcome };
        let lines =
            [line("format", Outcome::passed()), line("deny", Outcome::skipped("no network"))];
        let text = render(&lines, &[]);
        assert_eq!(text.lines().last(), Some("1 passed, 0 failed, 1 skipped"));
        assert!(text.contains("deny: no network"));
        assert!(text.contains("format              1.2        1        0        0"));
    }
}
