//! What is left of updates and log-outs, in a few words for tables.

use crate::compare::{
    library::Mode,
    results::{Bursts, Outcome, Shape},
};

/// A cell that says whether something is as it should be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) text: String,
    /// None where nothing is promised.
    pub(super) good: Option<bool>,
}

impl Cell {
    fn of(kept: usize, made: usize) -> Self {
        Self { text: format!("{kept} of {made}"), good: Some(kept >= made) }
    }

    pub(super) fn none() -> Self {
        Self { text: "–".to_owned(), good: None }
    }
}

/// The mode in which a library keeps most counts: ours by `update`, others in their only mode.
pub(super) fn counting(outcome: &Outcome, shape: Shape) -> Option<&Bursts> {
    let mut all: Vec<_> = outcome.bursts(shape).collect();
    all.sort_by_key(|bursts| {
        [Mode::Update, Mode::Exclusive, Mode::Plain]
            .iter()
            .position(|mode| *mode == bursts.mode)
            .unwrap_or(usize::MAX)
    });
    all.into_iter().next()
}

/// Counts that are left of those made at once.
pub(super) fn counts(bursts: &Bursts) -> Cell {
    let (made, count, _) = bursts.kept();
    // In merge mode a count is of the last one who saw it, and read-only changes nothing.
    if matches!(bursts.mode, Mode::Merge | Mode::ReadOnly) {
        let text = format!("{count} of {made}");
        return if bursts.mode == Mode::Merge { Cell { text, good: None } } else { Cell::none() };
    }
    Cell::of(usize::try_from(count).unwrap_or(usize::MAX), made)
}

/// Entries that are left of those set at once, each another.
pub(super) fn entries(bursts: &Bursts) -> Cell {
    if bursts.mode == Mode::ReadOnly {
        return Cell::none();
    }
    let (made, _, entries) = bursts.kept();
    Cell::of(entries, made)
}

/// Sessions alive after their log-out.
pub(super) fn alive(outcome: &Outcome) -> Cell {
    let Some(found) = &outcome.log_out else { return Cell::none() };
    Cell { text: format!("{} of {}", found.alive, found.trials), good: Some(found.alive == 0) }
}
