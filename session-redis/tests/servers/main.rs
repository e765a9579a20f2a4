//! What the store does with a real server, beyond the contract.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

mod counts;
mod expiry;
mod memory;
#[cfg(feature = "php")]
mod php;
mod replies;
mod rights;
mod support;
mod swaps;
mod trust;
mod waiting;

use std::process::ExitCode;

use swaps::{compared, scripted};
use test_servers::{
    redis::{Flavor, Options, Server},
    trial,
};

/// Tests that need a server.
macro_rules! trials {
    ($words:expr, $missing:expr => $($module:ident: $($name:ident)*;)*) => {
        vec![$($(trial(
            concat!(stringify!($module), "::", stringify!($name)),
            $words,
            $missing,
            $module::$name,
        )),*),*]
    };
}

fn main() -> ExitCode {
    let mut trials = trials! { &["redis"], Flavor::Redis.missing() =>
        counts: a_read_is_one_round_trip
                a_new_session_is_one_without_a_script
                an_unlocked_change_is_two
                a_locked_cycle_is_two
                a_touch_is_one
                an_untouched_session_costs_nothing
                a_session_that_is_only_read_costs_its_read;
        expiry: no_save_and_no_touch_passes_the_absolute_deadline
                no_key_is_ever_without_an_expiry
                a_lapsed_lease_on_an_absent_key_is_still_held
                a_record_without_an_end_says_so;
        memory: a_full_server_refuses_saves_and_nothing_else
                an_epoch_is_never_evicted_with_what_expires
                an_evicted_session_is_absent;
        replies: a_save_that_is_repeated_takes_effect_once
                 a_refusal_needs_no_replica
                 a_url_of_the_wrong_kind_is_told_at_once;
        rights: without_channels_waiters_poll
                a_wrong_password_is_told_and_not_repeated
                the_rights_in_the_readme_are_enough
                the_rights_in_the_readme_are_enough_in_a_cluster
                the_rights_in_the_readme_are_enough_behind_sentinel;
        scripted: a_change_of_what_was_read_takes_a_small_script
                  the_tokens_of_earlier_commits_are_kept
                  what_has_changed_since_is_for_the_whole_script
                  a_principal_gets_its_session_into_its_list
                  a_save_lives_as_long_as_it_says
                  a_short_life_is_for_the_whole_script;
        waiting: a_waiter_is_woken_by_the_release
                 a_waiter_is_woken_by_a_commit_and_by_a_log_out
                 waiters_leave_no_channel_behind
                 waiters_that_go_together_leave_no_channel_behind
                 nobody_waits_nobody_is_told;
    };
    trials.extend(trials! { &["valkey", "new-valkey"], Flavor::Valkey.missing_comparison() =>
        compared: a_change_of_what_was_read_takes_no_script
                  the_tokens_of_earlier_commits_are_kept
                  what_has_changed_since_is_for_the_whole_script
                  a_principal_gets_its_session_into_its_list
                  a_save_lives_as_long_as_it_says
                  a_short_life_is_for_the_whole_script;
    });
    trials.push(trial(
        "trust::only_a_trusted_certificate_is_taken",
        &["redis"],
        Server::missing(&Options::redis().tls()),
        trust::only_a_trusted_certificate_is_taken,
    ));
    #[cfg(feature = "php")]
    trials.extend(php_trials());
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}

/// Tests that need PHP with phpredis as well.
#[cfg(feature = "php")]
fn php_trials() -> Vec<libtest_mimic::Trial> {
    macro_rules! trials {
        ($($name:ident)*) => {
            vec![$(trial(
                concat!("php::", stringify!($name)),
                &["redis", "php"],
                Flavor::Redis.missing().or_else(|| test_servers::php::missing(&["redis"])),
                php::$name,
            )),*]
        };
    }
    trials![
        a_lock_that_php_leaves_on_the_wrong_host_is_respected_until_it_ends
        php_refuses_to_write_once_its_lock_was_taken
        a_page_without_lock_expire_brings_a_deleted_session_back
        an_id_that_is_the_name_of_a_lock_is_refused
    ]
}
