//! Our codecs beside real PHP: the same bytes, the same refusals.
//!
//! `SESSION_PHP_SEED` is a number to draw from instead of 8, `SESSION_PHP_TIMES` multiplies how
//! much is drawn.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "in a test a panic is the report"
)]

#[cfg(any(feature = "igbinary", feature = "msgpack"))]
mod binary;
mod draw;
mod edits;
mod handle;
mod mutate;
mod php;
mod serde_values;
mod sessions;

use std::{env, process::ExitCode};

use fastrand::Rng;
use test_servers::{TestResult, php::missing, trial};

/// What a test draws from, and how much of it.
struct Run {
    name: &'static str,
    rng: Rng,
    cases: usize,
}

fn number(variable: &str, standard: u64) -> u64 {
    env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(standard)
}

/// Says how much was compared, so that a run that compared nothing is seen.
fn play(name: &'static str, cases: u64, test: fn(&mut Run) -> String) -> TestResult {
    let seed = number("SESSION_PHP_SEED", 8);
    let cases = usize::try_from(cases * number("SESSION_PHP_TIMES", 1))?;
    let mut run = Run { name, rng: Rng::with_seed(seed), cases };
    let found = test(&mut run);
    println!("{name}: {cases} drawn with seed {seed}: {found}");
    Ok(())
}

macro_rules! trials {
    ($($extension:literal: $($module:ident::$name:ident $cases:literal)*;)*) => {
        vec![$($(trial(
            concat!(stringify!($module), "::", stringify!($name)),
            &["php"],
            missing(&[$extension]),
            || async { play(stringify!($name), $cases, $module::$name) },
        )),*),*]
    };
}

fn main() -> ExitCode {
    #[cfg_attr(
        not(any(feature = "igbinary", feature = "msgpack")),
        expect(unused_mut, reason = "extensions add to it")
    )]
    let mut trials = trials! {
        "session": sessions::sessions_are_read_and_written_as_php_does 2500
                   sessions::floats_have_phps_digits 4000
                   mutate::what_php_refuses_is_refused_and_nothing_else 12000
                   edits::changes_give_phps_bytes 2000
                   handle::entries_are_set_and_removed_as_php_does 1500;
        "json": serde_values::values_are_what_php_says_they_are 1000;
    };
    #[cfg(feature = "igbinary")]
    trials.extend(trials! {
        "igbinary": binary::igbinary_is_read_and_written_as_the_extension_does 1500;
    });
    #[cfg(feature = "msgpack")]
    trials.extend(trials! {
        "msgpack": binary::msgpack_is_read_and_written_as_the_extension_does 1500;
    });
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}
