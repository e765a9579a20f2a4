//! What time it is for a store.
//!
//! All servers of a fleet must judge a deadline alike, whatever their own clocks show. They have
//! one clock in common: the file server's, which stamps files. Asking it costs two calls into the
//! file system, so the difference to the local clock is kept for a while. For a local disk the
//! two are one.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use nix::sys::time::TimeSpec;
use session_core::{Clock, Timestamp};

use crate::{fault::Outcome, layout::time_spec_of, tree::Tree};

/// How long a measured difference is used.
const KEEP: Duration = Duration::from_secs(10);
/// A quicker answer than this tells the time well enough.
const QUICK: Duration = Duration::from_millis(20);
/// How often the time is asked for until an answer is quick.
const TRIES: usize = 4;
/// A smaller difference is none: the kernel stamps files with a clock that ticks every 1 to 10 ms.
const NOISE_MILLIS: u64 = 20;
/// A local clock that moved by so much more than the time that went by was set.
const STEP: Duration = Duration::from_millis(500);

/// Where a store takes the time from.
#[derive(Debug)]
pub(crate) enum Time {
    /// The file server's clock, estimated by the local one.
    Server { local: Box<dyn Clock>, measured: Mutex<Option<Measurement>> },
    /// A clock that was handed in. It decides about everything.
    Given(Box<dyn Clock>),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Measurement {
    at: Instant,
    local: Timestamp,
    server: Timestamp,
    /// By how much it may be wrong: half of the time that the server took to answer.
    slack: Duration,
}

impl Time {
    pub(crate) fn of_server(local: Box<dyn Clock>) -> Self {
        Self::Server { local, measured: Mutex::default() }
    }

    /// The present time, right to within a network round trip and the tick of the clocks.
    ///
    /// Where the server's clock cannot be read (a disk that has become read-only), reading goes
    /// on by what was known of it.
    pub(crate) fn now(&self, tree: &Tree) -> Timestamp {
        let (local, measured) = match self {
            Self::Given(clock) => return clock.now(),
            Self::Server { local, measured } => (local.now(), measured),
        };
        let last = *measured.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.map_or(local, |last| last.correct(local));
        match last {
            Some(last) if last.still_holds(local) => known,
            // Not the answer itself, which is as old as its way, and a tick of the server's clock.
            _ if self.measure(tree).is_ok() => self.corrected().unwrap_or(known),
            _ => known,
        }
    }

    /// The local time as it was last found to differ from the server's.
    fn corrected(&self) -> Option<Timestamp> {
        let Self::Server { local, measured } = self else { return None };
        let last = *measured.lock().unwrap_or_else(PoisonError::into_inner);
        last.map(|last| last.correct(local.now()))
    }

    /// Asks again when an answer took long, since it is only known to be from some time meanwhile.
    fn measure(&self, tree: &Tree) -> Outcome<Timestamp> {
        for _ in 1..TRIES {
            let began = Instant::now();
            let server = self.exactly(tree)?;
            if began.elapsed() < QUICK {
                return Ok(server);
            }
        }
        self.exactly(tree)
    }

    /// The present time by the clock that stamps leases.
    pub(crate) fn exactly(&self, tree: &Tree) -> Outcome<Timestamp> {
        let (clock, measured) = match self {
            Self::Given(clock) => return Ok(clock.now()),
            Self::Server { local, measured } => (local, measured),
        };
        let (at, local) = (Instant::now(), clock.now());
        let server = tree.server_time()?;
        let half = at.elapsed() / 2;
        let new = Measurement { at: at + half, local: local.after(half), server, slack: half };
        *measured.lock().unwrap_or_else(PoisonError::into_inner) = Some(new);
        Ok(server)
    }

    /// The present time as a lease's file is to be stamped with it.
    pub(crate) fn stamp(&self) -> TimeSpec {
        match self {
            Self::Server { .. } => TimeSpec::UTIME_NOW,
            Self::Given(clock) => time_spec_of(clock.now()),
        }
    }
}

impl Measurement {
    fn still_holds(&self, local: Timestamp) -> bool {
        let passed = self.at.elapsed();
        let shown = local.since(self.local);
        passed < KEEP
            && local >= self.local
            && shown.saturating_sub(passed) < STEP
            && passed.saturating_sub(shown) < STEP
    }

    fn correct(&self, local: Timestamp) -> Timestamp {
        let (server, then) = (self.server.as_millis(), self.local.as_millis());
        let slack = u64::try_from(self.slack.as_millis()).unwrap_or(u64::MAX);
        if server.abs_diff(then) <= slack.saturating_add(NOISE_MILLIS) {
            return local;
        }
        Timestamp::from_millis(local.as_millis().saturating_add(server).saturating_sub(then))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(server: u64) -> Measurement {
        let local = Timestamp::from_millis(1_000_000);
        let server = Timestamp::from_millis(server);
        Measurement { at: Instant::now(), local, server, slack: Duration::ZERO }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_wrong_local_clock_is_corrected_and_a_right_one_left_alone() {
        assert_eq!(measurement(1_600_000).correct(at(1_000_007)), at(1_600_007));
        assert_eq!(measurement(400_000).correct(at(1_000_007)), at(400_007));
        assert_eq!(measurement(999_990).correct(at(1_000_007)), at(1_000_007));
    }

    #[test]
    fn a_late_answer_does_not_make_a_right_clock_wrong() {
        let late = |slack| Measurement { slack, ..measurement(999_950) };
        assert_eq!(late(Duration::ZERO).correct(at(1_000_007)), at(999_957));
        assert_eq!(late(Duration::from_millis(30)).correct(at(1_000_007)), at(1_000_007));
    }

    #[test]
    fn a_local_clock_that_was_set_is_not_believed() {
        assert!(measurement(0).still_holds(at(1_000_000)));
        assert!(!measurement(0).still_holds(at(1_003_000)));
        assert!(!measurement(0).still_holds(at(999_000)));
    }
}
