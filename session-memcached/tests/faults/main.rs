//! What the store does while servers die, hang, forget and talk nonsense: real ones, under load.
//!
//! The choices of the load follow from a seed, which `SESSION_FAULT_SEED` replaces. Each case
//! prints what it has counted.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

mod cancelled;
mod forgotten;
mod garbage;
mod lost;
mod outages;
mod support;

use std::process::ExitCode;

use test_servers::{
    memcached::{Options, Server},
    trial,
};

/// Tests that need a server.
macro_rules! trials {
    ($words:expr => [$($module:ident: $($name:ident)*;)*]) => {
        vec![$($(trial(
            concat!(stringify!($module), "::", stringify!($name)),
            $words,
            Server::missing(&Options::new()),
            $module::$name,
        )),*),*]
    };
}

fn main() -> ExitCode {
    let trials = trials! {
        &["memcached"] => [
            lost: each_write_whose_reply_is_lost_happens_once
                  a_black_hole_ends_by_the_deadline
                  a_refused_connection_is_told_fast
                  connections_cut_at_random_lose_and_double_nothing;
            forgotten: a_flushed_server_brings_nothing_back
                       evicted_sessions_are_absent_and_others_whole
                       a_server_that_evicts_nothing_says_that_it_is_full
                       a_restarted_server_is_not_taken_for_the_old_one
                       a_server_with_old_data_refuses_what_was_read_elsewhere;
            outages: one_of_three_that_is_killed_costs_its_share_only
                     with_a_failover_the_next_server_takes_over
                     a_stopped_server_is_a_typed_error_and_what_was_sent_happens_once
                     restarts_under_load_lose_sessions_and_nothing_else;
            cancelled: calls_that_go_away_shift_no_replies;
            garbage: nonsense_ends_the_connection_and_no_caller_hangs
                     a_reply_to_somebody_else_is_not_taken;
        ]
    };
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}
