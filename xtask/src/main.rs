//! The project's own commands.
//!
//! `cargo xtask test` installs what the tests need and is missing, runs every check, and ends with
//! one line: `N passed, N failed, N skipped`. [`steps`] lists what it does, in order.
#![expect(clippy::print_stdout, reason = "a command line program talks through its output")]

mod bench;
mod conformance;
mod counts;
mod deny;
mod features;
mod fetch;
mod process;
mod programs;
mod report;
mod setup;
mod steps;
#[cfg(test)]
mod tidy;
mod workspace;

use std::{env, process::ExitCode};

use steps::Scope;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  setup           install what the tests need and is missing (Debian packages, MySQL, PgBouncer, DynamoDB Local, cargo-deny)
  test            set up, then run every check and test
  test --quick    format, lints and tests only; no installation, no browser
  fetch-servers   unpack the newest Redis, Valkey, MySQL and PgBouncer, and DynamoDB Local, into the target folder
  bench           all our stores beside other libraries and bare clients: a report in target/bench; `--help` lists options
  bench dynamo    our DynamoDB store beside the bare SDK, and what pages consume; `--help` lists options
  bench memcached our Memcached store beside one socket and other crates; `--help` lists options
  bench php       our reading and writing of PHP's sessions beside PHP's own; `--help` lists options
  bench redis     our Redis store beside bare commands and other crates; `--help` lists options
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["setup"] => steps::run(Scope::Setup),
        ["test"] => steps::run(Scope::Everything),
        ["test", "--quick"] => steps::run(Scope::Quick),
        ["fetch-servers"] => fetch::run(),
        ["bench", arguments @ ..] => bench::run(arguments),
        _ => {
            print!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
