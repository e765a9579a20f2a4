//! What the store does while servers die, hang, forget and move: real ones, under load.
//!
//! The choices of the load follow from a seed, which `SESSION_FAULT_SEED` replaces. Each case
//! prints what it has counted.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

mod cluster;
mod disturbances;
mod lost;
mod restarts;
mod sentinel;
mod soak;
mod support;
mod waiting;

use std::process::ExitCode;

use test_servers::{redis::Flavor, trial};

/// Tests that need a server of a flavor.
macro_rules! trials {
    ($($flavor:ident $words:expr => [$($module:ident: $($name:ident)*;)*])*) => {
        vec![$($($(trial(
            concat!(stringify!($module), "::", stringify!($name)),
            $words,
            Flavor::$flavor.missing(),
            $module::$name,
        )),*),*),*]
    };
}

fn main() -> ExitCode {
    if let Some(end) = soak::played_by_this_process() {
        return end;
    }
    let mut trials = trials! {
        Valkey &["valkey", "valkey-cluster"] => [
            cluster: a_killed_primary_costs_what_no_replica_had
                     a_stopped_primary_that_comes_back_brings_nothing_back
                     slots_and_primaries_that_move_reach_no_caller
                     what_is_sent_again_still_waits_for_its_replica;
        ]
        Redis &["redis", "redis-sentinel"] => [
            sentinel: a_killed_primary_costs_what_the_replica_had_not
                      a_stopped_primary_that_comes_back_brings_nothing_back
                      a_planned_failover_reaches_no_caller
                      a_connection_to_a_stopped_primary_ends_at_the_new_one;
        ]
        Redis &["redis"] => [
            lost: each_write_whose_reply_is_lost_happens_once
                  a_reply_lost_to_a_successor_leaves_his_lock_alone
                  a_black_hole_ends_by_the_deadline
                  a_refused_connection_is_told_fast
                  a_slow_network_is_only_slow
                  connections_cut_at_random_lose_and_double_nothing;
            restarts: what_was_fsynced_is_there_after_a_crash
                      a_crash_may_cost_the_last_second
                      without_persistence_sessions_are_absent
                      a_server_restored_from_a_snapshot_refuses_what_was_read_before
                      a_stopped_server_is_a_typed_error_and_what_was_sent_happens_once;
            disturbances: forgotten_scripts_reach_no_caller
                          killed_connections_reach_no_caller
                          a_primary_that_is_a_replica_for_a_while_reaches_no_caller
                          a_full_server_refuses_writes_and_tells_so;
            waiting: a_lost_subscription_is_made_again
                     waiters_in_line_outlive_a_restart;
            soak: sessions_that_come_and_go_leave_nothing_behind;
        ]
    };
    trials.push(trial(
        "lost::a_save_without_a_script_whose_reply_is_lost_happens_once",
        &["valkey", "new-valkey"],
        Flavor::Valkey.missing_comparison(),
        lost::a_save_without_a_script_whose_reply_is_lost_happens_once,
    ));
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}
