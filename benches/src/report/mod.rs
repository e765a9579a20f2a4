//! What is printed, and what is kept.

mod markdown;

use std::fs;

use serde::Serialize;

use crate::{
    findings::{Burst, Cost, Verdict},
    machine::Machine,
    measure::{Operation, Result},
    options::Options,
    rounds::Series,
};

/// What was compared, on what.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Facts {
    pub(crate) title: &'static str,
    pub(crate) server: String,
    pub(crate) crates: Vec<(&'static str, String)>,
    pub(crate) left_out: Vec<(&'static str, &'static str)>,
    pub(crate) payload: usize,
    pub(crate) sessions: usize,
}

/// Everything that was found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) facts: Facts,
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    pub(crate) series: Vec<Series>,
    pub(crate) costs: Vec<Cost>,
    pub(crate) bursts: Vec<Burst>,
    pub(crate) verdicts: Vec<Verdict>,
    /// Further tables, each with its title.
    pub(crate) tables: Vec<Table>,
    /// With which operation's bare command one is compared.
    #[serde(skip)]
    baseline: fn(Operation) -> Operation,
}

/// A table of its own.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Table {
    pub(crate) title: &'static str,
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Report {
    pub(crate) fn new(facts: Facts, baseline: fn(Operation) -> Operation) -> Self {
        Self {
            facts,
            machine: Machine::look(),
            rounds: 0,
            series: Vec::new(),
            costs: Vec::new(),
            bursts: Vec::new(),
            verdicts: Vec::new(),
            tables: Vec::new(),
            baseline,
        }
    }

    /// Prints it, and writes it as Markdown and, with every sample, as JSON.
    pub(crate) fn finish(mut self, options: &Options, name: &str) -> Result<()> {
        self.machine.look_again();
        self.rounds = options.rounds();
        let text = markdown::whole(&self);
        println!("{text}");
        fs::create_dir_all(&options.out)?;
        let file = |suffix| options.out.join(format!("{name}.{suffix}"));
        fs::write(file("md"), text)?;
        fs::write(file("json"), serde_json::to_vec_pretty(&self)?)?;
        println!("written to {} and .json", file("md").display());
        Ok(())
    }
}
