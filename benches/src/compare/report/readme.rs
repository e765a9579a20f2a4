//! What is kept of a run in this repository, and the table of the root README that is made of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    figures::{compact, percent, time, times},
    kept, markdown,
};
use crate::{
    compare::{
        kind::Kind,
        results::{Deed, Outcome, Results, Shape},
        run::MANY,
    },
    measure::Result,
};

const BEGIN: &str = "<!-- compared: begin -->";
const END: &str = "<!-- compared: end -->";
/// The table alone, so that who cannot make it can compare it.
const TABLE: &str = "table.txt";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Keeps the files in `benches/results`, and puts the table into the README; returns the folder.
pub(super) fn save(results: &Results, files: &[(&str, Vec<u8>)]) -> Result<PathBuf> {
    let name = format!("{}-{}", results.date, slug(&results.machine.processor));
    let folder = Path::new("benches/results").join(name);
    let at = root().join(&folder);
    fs::create_dir_all(&at)?;
    for (name, bytes) in files {
        fs::write(at.join(name), bytes)?;
    }
    let block = block(results, &folder);
    fs::write(at.join(TABLE), &block)?;
    let readme = root().join("README.md");
    let text = replaced(&fs::read_to_string(&readme)?, &block)?;
    fs::write(readme, text)?;
    Ok(folder)
}

/// The text with the block between its markers.
fn replaced(text: &str, block: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).ok_or("README.md has no place for the table")?;
    let (_, after) =
        rest.split_once(END).ok_or("the place for the table in README.md has no end")?;
    Ok(format!("{before}{BEGIN}\n{block}{END}{after}"))
}

/// A name for a folder.
fn slug(text: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let text: String = text.to_lowercase().chars().map(plain).collect();
    let words: Vec<&str> = text.split('-').filter(|word| !word.is_empty()).take(5).collect();
    words.join("-")
}

/// A line for each place: our handle, and the fastest other library.
fn block(results: &Results, folder: &Path) -> String {
    let head = [
        "",
        "mixed traffic",
        "99 % within",
        "read, of the bare client",
        "save, of the bare client",
        "the fastest other library",
        "our mixed traffic, of its",
        "updates it keeps",
        "sessions alive after log-out with it",
    ];
    let rows: Vec<_> = results.kinds().filter_map(|kind| row(results, kind)).collect();
    let machine = &results.machine;
    let ours = results.kinds().filter_map(|kind| results.ours(kind));
    let (mut made, mut kept, mut trials, mut alive) = (0, 0, 0, 0);
    for outcome in ours {
        if let Some(bursts) = kept::counting(outcome, Shape::Hot) {
            let (of, count, _) = bursts.kept();
            made += of as u64;
            kept += count;
        }
        if let Some(found) = &outcome.log_out {
            trials += found.trials;
            alive += found.alive;
        }
    }
    format!(
        "{}\nOurs kept {kept} of {made} updates made at once, and {alive} of {trials} sessions were alive after \
         their log-out. {} requests at once, {} cores ({}) shared with the servers, {}; [the whole report]({}).\n",
        markdown::table(&head.map(str::to_owned), &rows),
        MANY,
        machine.cores,
        machine.processor,
        results.date,
        folder.join("report.md").display()
    )
}

fn row(results: &Results, kind: Kind) -> Option<Vec<String>> {
    let none = || "–".to_owned();
    let mixed = results.ours(kind)?.speed(Deed::Mixed, MANY)?;
    let of_bare =
        |deed| results.of_bare(kind, deed, MANY).map_or_else(none, |ratio| percent(ratio.median));
    let best = results.of_best_peer(kind, Deed::Mixed, MANY);
    let peer = best.as_ref().map(|(peer, _)| *peer);
    let updates = |peer: &Outcome| {
        kept::counting(peer, Shape::Hot).map_or_else(none, |bursts| kept::counts(bursts).text)
    };
    Some(vec![
        kind.title().to_owned(),
        format!("{}/s", compact(mixed.median())),
        time(mixed.latency[2]),
        of_bare(Deed::Read),
        of_bare(Deed::Change),
        peer.map_or_else(none, |peer| peer.facts.name.clone()),
        best.map_or_else(none, |(_, ratio)| times(ratio.median)),
        peer.map_or_else(none, updates),
        peer.map_or_else(none, |peer| kept::alive(peer).text),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_goes_between_its_markers() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        assert_eq!(replaced(&text, "new\n").unwrap(), format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert!(replaced("no marker", "new").is_err());
    }

    #[test]
    fn a_processor_becomes_the_name_of_a_folder() {
        assert_eq!(slug("AMD EPYC(TM) 7B13 64-Core Processor"), "amd-epyc-tm-7b13-64");
    }

    /// `cargo test -p xtask` compares README.md with the table that is kept; this compares the kept one
    /// with its figures.
    #[test]
    fn every_kept_table_is_what_its_figures_make() {
        let kept = root().join("benches/results");
        let Ok(folders) = fs::read_dir(&kept) else { return };
        for folder in folders {
            let folder = folder.unwrap().path();
            let results = Results::read(&fs::read(folder.join("report.json")).unwrap()).unwrap();
            let name = Path::new("benches/results").join(folder.file_name().unwrap());
            let table = fs::read_to_string(folder.join(TABLE)).unwrap();
            assert_eq!(block(&results, &name), table, "{}", folder.display());
        }
    }
}
