//! What the store has consumed.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::ConsumedCapacity;

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
    pub(crate) fn add(&self, used: Use, told: Option<&ConsumedCapacity>) -> f64 {
        let units = told.and_then(|told| told.capacity_units).unwrap_or_default();
        self.count(used, units);
        units
    }

    /// Adds a write that was refused because of the item that there was; returns the units.
    pub(crate) fn add_refused(&self, item: Option<&Attributes>) -> f64 {
        let size = item.map_or(1, item::size).max(1);
        let units = f64::from(u32::try_from(size.div_ceil(WRITE_UNIT)).unwrap_or(u32::MAX));
        self.count(Use::Write, units);
        units
    }

    fn count(&self, used: Use, units: f64) {
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
            metrics::histogram!("session_dynamodb_consumed_units", "use" => used).record(units);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_summed_and_refusals_reckoned() {
        let meter = Meter::default();
        let told = ConsumedCapacity::builder().capacity_units(0.5).build();
        for _ in 0..3 {
            assert!((meter.add(Use::Read, Some(&told)) - 0.5).abs() < 1e-9);
        }
        meter.add_refused(None);
        let large = Attributes::from([("d".to_owned(), item::bytes(vec![0; 1_024]))]);
        meter.add_refused(Some(&large));
        let expected = Consumed { read_units: 1.5, write_units: 3.0, requests: 5 };
        assert_eq!(meter.consumed(), expected);
    }
}
