//! What only a server can tell: requests, their cost, refusals; and what the store does while DynamoDB
//! throttles, fails and loses answers.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

mod aside;
mod costs;
mod counts;
mod faults;
#[cfg(feature = "php")]
mod php;
#[cfg(feature = "php")]
mod php_faults;
mod principals;
mod refusals;
mod support;

use std::process::ExitCode;

use test_servers::{dynamodb::Server, trial};

/// Tests that need a server.
macro_rules! trials {
    ($($module:ident: $($name:ident)*;)*) => {
        vec![$($(trial(
            concat!(stringify!($module), "::", stringify!($name)),
            &["dynamodb"],
            Server::missing(),
            $module::$name,
        )),*),*]
    };
}

fn main() -> ExitCode {
    #[cfg_attr(not(feature = "php"), expect(unused_mut, reason = "PHP's come on top"))]
    let mut trials = trials! {
        aside: each_operation_is_as_few_requests_as_there_can_be
               a_commit_that_comes_after_its_lock_was_taken_over_is_refused
               a_write_in_doubt_leaves_its_lock_to_be_taken_over
               who_saves_waits_for_another_write_and_not_for_a_holder
               a_table_that_was_used_the_other_way_is_refused
               locks_cost_two_units_whatever_the_size;
        costs: units_of_a_request_by_size
               a_large_session_of_text_is_billed_by_what_it_shrinks_to;
        counts: each_operation_is_one_request
                each_operation_under_a_lease_is_one_request
                what_dynamodb_cannot_judge_takes_two
                there_are_no_other_operations_than_the_four
                a_waiter_reads_and_does_not_write
                the_segments_of_a_sweep_take_turns;
        faults: each_write_whose_answer_is_lost_happens_once
                each_write_whose_answer_is_lost_happens_once_aside
                throttling_is_waited_out_without_more_requests_than_needed
                a_table_that_throttles_for_ever_is_told_by_the_deadline
                a_table_that_throttled_and_then_hangs_is_told_as_both
                a_black_hole_ends_by_the_deadline
                an_answer_without_an_end_is_given_up_at_the_deadline
                a_sweep_keeps_its_pace_and_ends_with_its_budget
                faults_at_random_lose_and_double_nothing
                faults_at_random_lose_and_double_nothing_aside
                clocks_that_are_far_apart_lose_nothing
                clocks_that_are_far_apart_lose_nothing_aside
                what_expires_while_a_write_is_repeated_does_not_come_back
                a_lease_that_is_over_is_not_granted
                the_end_of_an_expired_record_is_not_that_of_a_lease
                an_item_that_is_not_ours_stays
                an_item_that_changed_since_the_scan_stays;
        principals: epochs_need_no_index_and_lists_do
                    an_index_adds_queries_and_nothing_else
                    an_index_that_is_not_there_is_told;
        refusals: a_table_that_is_not_there_is_told
                  a_table_with_another_key_is_told
                  credentials_that_are_refused_are_told_at_once
                  credentials_that_come_late_are_waited_for
                  a_client_that_is_handed_over_keeps_its_endpoint
                  nobody_at_the_endpoint_is_told
                  a_table_is_made_with_its_expiry_and_stays_when_it_is_there;
    };
    #[cfg(feature = "php")]
    trials.extend(trials! {
        php: every_captured_item_is_the_session_that_php_stored
             what_this_side_stores_is_what_php_stores
             php_and_this_side_exclude_each_other
             a_page_that_waited_in_vain_takes_session_and_lock
             a_string_takes_text_only;
        php_faults: a_write_whose_answer_is_lost_happens_once_and_is_in_doubt
                    what_may_be_done_twice_is_no_matter_of_doubt
                    faults_at_random_lose_and_double_nothing
                    clocks_that_are_far_apart_lose_nothing
                    clocks_that_are_apart_as_allowed_take_no_lock;
    });
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}
