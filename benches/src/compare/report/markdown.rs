//! The summary as Markdown, which is also what the terminal shows.

use super::{
    change::Changes,
    figures::{compact, percent, time, times},
    kept, verdict,
};
use crate::compare::{
    candidate::Side,
    results::{Deed, Outcome, Results, Shape},
    run::MANY,
};

pub(super) fn summary(results: &Results, changes: Option<(&str, &Changes)>) -> String {
    let mut text = head(results);
    text += "\n## Which store for which need\n\n";
    for need in verdict::needs(results) {
        text += &format!("- **{}: {}.** {}\n", need.need, need.take, need.because);
    }
    text += "\n## Our handle beside the bare client and the best peer of the same server\n\n";
    text += "Requests a second with 16 tasks, as a part of theirs; medians of ratios within rounds.\n\n";
    text += &ratios(results);
    text += "\n## What is kept\n\n";
    text += &correctness(results);
    text += &listed("What loses updates, sessions or log-outs", &verdict::faults(results));
    text += &listed("Where we are behind, in every round", &verdict::behind(results));
    if let Some((date, changes)) = changes {
        text += &changed(date, changes);
    }
    text
}

fn head(results: &Results) -> String {
    let (settings, machine) = (&results.settings, &results.machine);
    let places: Vec<_> = results.places.iter().map(|place| place.title.clone()).collect();
    let mut text = format!(
        "# Session stores compared\n\n- {}, in {:.0} s: {} rounds of {} ms, {} sessions of {} bytes, seed {}\n\
         - {}, {} cores, Linux {}; load average {} before, {} after; servers on the same machine\n- {}\n",
        results.date,
        results.seconds,
        settings.rounds,
        settings.slice,
        settings.sessions,
        settings.bytes,
        settings.seed,
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.load_before,
        machine.load_after,
        places.join(", ")
    );
    for (name, reason) in &results.left_out {
        text += &format!("- left out: {name}, {reason}\n");
    }
    text
}

/// For each place and deed: of the bare client, and of the best peer.
pub(super) fn ratios(results: &Results) -> String {
    let mut head = vec!["".to_owned()];
    head.extend(Deed::ALL.map(|deed| deed.title().to_owned()));
    let mut rows = Vec::new();
    for kind in results.kinds() {
        let mut row = vec![kind.title().to_owned()];
        for deed in Deed::ALL {
            let bare = results.of_bare(kind, deed, MANY).map(|ratio| percent(ratio.median));
            let peer = results
                .of_best_peer(kind, deed, MANY)
                .map(|(peer, ratio)| format!("{} {}", times(ratio.median), peer.facts.name));
            let both: Vec<String> = [bare, peer].into_iter().flatten().collect();
            row.push(if both.is_empty() { "–".to_owned() } else { both.join("; ") });
        }
        rows.push(row);
    }
    table(&head, &rows)
}

/// What is kept, beside speed: a line for each library.
pub(super) fn correctness(results: &Results) -> String {
    let head = [
        "",
        "mixed traffic/s",
        "p99",
        "counts kept",
        "entries kept",
        "alive after log-out",
        "logged out by a change of id",
        "page of 6",
    ];
    let libraries = results.kinds().flat_map(|kind| results.on(kind));
    let rows: Vec<_> =
        libraries.filter(|outcome| outcome.facts.side != Side::Bare).map(line).collect();
    table(&head.map(str::to_owned), &rows)
}

fn line(outcome: &Outcome) -> Vec<String> {
    let mixed = outcome.speed(Deed::Mixed, MANY);
    let hot = kept::counting(outcome, Shape::Hot);
    let usual = outcome.bursts(Shape::Page).next();
    let none = || "–".to_owned();
    vec![
        outcome.facts.full_name(),
        mixed.map_or_else(none, |speed| compact(speed.median())),
        mixed.map_or_else(none, |speed| time(speed.latency[2])),
        hot.map_or_else(none, |bursts| kept::counts(bursts).text),
        hot.map_or_else(none, |bursts| kept::entries(bursts).text),
        kept::alive(outcome).text,
        mixed.map_or_else(none, |speed| speed.missed().to_string()),
        usual.map_or_else(none, |bursts| time(bursts.of(|burst| burst.millis) * 1e3)),
    ]
}

fn listed(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|line| format!("- {line}\n")).collect();
    format!("\n## {title}\n\n{lines}")
}

fn changed(date: &str, changes: &Changes) -> String {
    let mut text = format!("\n## Changes since {date}\n\n");
    if let Some(warning) = &changes.warning {
        text += &format!("Not like for like: {warning}.\n\n");
    }
    let row = |change: &super::change::Change| {
        let factor = change.factor.map(times).unwrap_or_default();
        let better = if change.better { "better" } else { "worse" };
        let (what, before, now) = (change.what.clone(), change.before.clone(), change.now.clone());
        vec![what, before, now, factor, better.to_owned()]
    };
    let rows: Vec<_> = changes.clear.iter().map(row).collect();
    if !rows.is_empty() {
        text += &table(&["", "before", "now", "", ""].map(str::to_owned), &rows);
        text += "\n";
    }
    text + &format!(
        "{} figures changed within the noise, {} are only in one of both runs.\n",
        changes.within_noise, changes.unmatched
    )
}

/// A table whose columns stand in line in the terminal as well.
pub(super) fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.chain(head.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths);
        let cells: String = cells.map(|(cell, width)| format!("| {cell:width$} ")).collect();
        cells + "|\n"
    };
    let rule = vec!["---".to_owned(); head.len()];
    line(head) + &line(&rule) + &rows.iter().map(|row| line(row)).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{report::change, results::tests::results};

    #[test]
    fn ratios_name_the_best_peer() {
        let text = ratios(&results());
        assert!(text.contains("| 100 %; 1 × fast"), "{text}");
    }

    #[test]
    fn a_summary_has_every_library_and_says_what_changed() {
        let results = results();
        let changes = change::between(&results, &results);
        let text = summary(&results, Some(("2026-01-02", &changes)));
        assert!(text.contains("| session on Redis") && text.contains("| slow on Redis"));
        assert!(text.contains("Changes since 2026-01-02"));
        assert!(text.contains("4 figures changed within the noise"));
    }
}
