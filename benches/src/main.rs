//! The benchmark harness; see `README.md`.

mod findings;
mod machine;
mod measure;
mod memcached;
mod options;
mod peers;
mod php;
mod redis;
mod report;
mod rounds;
mod setup;
mod sql;
mod web;

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
    let benchmark = words.next().unwrap_or_default();
    let options = Options::read(words)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(WORKERS).enable_all().build()?;
    match benchmark.as_str() {
        "memcached" => runtime.block_on(memcached::run(&options)),
        "php" => php::run(&options),
        "redis" => runtime.block_on(redis::run(&options)),
        "sql" => runtime.block_on(sql::run(&options)),
        "web" => runtime.block_on(web::run(&options)),
        _ => Err(USAGE.into()),
    }
}
