//! What the store has consumed.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::ConsumedCapacity;
use session_core::Operation;

use crate::item::{self, Attributes};

/// Units of capacity that requests of a store have consumed, as DynamoDB told them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Consumed {
    /// Read units: one for a strongly consistent read of 4 KB.
    pub read_units: f64,
    /// Write units: one for a write of 1 KB. DynamoDB does not tell what a refused condition
    /// consumed; it is reckoned from the size of the item then.
    pub write_units: f64,
    /// Requests that were answered.
    pub requests: u64,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Write,
}

/// Sums of hundredths of units.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    read: AtomicU64,
    write: AtomicU64,
    requests: AtomicU64,
}

#[cfg(feature = "metrics")]
const METRIC: &str = "session_dynamodb_consumed_units";
/// A write of so many bytes is one unit.
const WRITE_UNIT: usize = 1_024;

impl Meter {
    /// What was consumed so far.
    pub(crate) fn consumed(&self) -> Consumed {
        let units = |sum: &AtomicU64| {
            #[expect(clippy::cast_precision_loss, reason = "sums stay far below 2^53")]
            let hundredths = sum.load(Ordering::Relaxed) as f64;
            hundredths / 100.0
        };
        Consumed {
            read_units: units(&self.read),
            write_units: units(&self.write),
            requests: self.requests.load(Ordering::Relaxed),
        }
    }

    /// Adds what an answer tells; returns the units.
    pub(crate) fn add(
        &self,
        operation: Operation,
        used: Use,
        told: Option<&ConsumedCapacity>,
    ) -> f64 {
        let units = told.and_then(|told| told.capacity_units).unwrap_or_default();
        self.count(operation, used, units);
        units
    }

    /// Adds a write that was refused because of the item that there was; returns the units.
    pub(crate) fn add_refused(&self, operation: Operation, item: Option<&Attributes>) -> f64 {
        let size = item.map_or(1, item::size).max(1);
        let units = f64::from(u32::try_from(size.div_ceil(WRITE_UNIT)).unwrap_or(u32::MAX));
        self.count(operation, Use::Write, units);
        units
    }

    #[cfg_attr(
        not(feature = "metrics"),
        expect(unused_variables, reason = "only metrics tell operations apart")
    )]
    fn count(&self, operation: Operation, used: Use, units: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "units are positive, and a float is cut off at the limits of the integer"
        )]
        let hundredths = (units * 100.0).round() as u64;
        let sum = if used == Use::Read { &self.read } else { &self.write };
        sum.fetch_add(hundredths, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        {
            let used = if used == Use::Read { "read" } else { "write" };
            let operation = operation.as_str();
            metrics::histogram!(METRIC, "operation" => operation, "use" => used).record(units);
        }
    }
}

#[cfg(test)]
mod tests;
