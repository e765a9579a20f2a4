//! What can be wrong with `delete`.

use std::{sync::Arc, time::Duration};

use session_core::{Error, ErrorKind, Expected, Operation, ReadOptions, Then};

use super::{broken, mischief::on_delete};

broken! {
    DeleteOfMissingFails: "C17_delete_is_idempotent", "Z05_delete_sent_again_takes_effect_once",
        "Z05_handle_logs_out_when_the_reply_is_lost";
    DeleteIsLate: "C18_delete_then_read_none_on_other_node",
        "SEC-18_log_out_ends_the_session_everywhere";
    DeleteIgnoresTheRevision: "D17_delete_checks_the_revision";
    DeleteKeepsTheLock: "L34_lock_released_when_destroyed_under_it";
    LogoutWaitsForTheHolder: "D13_save_and_delete_of_anything_win_over_a_lease",
        "D18_incarnation_wins_over_a_lease", "L43_save_under_a_lock_after_logout_fails",
        "L34_lock_released_when_session_destroyed";
    LogoutTakesAnyLife: "D18_incarnation_is_compared_alone",
        "SEC-18_log_out_follows_the_rotation_of_a_holder";
    DeleteDoesNothing: "N02_clear_namespace_is_possible", "H15_dropped_rotation_leaves_one_session",
        "H16_dropped_log_out_can_be_repeated";
}

/// Reports a session that is gone already as an error.
#[derive(Debug, Default)]
struct DeleteOfMissingFails;

on_delete!(DeleteOfMissingFails, |_, inner, key, expected, op| {
    if inner.load(key, ReadOptions::latest()).await?.is_none() {
        return Err(Error::new(ErrorKind::NotFound, "broken", Operation::Delete));
    }
    inner.delete(key, expected, op).await
});

/// Answers first and deletes later.
#[derive(Debug, Default)]
struct DeleteIsLate;

on_delete!(DeleteIsLate, |_, inner, key, _, op| {
    let (inner, key) = (Arc::clone(inner), key.clone());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        inner.delete(&key, Expected::Any, op).await
    });
    Ok(())
});

/// Deletes a record that has moved on.
#[derive(Debug, Default)]
struct DeleteIgnoresTheRevision;

on_delete!(DeleteIgnoresTheRevision, |_, inner, key, _, op| {
    inner.delete(key, Expected::Any, op).await
});

/// Leaves the lock behind.
#[derive(Debug, Default)]
struct DeleteKeepsTheLock;

on_delete!(DeleteKeepsTheLock, |_, inner, key, expected, op| {
    let expected = match expected {
        Expected::Lease { lease, revision, .. } => {
            Expected::Lease { lease, revision, then: Then::Keep }
        }
        other => other,
    };
    inner.delete(key, expected, op).await
});

/// Refuses a log-out while a request of the session is under way.
#[derive(Debug, Default)]
struct LogoutWaitsForTheHolder;

on_delete!(LogoutWaitsForTheHolder, |_, inner, key, expected, op| {
    match (expected, inner.load(key, ReadOptions::latest()).await?) {
        (Expected::Any | Expected::Incarnation(_), Some(record)) => {
            inner.delete(key, Expected::Revision(record.revision), op).await
        }
        _ => inner.delete(key, expected, op).await,
    }
});

/// Deletes what has taken the session's place.
#[derive(Debug, Default)]
struct LogoutTakesAnyLife;

on_delete!(LogoutTakesAnyLife, |_, inner, key, expected, op| {
    let expected = match expected {
        Expected::Incarnation(_) => Expected::Any,
        other => other,
    };
    inner.delete(key, expected, op).await
});

/// Says that it deletes.
#[derive(Debug, Default)]
struct DeleteDoesNothing;

on_delete!(DeleteDoesNothing, |_, _, _, _, _| Ok(()));
