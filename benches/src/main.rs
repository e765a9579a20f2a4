//! The benchmark harness; see `README.md`.

mod machine;
mod measure;
mod options;
mod peers;
mod redis;
mod report;
mod rounds;

use std::{env, process::ExitCode};

use crate::{
    measure::Result,
    options::{Options, USAGE},
};

/// As many threads for every contender.
const WORKERS: usize = 2;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut words = env::args().skip(1);
    if words.next().as_deref() != Some("redis") {
        return Err(USAGE.into());
    }
    let options = Options::read(words)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(WORKERS).enable_all().build()?.block_on(redis::run(&options))
}
