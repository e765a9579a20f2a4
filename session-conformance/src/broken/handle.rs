//! What is wrong with a store, as the handle shows it.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use session_core::{
    Error, ErrorKind, Expected, Incarnation, Key, OpToken, Operation, ReadOptions, Result,
    Revision, Ttl, Under, Write,
};

use super::{
    broken,
    mischief::{Inner, Mischief, on_save},
};

broken! {
    SwallowsConflicts: "L41_unlocked_parallel_disjoint_keys_merge",
        "C23_newer_schema_record_refused", "C27_delta_write_keeps_other_keys",
        "C28_save_mode_matrix", "H11_dropped_save_is_whole_and_can_be_repeated",
        "L17_racing_saves_that_must_not_merge_have_one_winner",
        "L18_conflict_costs_the_handle_no_load_but_one",
        "L41_a_session_read_once_is_merged_again_and_again", "L42_unlocked_same_key_last_save_wins",
        "L42_unlocked_same_key_conflict_if_declared", "L42_unlocked_same_key_merges_if_declared",
        "X05_concurrent_rotation_one_lineage", "X05_concurrent_log_ins_have_one_winner",
        "X05_log_ins_sent_twice_end_in_one_session",
        "X05_save_in_flight_follows_a_rotation", "X05_save_in_flight_does_not_follow_a_log_in";
    AnswersAtTheSecondTime: "H03_merge_costs_one_load_and_one_save",
        "H04_update_costs_one_load_and_one_save", "H05_exclusive_costs_one_lock_and_one_save",
        "H06_lock_without_change_costs_lock_and_release", "H07_new_session_costs_one_create",
        "H08_rotation_costs_one_create_and_one_save", "H09_log_out_costs_one_load_and_one_delete",
        "H10_log_out_of_a_locked_session_costs_no_more";
}

/// Tells a saver who lost the race that he has won it.
#[derive(Debug, Default)]
struct SwallowsConflicts;

on_save!(SwallowsConflicts, |_, inner, key, write, expected, op| {
    match inner.save(key, write, expected, op).await {
        Err(error) if error.kind() == ErrorKind::Conflict => {
            let record = inner.load(key, ReadOptions::latest()).await?;
            record.map(|record| record.revision).ok_or(error)
        }
        outcome => outcome,
    }
});

/// Does what it is asked, and answers only who asks again: right, and twice as dear as it need be.
#[derive(Debug, Default)]
struct AnswersAtTheSecondTime(Mutex<HashSet<OpToken>>);

impl AnswersAtTheSecondTime {
    fn answer<T>(&self, op: OpToken, operation: Operation, outcome: Result<T>) -> Result<T> {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(op);
        if first {
            return Err(Error::new(ErrorKind::Timeout, "broken", operation).with_maybe_applied());
        }
        outcome
    }
}

#[async_trait]
impl Mischief for AnswersAtTheSecondTime {
    async fn create(
        &self,
        inner: &Inner,
        key: &Key,
        write: Write,
        op: OpToken,
        under: Option<Under<'_>>,
    ) -> Result<Revision> {
        let outcome = inner.create(key, write, op, under).await;
        self.answer(op, Operation::Create, outcome)
    }

    async fn save(
        &self,
        inner: &Inner,
        key: &Key,
        write: Write,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<Revision> {
        let outcome = inner.save(key, write, expected, op).await;
        self.answer(op, Operation::Save, outcome)
    }

    async fn touch(
        &self,
        inner: &Inner,
        key: &Key,
        ttl: Ttl,
        incarnation: Incarnation,
        op: OpToken,
    ) -> Result<()> {
        let outcome = inner.touch(key, ttl, incarnation, op).await;
        self.answer(op, Operation::Touch, outcome)
    }

    async fn delete(
        &self,
        inner: &Inner,
        key: &Key,
        expected: Expected<'_>,
        op: OpToken,
    ) -> Result<()> {
        let outcome = inner.delete(key, expected, op).await;
        self.answer(op, Operation::Delete, outcome)
    }

    async fn lock(
        &self,
        inner: &Inner,
        key: &Key,
        request: session_core::LockRequest,
    ) -> Result<session_core::Locked> {
        let outcome = inner.lock(key, request).await;
        self.answer(request.op, Operation::Lock, outcome)
    }
}
