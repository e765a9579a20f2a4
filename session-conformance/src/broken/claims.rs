//! Stores that are not what they declare.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use session_core::{
    Capabilities, Error, ErrorKind, LockAbsent, LockScope, Operation, Result, RevisionKind,
    Support, Sweeping,
};

use super::{
    broken,
    mischief::{Inner, Mischief},
};

broken! {
    LocksInSilence: "D04_without_locking_locks_are_unsupported";
    TouchesInSilence: "D05_without_touch_it_is_unsupported";
    KeepsMetaInSilence: "D06_without_meta_it_is_unsupported";
    ListsInSilence: "D20_without_listing_it_is_unsupported";
    HoldsAbsentKeysInSilence: "L40_lock_on_missing_session_is_not_held";
    CountsInSilence: "D09_equal_bytes_are_equal_revisions",
        "D21_without_incarnations_a_new_lineage_is_unsupported";
    SweepsForTheServer: "D10_nothing_is_left_to_sweep_by_hand";
    ClaimsAWindowOfNone: "D01_capabilities_are_constant_and_sane";
    ClaimsALongerWindow: "Z05_save_sent_again_within_the_window_takes_effect_once";
    ClaimsALargerLimit: "C12_payload_at_exact_limit_succeeds";
    ClaimsMoreWaiters: "L25_waiters_are_bounded";
    ClaimsToKeepAllWritersOut: "D22_writers_of_anything_wait_for_the_holder";
    ClaimsToLockTheWholeStore: "D22_writers_of_other_records_wait_for_the_holder";
    KeepsEmptyPayloadsInSilence: "D23_payload_of_no_bytes_leaves_no_record";
    PingFails: "D02_ping_answers";
}

/// Declares something else than it does.
macro_rules! claims {
    ($mischief:ident, $claim:expr) => {
        #[async_trait]
        impl Mischief for $mischief {
            fn declare(&self, has: &mut Capabilities) {
                const CLAIM: fn(&mut Capabilities) = $claim;
                CLAIM(has);
            }
        }
    };
}

/// Declares no locking, and locks.
#[derive(Debug, Default)]
struct LocksInSilence;

claims!(LocksInSilence, |has| has.locking = Support::No);

/// Declares no touch, and touches.
#[derive(Debug, Default)]
struct TouchesInSilence;

claims!(TouchesInSilence, |has| has.touch = Support::No);

/// Declares no meta, and keeps it.
#[derive(Debug, Default)]
struct KeepsMetaInSilence;

claims!(KeepsMetaInSilence, |has| has.meta = Support::No);

/// Declares epochs only, and lists.
#[derive(Debug, Default)]
struct ListsInSilence;

claims!(ListsInSilence, |has| has.listing = Support::No);

/// Declares that it does not hold absent keys, and holds them.
#[derive(Debug, Default)]
struct HoldsAbsentKeysInSilence;

claims!(HoldsAbsentKeysInSilence, |has| has.lock_absent = LockAbsent::NotHeld);

/// Declares that revisions are digests, and counts.
#[derive(Debug, Default)]
struct CountsInSilence;

claims!(CountsInSilence, |has| has.revision = RevisionKind::Content);

/// Declares that the server sweeps, and finds work to do.
#[derive(Debug, Default)]
struct SweepsForTheServer(AtomicUsize);

#[async_trait]
impl Mischief for SweepsForTheServer {
    fn declare(&self, has: &mut Capabilities) {
        has.sweeping = Sweeping::ByServer;
    }

    async fn sweep(
        &self,
        inner: &Inner,
        cursor: Option<&session_core::Cursor>,
        budget: session_core::SweepBudget,
    ) -> Result<session_core::SweepReport> {
        let mut report = inner.sweep(cursor, budget).await?;
        report.deleted += 1 + self.0.fetch_add(1, Ordering::SeqCst);
        Ok(report)
    }
}

/// Declares a window that holds nothing.
#[derive(Debug, Default)]
struct ClaimsAWindowOfNone;

claims!(ClaimsAWindowOfNone, |has| has.idempotency = session_core::Idempotency::Window(0));

/// Remembers fewer operations than it declares.
#[derive(Debug, Default)]
struct ClaimsALongerWindow;

claims!(ClaimsALongerWindow, |has| has.idempotency = session_core::Idempotency::Window(100));

/// Takes less than it declares.
#[derive(Debug, Default)]
struct ClaimsALargerLimit;

claims!(ClaimsALargerLimit, |has| has.max_payload += 1);

/// Takes fewer waiters than it declares.
#[derive(Debug, Default)]
struct ClaimsMoreWaiters;

claims!(ClaimsMoreWaiters, |has| has.max_waiters += 2);

/// Declares that a log-out waits for whoever has the lock, and lets it win.
#[derive(Debug, Default)]
struct ClaimsToKeepAllWritersOut;

claims!(ClaimsToKeepAllWritersOut, |has| has.lock_scope = LockScope::Record);

/// Declares that a lock keeps everybody out of the whole store, and lets them work on other records.
#[derive(Debug, Default)]
struct ClaimsToLockTheWholeStore;

claims!(ClaimsToLockTheWholeStore, |has| has.lock_scope = LockScope::Store);

/// Declares that a payload of no bytes is no record, and keeps it.
#[derive(Debug, Default)]
struct KeepsEmptyPayloadsInSilence;

claims!(KeepsEmptyPayloadsInSilence, |has| has.empty_payloads = Support::No);

/// Is never ready.
#[derive(Debug, Default)]
struct PingFails(Option<Duration>);

#[async_trait]
impl Mischief for PingFails {
    async fn ping(&self, _: &Inner) -> Result<()> {
        Err(Error::new(ErrorKind::Unavailable, "broken", Operation::Ping).with_retry_after(self.0))
    }
}
