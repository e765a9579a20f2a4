//! The suite bites: every broken store is caught by the cases that are meant to catch it, and by
//! nothing but its being broken.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may")]

use std::{collections::BTreeSet, sync::Arc};

use session_conformance::{
    Case, MemoryBackend, Verdict,
    broken::{self, BrokenBackend, BrokenStore},
    cases, run_case,
};
use tokio::sync::Semaphore;

/// Most of them wait, so that many can run at a time.
const AT_A_TIME: usize = 48;

/// Cases without a broken store here, and where they are shown to bite.
const PROVEN_ELSEWHERE: [(&str, &str); 38] = [
    ("C15_hostile_ids_never_reach_backend", "decided before there is a key"),
    ("C20_corrupt_record_is_typed_error", "src/proof/sealed.rs"),
    ("C21_corrupt_record_not_overwritten_by_touch", "src/proof/sealed.rs"),
    ("C30_partial_record_is_not_a_session", "src/proof/sealed.rs"),
    ("E26_clock_skew_between_nodes", "src/proof/sealed.rs"),
    ("L39_skewed_client_clock_cannot_steal", "src/proof/sealed.rs"),
    ("L44_pool_of_one_connection_does_not_self_deadlock", "src/proof/sealed.rs"),
    ("SEC-05_raw_id_appears_nowhere_in_the_backend", "src/proof/sealed.rs"),
    ("SEC-05_raw_id_of_a_session_appears_nowhere_in_the_backend", "src/proof/sealed.rs"),
    ("C21_damaged_record_is_left_by_the_handle", "src/proof/sealed.rs"),
    ("C22_old_schema_record_reads", BY_THE_HANDLE),
    ("C24_unmodified_session_is_not_rewritten", BY_THE_HANDLE),
    ("C25_in_place_mutation_is_saved", BY_THE_HANDLE),
    ("C26_set_then_remove_same_key_nets_out", BY_THE_HANDLE),
    ("C26_changes_taken_back_under_the_lock_net_out", BY_THE_HANDLE),
    (
        "L19_retry_closure_converges",
        "a race that a store without revisions loses often, not always",
    ),
    ("L19_update_sees_what_was_saved_last", BY_THE_HANDLE),
    ("L21_renewal_stops_with_the_lock", BY_THE_HANDLE),
    ("L30_look_at_a_lagging_replica_begins_no_session", BY_THE_HANDLE),
    ("L40_session_locked_before_it_exists_keeps_all_changes", BY_THE_HANDLE),
    ("SEC-11_log_in_changes_the_id_at_once", BY_THE_HANDLE),
    ("SEC-14_old_ids_are_renewed_once_however_many_ask", BY_THE_HANDLE),
    ("SEC-21_revocation_races_with_log_ins_and_rotations", BY_THE_HANDLE),
    ("SEC-21_all_but_the_present_session_end", BY_THE_HANDLE),
    ("SEC-21_without_a_list_sessions_are_refused", BY_THE_HANDLE),
    ("SEC-21_without_an_index_users_sessions_are_refused", BY_THE_HANDLE),
    ("SEC-22_a_handle_ends_its_own_session_only", BY_THE_HANDLE),
    ("SEC-49_racing_log_ins_keep_to_the_limit", BY_THE_HANDLE),
    ("SEC-12_failure_between_rotation_steps", BY_THE_HANDLE),
    ("SEC-25_session_without_data_is_not_stored", BY_THE_HANDLE),
    ("SEC-26_log_in_time_survives", BY_THE_HANDLE),
    ("SEC-44_events_show_no_secret", BY_THE_HANDLE),
    ("Z05_handle_learns_what_came_of_a_rotation", BY_THE_HANDLE),
    ("Z05_handle_says_when_every_reply_is_lost", BY_THE_HANDLE),
    ("H01_untouched_request_costs_nothing", BY_THE_HANDLE),
    ("H02_read_only_request_costs_one_load", BY_THE_HANDLE),
    ("H13_dropped_update_is_whole_and_leaves_no_turn", BY_THE_HANDLE),
    ("H17_failed_load_never_leads_to_a_write", BY_THE_HANDLE),
];

/// What these show is the handle's doing, not the store's: each was seen to fail on a handle that
/// was broken by hand.
const BY_THE_HANDLE: &str = "seen to fail on a broken handle";

struct Caught {
    broken: &'static BrokenStore,
    case: &'static Case,
    broken_verdict: Verdict,
    right_verdict: Verdict,
}

async fn run_all() -> Vec<Caught> {
    let slots = Arc::new(Semaphore::new(AT_A_TIME));
    let mut tasks = tokio::task::JoinSet::new();
    for broken in broken::all() {
        for id in broken.caught_by {
            let case = cases::find(id).expect(id);
            let slots = Arc::clone(&slots);
            tasks.spawn(async move {
                let _slot = slots.acquire().await.unwrap();
                let right_verdict = run_case(Arc::new(MemoryBackend::new()), case).await;
                let broken_verdict = run_on_broken(broken, case).await;
                Caught { broken, case, broken_verdict, right_verdict }
            });
        }
    }
    let mut caught = tasks.join_all().await;
    caught.sort_by_key(|caught| (caught.case.id(), caught.broken.name));
    caught
}

/// A race may be over before it began, and a machine that stands still may hide that somebody was
/// too early: so three times, until the store is caught.
async fn run_on_broken(broken: &'static BrokenStore, case: &'static Case) -> Verdict {
    let mut verdict = Verdict::Passed(None);
    for _ in 0..3 {
        let backend = BrokenBackend::new(MemoryBackend::new(), broken);
        verdict = run_case(Arc::new(backend), case).await;
        if matches!(verdict, Verdict::Failed(_)) {
            break;
        }
    }
    verdict
}

#[expect(clippy::print_stdout, reason = "the table is the proof, for people")]
fn print(caught: &[Caught]) {
    println!("{:<32} caught by", "broken store");
    for Caught { broken, case, broken_verdict, .. } in caught {
        let Verdict::Failed(reason) = broken_verdict else { continue };
        let reason = reason.split(" (at ").next().unwrap_or(reason);
        let short: String = reason.chars().take(100).collect();
        println!("{:<32} {}: {short}", broken.name, case.id());
    }
    println!("{} broken stores", broken::all().count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_broken_store_is_caught_by_the_cases_meant_for_it() {
    let caught = run_all().await;
    print(&caught);
    for Caught { broken, case, broken_verdict, right_verdict } in caught {
        let (name, id) = (broken.name, case.id());
        assert!(
            matches!(broken_verdict, Verdict::Failed(_)),
            "{id} does not catch {name}: {broken_verdict:?}"
        );
        // Where a broken store lies about what it declares, the case is not for the right one.
        assert!(
            matches!(right_verdict, Verdict::Passed(_) | Verdict::Ignored(_)),
            "{id} fails on a store that is right: {right_verdict:?}"
        );
    }
}

#[test]
fn every_case_is_shown_to_bite() {
    let here = broken::all().flat_map(|broken| broken.caught_by).copied();
    let proven: BTreeSet<_> = here.chain(PROVEN_ELSEWHERE.map(|(id, _)| id)).collect();
    let unproven: Vec<_> =
        cases::all().map(Case::id).filter(|id| !proven.contains(id.as_str())).collect();
    assert!(unproven.is_empty(), "no broken store is caught by {unproven:?}");
}

#[test]
fn broken_stores_have_different_names() {
    let names: BTreeSet<_> = broken::all().map(|broken| broken.name).collect();
    assert_eq!(names.len(), broken::all().count());
}
