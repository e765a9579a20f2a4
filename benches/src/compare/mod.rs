//! Whole stores compared: our handle on each of our stores, other libraries, and the bare clients, by
//! the same requests of an application.

mod bare;
mod burst;
mod candidate;
mod cost;
mod further;
mod histogram;
mod kind;
mod libraries;
mod library;
pub(crate) mod memory;
mod options;
mod place;
mod process;
mod report;
mod results;
mod run;
mod sessions;
mod slice;
mod wire;

use self::{options::Options, results::Results, run::Run};
use crate::{measure::Result, rounds::show};

/// Measures, and writes the report.
pub(crate) async fn run(words: impl Iterator<Item = String>) -> Result<()> {
    let options = Options::read(words)?;
    let results = match &options.report {
        Some(file) => Results::read(&std::fs::read(file)?)?,
        None => {
            let results = Run::start(&options).await?.measure().await?;
            show("");
            results
        }
    };
    report::write(&results, &options)
}
