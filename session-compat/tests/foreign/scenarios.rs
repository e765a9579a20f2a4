//! The scenarios of `session-http` that a foreign framework can play, on every kind of store, and why
//! the others are not for it.

use std::collections::BTreeMap;

use libtest_mimic::{Completion, Trial};

use crate::framework::{Foreign, Framework};

const NO_UPDATE: &str = "the framework has no read-modify-write; see fifty_parallel_requests_…";
const NO_POLICY: &str = "the framework decides what is saved with which status";
const NO_ERRORS: &str = "the framework answers a failed session with a bare 500; see a_store_…";
const OWN_COOKIE: &str = "the framework writes and reads the cookie";
const OWN_IDS: &str = "asks with ids of our own form; see with_an_unknown_id_…";
const NO_CACHING: &str = "the framework sets no cache headers";
const NO_GRACE: &str = "the framework deletes the old session before it stores the new one";
const IN_FLIGHT: &str = "asks for 409; see a_log_out_wins_…";
const EAGER: &str = "actix-session reads every session before the handler runs";
const UNSAVED: &str = "tower-sessions deletes the id of a session that was never stored";

const OWN_FEATURE: &str = "asks for what `session-http` has beyond the frameworks";

/// What both frameworks can do, as far as [`reason`] does not say otherwise.
const PLAYED: &[&str] = &[
    "a_handler_that_does_not_touch_its_session_costs_nothing",
    "other_errors_keep_the_changes",
    "parallel_requests_keep_all_their_entries",
    "reading_costs_one_load_and_writing_one_save",
    "sec_03_an_unknown_id_is_never_adopted",
    "sec_04_hostile_cookies_cost_nothing",
    "sec_09_ids_come_from_the_cookie_only",
    "sec_11_a_log_in_changes_the_id_and_ends_the_old_one",
    "sec_15_a_session_ends_by_the_stores_clock",
    "sec_16_activity_does_not_pass_the_absolute_deadline",
    "sec_18_a_log_out_is_done_before_the_response",
    "sec_25_without_data_nothing_is_stored_and_no_cookie_is_set",
    "the_session_is_saved_before_the_response_is_sent",
];

macro_rules! names {
    ($($name:ident)*) => { &[$(stringify!($name)),*] };
    (=> $($name:ident)*) => { names![$($name)*] };
}

/// All of them.
const NAMES: &[&str] = session_http::scenario_list!([names]);

/// Why a scenario is not for a framework.
fn reason(framework: Framework, scenario: &str) -> Option<&'static str> {
    let reason = match scenario {
        "counting_in_parallel_counts_each_request" => NO_UPDATE,
        "a_server_error_gives_up_the_changes" | "a_server_error_does_not_lose_a_rotation" => {
            NO_POLICY
        }
        "errors_tell_visitors_nothing"
        | "the_error_page_is_yours"
        | "z02_a_store_that_is_down_refuses_and_loses_nothing"
        | "z03_no_cookie_is_issued_when_the_store_is_down" => NO_ERRORS,
        "sec_30_the_cookie_goes_out_with_every_protection"
        | "sec_35_a_persistent_cookie_is_renewed_with_the_session"
        | "sec_37_a_log_out_clears_the_cookie_and_the_site_data"
        | "sec_38_several_session_cookies_are_none"
        | "sec_39_a_secure_cookie_keeps_off_plain_http" => OWN_COOKIE,
        "sec_06_a_key_presented_as_an_id_finds_nothing"
        | "sec_24_unknown_ids_and_empty_log_outs_write_nothing" => OWN_IDS,
        "sec_36_what_depends_on_the_session_is_not_cached" => NO_CACHING,
        "sec_14_requests_with_a_rotated_id_go_on_for_a_grace" => NO_GRACE,
        "sec_19_a_request_in_flight_does_not_bring_a_session_back" => IN_FLIGHT,
        "a_handler_that_does_not_touch_its_session_costs_nothing" if !framework.is_tower() => EAGER,
        "sec_25_without_data_nothing_is_stored_and_no_cookie_is_set" if framework.is_tower() => {
            UNSAVED
        }
        scenario if PLAYED.contains(&scenario) => return None,
        _ => OWN_FEATURE,
    };
    Some(reason)
}

fn settings(framework: Framework, scenario: &str) -> Foreign {
    let foreign = Foreign::new(framework);
    // By default reading is no activity to either framework.
    if scenario == "sec_15_a_session_ends_by_the_stores_clock" {
        foreign.extending()
    } else {
        foreign
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let of = |framework: Framework| {
        let played = test_stores::scenarios(&format!("{framework}::scenarios::"), move |name| {
            reason(framework, name).is_none().then(|| settings(framework, name))
        });
        left_out(framework).into_iter().chain(played)
    };
    Framework::ALL.into_iter().flat_map(of).collect()
}

/// Names what is left out on every store, once for each reason.
fn left_out(framework: Framework) -> Vec<Trial> {
    let mut by_reason = BTreeMap::<_, Vec<&str>>::new();
    for name in NAMES {
        if let Some(reason) = reason(framework, name) {
            by_reason.entry(reason).or_default().push(name);
        }
    }
    let trial = |(reason, names): (&str, Vec<&str>)| {
        let reason = format!("{reason}: {}", names.join(", "));
        let called = format!("{framework}::scenarios::not_for_it");
        Trial::ignorable_test(called, move || Ok(Completion::ignored_with(reason)))
    };
    by_reason.into_iter().map(trial).collect()
}
