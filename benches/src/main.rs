//! The benchmark harness; see `README.md`.

mod compare;
mod dynamo;
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
mod stored;
mod web;

use std::{env, process::ExitCode};

use crate::{
    measure::Result,
    options::{Options, USAGE},
};

/// The comparison of whole stores, which is what is run unless another is named.
const STORES: &str = "stores";
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
    let mut words = env::args().skip(1).peekable();
    let names_one = |word: &String| !word.starts_with('-');
    let benchmark = words.next_if(names_one).unwrap_or_else(|| STORES.to_owned());
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(WORKERS).enable_all().build()?;
    if benchmark == STORES {
        return runtime.block_on(compare::run(words));
    }
    if benchmark == compare::memory::WORD {
        return runtime.block_on(compare::memory::report(words));
    }
    let options = Options::read(words)?;
    match benchmark.as_str() {
        "dynamo" => runtime.block_on(dynamo::run(&options)),
        "memcached" => runtime.block_on(memcached::run(&options)),
        "php" => php::run(&options),
        "redis" => runtime.block_on(redis::run(&options)),
        "sql" => runtime.block_on(sql::run(&options)),
        "web" => runtime.block_on(web::run(&options)),
        _ => Err(USAGE.into()),
    }
}
