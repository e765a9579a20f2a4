//! Our state machine beside real PHP: the same calls of the save handler, results, messages and headers.
//!
//! `SESSION_PHP_SEED` is a number to draw from instead of 8, `SESSION_PHP_TIMES` multiplies how much is
//! drawn.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "in a test a panic is the report"
)]

mod draw;
mod logged;
mod ours;
mod php;
mod scripts;
mod settings;
mod statements;

use std::{env, process::ExitCode};

use libtest_mimic::Trial;
use test_servers::{TestResult, php::missing, trial};

fn number(variable: &str, standard: u64) -> u64 {
    env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(standard)
}

macro_rules! trials {
    ($($module:ident::$name:ident $cases:literal)*) => {
        vec![$(of_php(concat!(stringify!($module), "::", stringify!($name)), || async {
            let seed = number("SESSION_PHP_SEED", 8);
            let cases = usize::try_from($cases * number("SESSION_PHP_TIMES", 1))?;
            let found = $module::$name(fastrand::Rng::with_seed(seed), cases).await?;
            println!("{}: {cases} drawn with seed {seed}: {found}", stringify!($name));
            Ok(())
        })),*]
    };
}

fn of_php<F>(name: &str, test: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = TestResult>,
{
    trial(name, &["php"], missing(&["session"]), test)
}

fn main() -> ExitCode {
    let mut trials = trials! {
        scripts::scripts_run_as_they_do_in_php 3000
        settings::settings_are_read_as_php_reads_them 20000
    };
    trials.push(of_php("statements::php_does_what_the_documents_state", || async {
        let count = statements::php_does_what_the_documents_state().await?;
        println!("php_does_what_the_documents_state: {count} statements");
        Ok(())
    }));
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}
