//! What is written: a page for people, Markdown, and JSON.

mod change;
mod figures;
mod html;
mod kept;
mod markdown;
mod readme;
mod verdict;

use std::fs;

use super::{options::Options, results::Results};
use crate::measure::Result;

/// Writes the page, the summary and the figures, and prints where they are.
pub(super) fn write(results: &Results, options: &Options) -> Result<()> {
    let old = options.compare.as_ref().map(fs::read).transpose()?;
    let old = old.map(|json| Results::read(&json)).transpose()?;
    let changes = old.map(|old| (old.date.clone(), change::between(&old, results)));
    let changes = changes.as_ref().map(|(date, changes)| (date.as_str(), changes));
    let summary = markdown::summary(results, changes);
    println!("{summary}");
    fs::create_dir_all(&options.out)?;
    let files = [
        ("report.html", html::page(results, changes).into_bytes()),
        ("report.md", summary.into_bytes()),
        ("report.json", serde_json::to_vec(results)?),
    ];
    for (name, bytes) in &files {
        fs::write(options.out.join(name), bytes)?;
    }
    println!("written to {}, .md and .json", options.out.join("report.html").display());
    if options.save {
        println!("kept in {}", readme::save(results, &files)?.display());
    }
    Ok(())
}
