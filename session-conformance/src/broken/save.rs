//! What can be wrong with `save`.

use std::time::Duration;

use session_core::{
    Error, ErrorKind, Expected, Meta, OpToken, Operation, ReadOptions, Then, Ttl, Under, Write,
};

use super::{
    Memory, broken,
    mischief::{on_create, on_save},
};

broken! {
    IgnoresTheRevision: "L17_commit_without_lock_checks_version", "L19_retries_converge";
    ComparesThenWrites: "L17_commit_without_lock_checks_version", "L19_retries_converge",
        "L02_counter_is_exact_in_every_mode", "L19_a_thousand_updates_count_to_a_thousand",
        "SEC-14_requests_with_the_old_id_end_on_the_new_one";
    ComparesVersionsOnly: "L15_stale_revision_after_delete_and_recreate";
    SaveCreates: "C08_update_of_missing_session_fails", "L43_save_after_concurrent_logout_fails",
        "L43_save_under_a_lock_after_logout_fails", "L43_saves_racing_a_logout_never_revive",
        "L43_save_after_concurrent_logout_fails_by_the_handle",
        "L43_rotation_after_concurrent_logout_fails", "L43_log_in_after_concurrent_logout_fails",
        "L43_locked_commit_after_concurrent_logout_fails",
        "SEC-19_requests_racing_a_log_out_never_revive", "X04_rotate_deleted_session_fails";
    SaveCreatesUnderTheLock: "C08_update_under_a_lock_of_nothing_fails";
    LateHolderCommits: "L13_stale_holder_commit_rejected",
        "L13_stale_holder_commit_rejected_after_unlocked_commit",
        "L14_stale_holder_commit_rejected_even_if_b_only_acquired",
        "L15_stale_commit_after_delete_and_recreate", "L22_renewal_failure_notifies_holder",
        "L24_renewal_has_a_cap";
    LateHolderCommitsIfNobodyWrote: "L14_stale_holder_commit_rejected_even_if_b_only_acquired";
    LapsedHolderIsRefused: "D16_lapsed_lease_commits_if_nobody_came";
    SavesBesideAHolder: "D11_live_lease_refuses_unlocked_writers";
    SaveKeepsABrokenLease: "D12_lapsed_lease_is_broken_by_an_unlocked_commit",
        "D13_save_and_delete_of_anything_win_over_a_lease";
    CommitKeepsTheLock: "D15_commit_keeps_or_releases_as_asked", "L31_early_close_releases_early",
        "L34_lock_released_when_session_emptied",
        "X06_crash_between_the_steps_of_a_locked_rotation";
    CommitDropsTheLock: "D15_commit_keeps_or_releases_as_asked";
    SaveForgetsItsToken: "Z05_save_sent_again_takes_effect_once",
        "Z05_save_sent_again_within_the_window_takes_effect_once",
        "Z05_locked_commit_sent_again_takes_effect_once", "H12_dropped_save_counts_once",
        "Z05_handle_commits_once_when_the_reply_is_lost",
        "Z05_handle_saves_once_when_the_reply_is_lost";
    SaveForgetsTheDeadline: "E04_every_record_has_a_ttl",
        "E11_idle_and_absolute_of_a_session_takes_min", "X07_grace_alias_dies_on_time";
    SaveIgnoresAnEndedLife: "E03_deadline_in_past_on_save_deletes";
    CutsToSeconds: "E15_fractional_deadline_is_never_cut_short";
    MonthIsADate: "E13_very_long_ttl_is_not_instant_expiry";
    SubSecondIsEndless: "E14_sub_second_ttl_behaviour_declared";
    IgnoresTheAbsoluteDeadline: "E10_absolute_deadline_caps_every_write",
        "E10_absolute_deadline_caps_touch", "E11_idle_and_absolute_combined_takes_min",
        "E03_absolute_deadline_in_past_deletes",
        "E12_rotation_does_not_extend_the_absolute_deadline", "E12_rotation_keeps_absolute_start";
    SaveForgetsTheMeta: "D07_meta_round_trips", "U02_index_follows_user_change_and_removal";
    OversizedRemovesTheOld: "C11_oversized_payload_keeps_old_value";
    ConflictShowsAnotherRecord: "L18_conflict_carries_current_version";
    EqualBytesAreNoSave: "D08_every_save_has_its_own_revision";
    LineageGoesOn: "D14_restarted_lineage_refuses_what_is_in_flight",
        "SEC-18_log_out_follows_a_rotation";
}

/// Last write wins.
#[derive(Debug, Default)]
struct IgnoresTheRevision;

on_save!(IgnoresTheRevision, |_, inner, key, write, expected, op| {
    let expected = match expected {
        Expected::Revision(_) => Expected::Any,
        other => other,
    };
    inner.save(key, write, expected, op).await
});

/// Compares in one step and writes in another.
#[derive(Debug, Default)]
struct ComparesThenWrites;

on_save!(ComparesThenWrites, |_, inner, key, write, expected, op| {
    let Expected::Revision(revision) = expected else {
        return inner.save(key, write, expected, op).await;
    };
    let record = inner.load(key, ReadOptions::latest()).await?;
    tokio::task::yield_now().await;
    match record {
        Some(record) if record.revision == revision => {
            inner.save(key, write, Expected::Any, op).await
        }
        _ => inner.save(key, write, expected, op).await,
    }
});

/// Has a counter that starts anew with each life.
#[derive(Debug, Default)]
struct ComparesVersionsOnly;

on_save!(ComparesVersionsOnly, |_, inner, key, write, expected, op| {
    let record = inner.load(key, ReadOptions::latest()).await?;
    match (expected, record) {
        (Expected::Revision(revision), Some(record))
            if record.revision.version() == revision.version() =>
        {
            inner.save(key, write, Expected::Revision(record.revision), op).await
        }
        _ => inner.save(key, write, expected, op).await,
    }
});

/// An upsert.
#[derive(Debug, Default)]
struct SaveCreates;

on_save!(SaveCreates, |_, inner, key, write, expected, op| {
    match inner.save(key, write.clone(), expected, op).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            inner.create(key, write, op, None).await
        }
        outcome => outcome,
    }
});

/// Makes a record of the placeholder of a lock.
#[derive(Debug, Default)]
struct SaveCreatesUnderTheLock;

on_save!(SaveCreatesUnderTheLock, |_, inner, key, write, expected, op| {
    match (inner.save(key, write.clone(), expected, op).await, expected) {
        (Err(error), Expected::Lease { lease, then, .. })
            if error.kind() == ErrorKind::NotFound =>
        {
            inner.create(key, write, op, Some(Under::new(lease, then))).await
        }
        (outcome, _) => outcome,
    }
});

/// Does not look at the lease.
#[derive(Debug, Default)]
struct LateHolderCommits;

on_save!(LateHolderCommits, |_, inner, key, write, expected, op| {
    match inner.save(key, write.clone(), expected, op).await {
        Err(error) if error.kind() == ErrorKind::LockLost => {
            inner.save(key, write, Expected::Any, op).await
        }
        outcome => outcome,
    }
});

/// Checks the revision in place of the lease.
#[derive(Debug, Default)]
struct LateHolderCommitsIfNobodyWrote;

on_save!(LateHolderCommitsIfNobodyWrote, |_, inner, key, write, expected, op| {
    let record = inner.load(key, ReadOptions::latest()).await?;
    match (expected, record) {
        (Expected::Lease { revision, .. }, Some(record)) if record.revision == revision => {
            inner.save(key, write, Expected::Any, op).await
        }
        _ => inner.save(key, write, expected, op).await,
    }
});

/// Takes the end of a lease for the loss of it.
#[derive(Debug, Default)]
struct LapsedHolderIsRefused;

on_save!(LapsedHolderIsRefused, |_, inner, key, write, expected, op| {
    if let Expected::Lease { revision, .. } = expected {
        // Refused by a live lease, and by that only.
        let probe = inner.save(key, write.clone(), Expected::Revision(revision), op).await;
        if probe.is_ok() {
            return Err(Error::new(ErrorKind::LockLost, "broken", Operation::Save));
        }
    }
    inner.save(key, write, expected, op).await
});

/// Excludes other holders only, not other writers.
#[derive(Debug, Default)]
struct SavesBesideAHolder;

on_save!(SavesBesideAHolder, |_, inner, key, write, expected, op| {
    match inner.save(key, write.clone(), expected, op).await {
        Err(error) if error.kind() == ErrorKind::LockHeld => {
            inner.save(key, write, Expected::Any, op).await
        }
        outcome => outcome,
    }
});

/// Leaves the lease to a holder who has been passed by: remembers leases, and grants them again.
#[derive(Debug, Default)]
struct SaveKeepsABrokenLease(Memory<session_core::LockRequest>);

#[async_trait::async_trait]
impl super::mischief::Mischief for SaveKeepsABrokenLease {
    async fn lock(
        &self,
        inner: &super::mischief::Inner,
        key: &session_core::Key,
        request: session_core::LockRequest,
    ) -> session_core::Result<session_core::Locked> {
        self.0.put(key, request);
        inner.lock(key, request).await
    }

    async fn save(
        &self,
        inner: &super::mischief::Inner,
        key: &session_core::Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> session_core::Result<session_core::Revision> {
        let revision = inner.save(key, write, expected, op).await?;
        if let (Some(request), Expected::Any | Expected::Revision(_)) = (self.0.get(key), expected)
        {
            inner.lock(key, request).await?;
        }
        Ok(revision)
    }
}

fn with_then(expected: Expected<'_>, then: Then) -> Expected<'_> {
    match expected {
        Expected::Lease { lease, revision, .. } => Expected::Lease { lease, revision, then },
        other => other,
    }
}

/// Forgets to unlock with the commit.
#[derive(Debug, Default)]
struct CommitKeepsTheLock;

on_save!(CommitKeepsTheLock, |_, inner, key, write, expected, op| {
    inner.save(key, write, with_then(expected, Then::Keep), op).await
});

/// Unlocks with every commit.
#[derive(Debug, Default)]
struct CommitDropsTheLock;

on_save!(CommitDropsTheLock, |_, inner, key, write, expected, op| {
    inner.save(key, write, with_then(expected, Then::Release), op).await
});

/// Does not know a save that is sent again.
#[derive(Debug, Default)]
struct SaveForgetsItsToken;

on_save!(SaveForgetsItsToken, |_, inner, key, write, expected, _| {
    inner.save(key, write, expected, OpToken::generate()?).await
});

/// Writes another life than it was given.
macro_rules! rewrites_lives {
    ($mischief:ident, $rewrite:expr) => {
        on_save!($mischief, |_, inner, key, mut write, expected, op| {
            const REWRITE: fn(&mut Write) = $rewrite;
            REWRITE(&mut write);
            inner.save(key, write, expected, op).await
        });
    };
    ($mischief:ident, at_create, $rewrite:expr) => {
        on_create!($mischief, |_, inner, key, mut write, op, under| {
            const REWRITE: fn(&mut Write) = $rewrite;
            REWRITE(&mut write);
            inner.create(key, write, op, under).await
        });
    };
}

/// `HSET` on a key that lost its expiry.
#[derive(Debug, Default)]
struct SaveForgetsTheDeadline;

rewrites_lives!(SaveForgetsTheDeadline, |write| write.ttl = Ttl::NEVER);

/// Takes a lifetime of nothing for no limit.
#[derive(Debug, Default)]
struct SaveIgnoresAnEndedLife;

rewrites_lives!(SaveIgnoresAnEndedLife, |write| {
    if write.ttl.is_zero() {
        write.ttl = Ttl::NEVER;
    }
});

/// Knows whole seconds only, and cuts.
#[derive(Debug, Default)]
struct CutsToSeconds;

rewrites_lives!(CutsToSeconds, at_create, |write| {
    if let Some(life) = write.ttl.duration() {
        write.ttl = Duration::from_secs(life.as_secs()).into();
    }
});

/// Takes a lifetime of more than 30 days for a date in 1970.
#[derive(Debug, Default)]
struct MonthIsADate;

rewrites_lives!(MonthIsADate, at_create, |write| {
    if write.ttl.duration().is_some_and(|life| life.as_secs() > 30 * 86_400) {
        write.ttl = Ttl::ZERO;
    }
});

/// Cuts less than a second to zero, and takes zero for no limit.
#[derive(Debug, Default)]
struct SubSecondIsEndless;

rewrites_lives!(SubSecondIsEndless, at_create, |write| {
    if write.ttl.duration().is_some_and(|life| life.as_secs() == 0) {
        write.ttl = Ttl::NEVER;
    }
});

/// Keeps the meta of each record from the store that would clamp by it.
#[derive(Debug, Default)]
struct IgnoresTheAbsoluteDeadline;

#[async_trait::async_trait]
impl super::mischief::Mischief for IgnoresTheAbsoluteDeadline {
    async fn create(
        &self,
        inner: &super::mischief::Inner,
        key: &session_core::Key,
        mut write: Write,
        op: OpToken,
        under: Option<session_core::Under<'_>>,
    ) -> session_core::Result<session_core::Revision> {
        write.meta.absolute_deadline = None;
        inner.create(key, write, op, under).await
    }

    async fn save(
        &self,
        inner: &super::mischief::Inner,
        key: &session_core::Key,
        mut write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> session_core::Result<session_core::Revision> {
        write.meta.absolute_deadline = None;
        inner.save(key, write, expected, op).await
    }
}

/// Writes payloads only, after the first time.
#[derive(Debug, Default)]
struct SaveForgetsTheMeta;

rewrites_lives!(SaveForgetsTheMeta, |write| write.meta = Meta::new());

/// Removes the old value when the new one is too large, as memcached does.
#[derive(Debug, Default)]
struct OversizedRemovesTheOld;

on_save!(OversizedRemovesTheOld, |_, inner, key, write, expected, op| {
    let outcome = inner.save(key, write, expected, op).await;
    if let Err(error) = &outcome
        && error.kind() == ErrorKind::TooLarge
    {
        inner.delete(key, Expected::Any, op).await?;
    }
    outcome
});

/// Shows what the caller wanted to write as what won.
#[derive(Debug, Default)]
struct ConflictShowsAnotherRecord;

on_save!(ConflictShowsAnotherRecord, |_, inner, key, write, expected, op| {
    let payload = write.payload.clone();
    let outcome = inner.save(key, write, expected, op).await;
    outcome.map_err(|mut error| {
        let current = error.take_current().map(|mut record| {
            record.payload = payload;
            record
        });
        error.with_current(current)
    })
});

/// Counts affected rows, and finds none for equal bytes.
#[derive(Debug, Default)]
struct EqualBytesAreNoSave;

on_save!(EqualBytesAreNoSave, |_, inner, key, write, expected, op| {
    match inner.load(key, ReadOptions::latest()).await? {
        Some(record) if record.payload == write.payload => Ok(record.revision),
        _ => inner.save(key, write, expected, op).await,
    }
});

/// Does not start a new lineage.
#[derive(Debug, Default)]
struct LineageGoesOn;

rewrites_lives!(LineageGoesOn, |write| write.lineage = session_core::Lineage::Continue);
