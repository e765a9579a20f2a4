//! The metrics: their names, units and labels.
//!
//! Labels come from a fixed set: the store's name, the verbs, the kinds of errors. Nothing of a
//! session is ever one.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use session_core::{Operation, SweepReport};

/// The outcome of what succeeded.
pub(super) const OK: &str = "ok";
/// The outcome of a load that found no live record.
pub(super) const ABSENT: &str = "absent";
/// The outcome of a call whose future was dropped.
pub(super) const CANCELLED: &str = "cancelled";

const OPERATIONS: &str = "session_store_operations_total";
const DURATION: &str = "session_store_operation_duration_seconds";
const PAYLOAD: &str = "session_store_payload_bytes";
const LOCK_WAIT: &str = "session_store_lock_wait_seconds";
const UNKNOWN: &str = "session_store_unknown_outcomes_total";
const SWEPT: &str = "session_store_swept_records_total";
const SWEEP_LAG: &str = "session_store_sweep_lag_seconds";
const UNDECRYPTABLE: &str = "session_store_undecryptable_payloads_total";

/// Tells the installed recorder the units of the metrics and what they mean.
///
/// [`Observed::new`](super::Observed::new) calls it; a program that installs its recorder later
/// calls it then.
pub fn describe_metrics() {
    describe_counter!(OPERATIONS, Unit::Count, "Operations of the session store");
    describe_histogram!(DURATION, Unit::Seconds, "Time from the call to its end");
    describe_histogram!(PAYLOAD, Unit::Bytes, "Payloads written and read");
    describe_histogram!(LOCK_WAIT, Unit::Seconds, "Time from asking for a lock to the answer");
    describe_counter!(UNKNOWN, Unit::Count, "Writes whose reply was lost");
    describe_counter!(SWEPT, Unit::Count, "Records that a sweep removed or skipped");
    describe_histogram!(SWEEP_LAG, Unit::Seconds, "How long the oldest removed record was expired");
    describe_counter!(UNDECRYPTABLE, Unit::Count, "Payloads that could not be decrypted");
}

pub(super) fn operation(
    backend: &'static str,
    operation: Operation,
    outcome: &'static str,
    took: Duration,
) {
    let verb = operation.as_str();
    counter!(OPERATIONS, "backend" => backend, "verb" => verb, "outcome" => outcome).increment(1);
    histogram!(DURATION, "backend" => backend, "verb" => verb).record(took.as_secs_f64());
    if operation == Operation::Lock {
        histogram!(LOCK_WAIT, "backend" => backend, "outcome" => outcome)
            .record(took.as_secs_f64());
    }
}

pub(super) fn payload(backend: &'static str, operation: Operation, bytes: usize) {
    let bytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
    histogram!(PAYLOAD, "backend" => backend, "verb" => operation.as_str()).record(bytes);
}

pub(super) fn unknown(backend: &'static str, operation: Operation) {
    counter!(UNKNOWN, "backend" => backend, "verb" => operation.as_str()).increment(1);
}

pub(super) fn swept(backend: &'static str, report: &SweepReport) {
    for (fate, records) in [("deleted", report.deleted), ("skipped", report.skipped)] {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        counter!(SWEPT, "backend" => backend, "fate" => fate).increment(records);
    }
    if let Some(lag) = report.oldest_lag {
        histogram!(SWEEP_LAG, "backend" => backend).record(lag.as_secs_f64());
    }
}

#[cfg(feature = "encryption")]
pub(crate) fn undecryptable(backend: &'static str, reason: &'static str) {
    counter!(UNDECRYPTABLE, "backend" => backend, "reason" => reason).increment(1);
}
