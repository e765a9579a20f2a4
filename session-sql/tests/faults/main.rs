//! What the store does while servers die, hang, refuse and move: real ones, under load.
//!
//! The choices of the load follow from a seed, which `SESSION_FAULT_SEED` replaces. Each case
//! prints what it has counted.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

mod cancelled;
mod disturbances;
mod failover;
mod lost;
mod restarts;
mod soak;
mod sqlite;
mod support;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use test_servers::{
    TestResult,
    sql::{Flavor, Options, Server},
    trial,
};

const ALL: &[Flavor] = &[Flavor::MariaDb, Flavor::MySql, Flavor::Postgres];
/// MySQL takes its time to start and to recover.
const QUICK: &[Flavor] = &[Flavor::MariaDb, Flavor::Postgres];

fn words(flavor: Flavor) -> &'static [&'static str] {
    match flavor {
        Flavor::MariaDb => &["mariadb"],
        Flavor::MySql => &["mysql"],
        _ => &["postgres"],
    }
}

/// One test for each of the databases.
fn of<F>(flavors: &[Flavor], name: &str, test: fn(Flavor) -> F) -> impl Iterator<Item = Trial>
where
    F: Future<Output = TestResult> + 'static,
{
    flavors.iter().map(move |&flavor| {
        let missing = Server::missing(&Options::new(flavor));
        let name = format!("{}::{name}", flavor.name());
        trial(name, words(flavor), missing, move || test(flavor))
    })
}

macro_rules! trials {
    ($($module:ident on $flavors:expr => $($name:ident)*;)*) => {{
        let mut all = Vec::new();
        $($(all.extend(of(
            $flavors,
            concat!(stringify!($module), "::", stringify!($name)),
            $module::$name,
        ));)*)*
        all
    }};
}

fn main() -> ExitCode {
    if let Some(end) = sqlite::played_by_this_process() {
        return end;
    }
    let mut trials = trials! {
        soak on QUICK =>
            whatever_happens_what_was_told_is_true;
        disturbances on ALL =>
            killed_connections_reach_no_caller
            a_table_that_is_altered_meanwhile_reaches_no_caller;
        disturbances on QUICK =>
            a_server_that_takes_no_writes_for_a_while_reaches_no_caller
            a_server_with_too_many_connections_is_told;
        restarts on ALL =>
            what_was_acknowledged_is_there_after_a_crash;
        restarts on QUICK =>
            an_orderly_restart_loses_nothing
            a_stopped_server_is_a_typed_error_and_what_was_sent_happens_once;
        failover on QUICK =>
            a_server_that_takes_no_writes_is_a_typed_error_in_time
            the_store_goes_on_where_the_name_leads;
        lost on ALL =>
            each_write_whose_reply_is_lost_happens_once;
        lost on QUICK =>
            a_reply_lost_to_a_successor_leaves_his_lock_alone
            who_lost_a_request_and_the_race_is_told_for_certain
            a_session_merges_although_requests_are_lost
            a_black_hole_ends_by_the_deadline
            an_operation_has_one_deadline
            a_refused_connection_is_told_fast
            a_slow_network_is_only_slow
            connections_cut_at_random_lose_and_double_nothing;
        cancelled on ALL =>
            futures_that_are_dropped_take_no_connection_and_no_commit;
    };
    trials.push(trial(
        "sqlite::what_was_acknowledged_is_there_after_a_kill",
        &["sqlite"],
        None,
        sqlite::what_was_acknowledged_is_there_after_a_kill,
    ));
    let mut arguments = Arguments::from_args();
    // They wait for servers and for time to pass.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    libtest_mimic::run(&arguments, trials).exit_code()
}
