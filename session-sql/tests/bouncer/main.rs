//! The store behind PgBouncer.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

mod others;
mod support;
mod work;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use test_servers::{TestResult, sql::PgBouncer, trial};

use crate::support::Setup;

/// One test for each way to set it up.
fn of<F>(setups: &'static [Setup], name: &str, test: fn(Setup) -> F) -> impl Iterator<Item = Trial>
where
    F: Future<Output = TestResult> + 'static,
{
    setups.iter().map(move |setup| {
        let (name, setup) = (format!("{}::{name}", setup.name()), *setup);
        trial(name, &["postgres", "pgbouncer"], PgBouncer::missing(), move || test(setup))
    })
}

macro_rules! trials {
    ($($module:ident on $setups:expr => $($name:ident)*;)*) => {{
        let mut all = Vec::new();
        $($(all.extend(of($setups, stringify!($name), $module::$name));)*)*
        all
    }};
}

fn main() -> ExitCode {
    let trials = trials! {
        work on Setup::ALL =>
            every_verb_works
            many_on_two_connections_lose_nothing
            who_waits_for_a_lock_asks_for_it
            a_restart_is_survived;
        others on Setup::ALL =>
            statements_of_others_are_not_taken_for_ours
            statements_are_prepared_where_the_pooler_keeps_track;
    };
    let mut arguments = Arguments::from_args();
    // They wait for servers and for time to pass.
    arguments.test_threads.get_or_insert(2);
    libtest_mimic::run(&arguments, trials).exit_code()
}
