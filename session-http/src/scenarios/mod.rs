//! What every adapter must do, as a list of scenarios: one list, and each adapter is driven by it.
//!
//! Implement [`Adapter`] for the framework: serve [`TestApp`] through the adapter's own middleware
//! and extractors. Then one line makes a test of each scenario:
//!
//! ```text
//! session_http::scenario_tests!(#[tokio::test], MyAdapter);
//! ```
//!
//! The sessions are in memory then. Other stores can be given by [`Stores`]: a scenario takes the
//! adapter and the stores, and says so where it needs what they do not have.
//!
//! Scenarios that prove a statement of the security checklist carry its number (`sec_03_…`).

#![expect(
    clippy::expect_used,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::future_not_send,
    reason = "this module is a test suite: its functions panic when a scenario fails, and return an \
              error where it has to be ignored"
)]

mod app;
mod bench;
mod browser;
pub mod cases;
mod place;
mod probe;

pub use app::TestApp;
pub use bench::Bench;
pub use browser::{Browser, Reply};
pub use place::{Ignored, InMemory, Place, Played, Stores, count};
pub use probe::{Counts, ProbedStore};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

use crate::WebSessions;

/// A framework with its adapter.
#[async_trait(?Send)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be driven by the scenarios",
    note = "implement `session_http::scenarios::Adapter` for it"
)]
pub trait Adapter {
    /// Serves `app` on every path, with sessions from `sessions`.
    ///
    /// The handler takes the session by the adapter's extractor, calls [`TestApp::handle`] with it
    /// and the path, and turns an error into a response in the adapter's usual way.
    ///
    /// Three routes have handlers of their own: that of `/exclusively/…` takes the session
    /// exclusively and calls [`TestApp::handle_exclusive`], that of `/reading/…` takes it read-only
    /// and calls [`TestApp::handle_read_only`], and that of `/guarded/…` takes the guard against
    /// forged requests besides the session.
    async fn serve(&self, sessions: WebSessions, app: TestApp) -> Box<dyn Server>;
}

/// A running application.
#[async_trait(?Send)]
pub trait Server {
    /// Sends a request through the middleware to the handler.
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes>;
}

/// The names of all scenarios, handed to a macro: `scenario_list!([my_macro] some tokens)` becomes
/// `my_macro! { some tokens => first_scenario second_scenario … }`.
#[macro_export]
macro_rules! scenario_list {
    ([$($then:tt)+] $($given:tt)*) => {
        $($then)+! { $($given)* =>
            a_handler_that_does_not_touch_its_session_costs_nothing
            reading_costs_one_load_and_writing_one_save
            the_session_is_saved_before_the_response_is_sent
            parallel_requests_keep_all_their_entries
            counting_in_parallel_counts_each_request
            a_server_error_gives_up_the_changes
            a_server_error_does_not_lose_a_rotation
            other_errors_keep_the_changes
            errors_tell_visitors_nothing
            the_error_page_is_yours
            sec_03_an_unknown_id_is_never_adopted
            sec_04_hostile_cookies_cost_nothing
            sec_06_a_key_presented_as_an_id_finds_nothing
            sec_09_ids_come_from_the_cookie_only
            sec_11_a_log_in_changes_the_id_and_ends_the_old_one
            a_log_in_that_is_sent_twice_leaves_its_user_logged_in
            sec_14_requests_with_a_rotated_id_go_on_for_a_grace
            sec_15_a_session_ends_by_the_stores_clock
            sec_16_activity_does_not_pass_the_absolute_deadline
            sec_18_a_log_out_is_done_before_the_response
            sec_19_a_request_in_flight_does_not_bring_a_session_back
            sec_24_unknown_ids_and_empty_log_outs_write_nothing
            sec_25_without_data_nothing_is_stored_and_no_cookie_is_set
            sec_30_the_cookie_goes_out_with_every_protection
            sec_35_a_persistent_cookie_is_renewed_with_the_session
            sec_36_what_depends_on_the_session_is_not_cached
            sec_37_a_log_out_clears_the_cookie_and_the_site_data
            sec_38_several_session_cookies_are_none
            sec_39_a_secure_cookie_keeps_off_plain_http
            sec_07_a_signed_id_is_accepted_and_a_forged_one_costs_nothing
            nodes_that_do_not_share_keys_can_tell
            keys_are_exchanged_without_logging_anybody_out
            signatures_come_to_a_live_fleet_without_logging_anybody_out
            a_rotated_id_is_not_signed_again
            sec_38_the_only_signed_cookie_is_picked_where_that_is_wanted
            sec_09_a_header_carries_the_id_where_that_is_configured
            sec_09_pages_and_apis_do_not_exchange_their_ids
            sec_36_the_cache_limiter_gives_way_to_the_cookie
            sec_35_a_remembered_session_outlives_pauses_and_not_its_deadline
            who_does_not_ask_for_it_is_not_remembered_for_the_one_before
            a_csrf_token_is_asked_for_checked_and_ended_by_a_log_in
            a_guarded_handler_needs_the_csrf_header
            a_message_is_shown_once
            an_exclusive_route_has_the_session_to_itself
            an_exclusive_route_can_let_go_before_its_response
            an_exclusive_route_gives_up_its_changes_when_it_fails
            sec_18_an_exclusive_route_can_log_out
            sec_24_an_exclusive_route_leaves_nothing_under_an_unknown_id
            sec_49_waiters_for_a_session_are_bounded_and_told_to_come_back
            a_read_only_route_writes_nothing
            z02_a_store_that_is_down_refuses_and_loses_nothing
            z03_no_cookie_is_issued_when_the_store_is_down
        }
    };
}

/// One test for each scenario, on a store in memory: `scenario_tests!(#[tokio::test], MyAdapter)`.
#[macro_export]
macro_rules! scenario_tests {
    (#[$test:meta], $adapter:expr) => {
        $crate::scenario_list! { [$crate::scenario_tests] @each #[$test] $adapter }
    };
    (@each #[$test:meta] $adapter:expr => $($name:ident)*) => {
        $(
            #[$test]
            async fn $name() {
                let stores = $crate::scenarios::InMemory;
                let played = $crate::scenarios::cases::$name(&$adapter, &stores).await;
                assert_eq!(played, Ok(()));
            }
        )*
    };
}
