//! How much a sweep removes at once, and how long it rests after that.
//!
//! Where writers leave no core free, a save that comes while a batch is removed waits for it, on SQLite
//! always. So a batch is to take no longer than a save, and most of the time there is to be none.

use std::time::Duration;

use crate::Engine;

/// How large batches are to be.
#[derive(Debug, Clone, Copy)]
struct Slice {
    /// What removing one should take.
    time: Duration,
    /// The first one. With fewer rows, most of the work would be sending the statement.
    fewest: usize,
}

/// Beside which other statements go on.
const BESIDE: Slice = Slice { time: Duration::from_millis(1), fewest: 20 };
/// For which every writer waits; but nothing is sent anywhere.
const ALONE: Slice = Slice { time: Duration::from_micros(250), fewest: 5 };

/// Their locks are held until the end of the statement.
const MOST: usize = 500;

#[derive(Debug)]
pub(super) struct Pace {
    /// In percent of the time, how much of it the sweep may work.
    share: u32,
    slice: Slice,
    /// The shortest round trip so far.
    round_trip: Option<Duration>,
    /// What a row takes without what others do at that time: the least so far.
    row: Option<Duration>,
    rows: usize,
}

impl Pace {
    pub(super) fn new(share: u8, engine: Engine) -> Self {
        let slice = if engine == Engine::Sqlite { ALONE } else { BESIDE };
        let share = u32::from(share).clamp(1, 100);
        Self { share, slice, round_trip: None, row: None, rows: slice.fewest }
    }

    /// How many rows to remove at once.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// A statement with hardly any work was answered.
    pub(super) fn answered(&mut self, took: Duration) {
        if self.round_trip.is_none_or(|least| took < least) {
            // What a row takes was reckoned with a longer one, and came out too short.
            (self.round_trip, self.row) = (Some(took), None);
        }
    }

    /// How long to rest after so many rows were removed.
    pub(super) fn pause(&mut self, removed: usize, took: Duration) -> Duration {
        let work = took.saturating_sub(self.round_trip.unwrap_or_default());
        let row = work / u32::try_from(removed.max(1)).unwrap_or(u32::MAX);
        let row = self.row.map_or(row, |least| least.min(row)).max(Duration::from_nanos(1));
        self.row = Some(row);
        let fit = usize::try_from(self.slice.time.as_nanos() / row.as_nanos()).unwrap_or(MOST);
        self.rows = fit.min(2 * self.rows).clamp(self.slice.fewest, MOST);
        took * (100 - self.share) / self.share
    }
}
