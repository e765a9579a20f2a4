//! What the store does with a real database, beyond the contract.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

mod clock;
mod counts;
mod deadlocks;
mod listen;
mod locks;
mod packet;
mod pool;
mod rights;
mod support;
mod sweep;
mod values;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::Trial;
use test_servers::{TestResult, trial};

use crate::support::{Fleet, Ground, Kind};

/// One test for each of the databases.
fn of<F>(
    fleet: &Arc<Fleet>,
    kinds: &[Kind],
    name: &str,
    test: fn(Ground) -> F,
) -> impl Iterator<Item = Trial>
where
    F: Future<Output = TestResult> + 'static,
{
    kinds.iter().map(move |kind| {
        let ground = Ground { fleet: Arc::clone(fleet), kind: *kind };
        let name = format!("{}::{name}", kind.name());
        trial(name, kind.words(), kind.missing(), move || test(ground))
    })
}

macro_rules! trials {
    ($fleet:ident; $($module:ident on $kinds:expr => $($name:ident)*;)*) => {{
        let mut all = Vec::new();
        $($(all.extend(of(
            $fleet,
            $kinds,
            concat!(stringify!($module), "::", stringify!($name)),
            $module::$name,
        ));)*)*
        all
    }};
}

fn main() -> ExitCode {
    if let Some(end) = clock::played_by_this_process() {
        return end;
    }
    sqlx::any::install_default_drivers();
    // The servers end with the last handle, not with the process.
    let trials = trials(&Arc::new(Fleet::default()));
    let mut arguments = libtest_mimic::Arguments::from_args();
    // They wait for servers and for time to pass.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials(fleet: &Arc<Fleet>) -> Vec<Trial> {
    let mut trials = trials! {
        fleet;
        clock on Kind::ALL =>
            deadlines_do_not_know_time_zones;
        clock on Kind::MYSQLS =>
            clocks_that_are_put_back_change_no_deadline;
        counts on Kind::SERVERS =>
            each_verb_is_one_statement
            a_locked_cycle_is_as_few_as_the_engine_allows
            requests_cost_what_the_store_does_for_them
            a_creation_in_the_place_of_what_has_expired
            a_touch_is_one_more;
        deadlocks on Kind::SERVERS =>
            who_waits_for_anothers_transaction_is_told_in_time
            a_wait_that_the_server_ends_is_begun_again
            a_victim_of_a_deadlock_tries_again
            creators_of_one_key_get_along;
        deadlocks on Kind::MYSQLS =>
            who_waits_for_a_table_does_not_wait_on_when_he_has_gone;
        listen on Kind::POSTGRES =>
            a_burst_of_requests_is_told_and_does_not_poll
            who_is_not_told_any_more_polls_and_listens_again
            nobody_listens_where_nobody_waits
            a_lock_that_nobody_waits_for_is_freed_quietly;
        locks on Kind::ALL =>
            what_cannot_be_read_is_not_left_locked
            locks_without_a_record_are_all_swept;
        packet on Kind::MYSQLS =>
            what_the_server_does_not_take_is_refused_before_it_is_sent;
        pool on Kind::ALL =>
            one_connection_serves_fifty_requests
            who_waits_for_a_lock_holds_no_connection
            requests_that_are_dropped_cost_no_connection;
        rights on Kind::SERVERS =>
            the_rights_in_the_readme_are_enough
            rights_that_are_missing_are_told;
        sweep on Kind::ALL =>
            two_sweepers_and_four_writers_do_not_disturb_each_other
            the_oldest_go_first
            sessions_that_come_and_go_leave_no_row_behind;
        sweep on Kind::SERVERS =>
            a_row_that_is_locked_is_passed_over
            a_row_that_is_locked_is_passed_over_among_few;
        values on Kind::ALL =>
            keys_that_differ_in_one_bit_are_different_sessions
            leases_and_principals_that_differ_in_one_bit_are_different
            every_byte_comes_back;
        values on Kind::MYSQLS =>
            what_does_not_fit_is_refused_and_not_cut_short
            a_server_that_commits_nothing_by_itself_is_told_to;
    };
    trials.extend(Kind::SERVERS.iter().map(|kind| of_two_clocks(fleet, *kind)));
    trials
}

/// The other process is under another clock by a program that may be missing.
fn of_two_clocks(fleet: &Arc<Fleet>, kind: Kind) -> Trial {
    let name =
        format!("{}::clock::a_client_whose_clock_is_wrong_sees_the_same_deadlines", kind.name());
    let ground = Ground { fleet: Arc::clone(fleet), kind };
    let missing = kind.missing().or_else(clock::missing);
    trial(name, kind.words(), missing, || {
        clock::a_client_whose_clock_is_wrong_sees_the_same_deadlines(ground)
    })
}
