//! Time: clocks, points in time, lifetimes and deadlines.
//!
//! Everything is counted in whole milliseconds. A duration with a fraction is rounded *up*, so
//! that a short lifetime never becomes none.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant, SystemTime},
};

/// A point in time: milliseconds since 1970-01-01 UTC, without leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The point in time `millis` milliseconds after 1970-01-01 UTC.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The point in time `duration` later (rounded up to a millisecond, saturating).
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis_up(duration)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The instant `duration` from now; one that never comes, when the runtime's clock cannot tell it.
#[must_use]
pub fn instant_after(duration: Duration) -> tokio::time::Instant {
    let now = tokio::time::Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + FAR)
}

/// Longer than any program runs, and never too long to add.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

fn millis_up(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// How long a record lives from the moment of the write: a duration, or for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ttl(u64);

impl Ttl {
    /// No expiry. No sweep removes such a record.
    pub const NEVER: Self = Self(u64::MAX);
    /// Already over: a record saved with it is absent from then on.
    pub const ZERO: Self = Self(0);

    /// The duration, or `None` for [`NEVER`](Self::NEVER).
    #[must_use]
    pub const fn duration(self) -> Option<Duration> {
        if self.0 == u64::MAX { None } else { Some(Duration::from_millis(self.0)) }
    }

    /// Whether the lifetime is over already.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl From<Duration> for Ttl {
    /// Rounds up to a whole millisecond. Durations beyond 584 million years never end.
    fn from(duration: Duration) -> Self {
        Self(millis_up(duration))
    }
}

/// The moment from which a record is absent, by the store's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Deadline(u64);

impl Deadline {
    /// The deadline that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The deadline at `when`.
    #[must_use]
    pub const fn at(when: Timestamp) -> Self {
        Self(when.0)
    }

    /// The deadline `ttl` after `now`, but no later than `absolute`.
    #[must_use]
    pub fn after(now: Timestamp, ttl: Ttl, absolute: Option<Timestamp>) -> Self {
        let idle = now.0.saturating_add(ttl.0);
        Self(absolute.map_or(idle, |limit| idle.min(limit.0)))
    }

    /// Whether the deadline has come: at the deadline itself a record is already absent.
    #[must_use]
    pub const fn has_passed(self, now: Timestamp) -> bool {
        self.0 <= now.0 && self.0 != u64::MAX
    }

    /// The time left.
    #[must_use]
    pub const fn remaining(self, now: Timestamp) -> Ttl {
        if self.0 == u64::MAX { Ttl::NEVER } else { Ttl(self.0.saturating_sub(now.0)) }
    }

    /// The deadline as a point in time, or `None` for [`NEVER`](Self::NEVER).
    #[must_use]
    pub const fn timestamp(self) -> Option<Timestamp> {
        if self.0 == u64::MAX { None } else { Some(Timestamp(self.0)) }
    }
}

/// Where the time comes from.
///
/// Stores whose server has a clock use that one; a `Clock` serves the stores that have none
/// (memory, files) and the session handle, which notes when a session was created.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> Timestamp;
}

/// The operating system's wall clock, which all programs of a machine share and which an
/// administrator may set.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The wall clock as it stood when this value was made, carried on by the monotonic clock: it
/// never steps, whatever is done to the wall clock. For stores that live in one process.
#[derive(Debug, Clone, Copy)]
pub struct SteadyClock {
    wall: Timestamp,
    start: Instant,
}

impl SteadyClock {
    /// Starts from the present wall clock.
    #[must_use]
    pub fn start() -> Self {
        Self { wall: SystemClock.now(), start: Instant::now() }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        // Truncated, unlike a lifetime: a clock must not run ahead of the time.
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Timestamp(self.wall.0.saturating_add(elapsed))
    }
}

/// A clock that tests move by hand: another clock plus an offset.
#[derive(Debug)]
pub struct OffsetClock {
    base: Box<dyn Clock>,
    offset_millis: AtomicI64,
}

impl OffsetClock {
    /// The time of `base`, without an offset so far.
    #[must_use]
    pub fn new(base: impl Clock) -> Self {
        Self { base: Box::new(base), offset_millis: AtomicI64::new(0) }
    }

    /// Moves the clock forward by `by`.
    pub fn advance(&self, by: Duration) {
        self.shift(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Moves the clock back by `by`.
    pub fn step_back(&self, by: Duration) {
        self.shift(i64::try_from(by.as_millis()).map_or(i64::MIN, |millis| -millis));
    }

    fn shift(&self, millis: i64) {
        let mut offset = self.offset_millis.load(Ordering::SeqCst);
        while let Err(other) = self.offset_millis.compare_exchange(
            offset,
            offset.saturating_add(millis),
            Ordering::SeqCst,
            Ordering::SeqCst,
        ) {
            offset = other;
        }
    }
}

impl Clock for OffsetClock {
    fn now(&self) -> Timestamp {
        let offset = self.offset_millis.load(Ordering::SeqCst);
        Timestamp(self.base.now().0.saturating_add_signed(offset))
    }
}

/// A clock that stands still until it is told to move: for tests of exact boundaries.
#[derive(Debug)]
pub struct FrozenClock(std::sync::atomic::AtomicU64);

impl FrozenClock {
    /// Stands at `at`.
    #[must_use]
    pub const fn new(at: Timestamp) -> Self {
        Self(std::sync::atomic::AtomicU64::new(at.0))
    }

    /// Moves to `at`, forward or back.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.0, Ordering::SeqCst);
    }
}

impl Clock for FrozenClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_rounded_up() {
        assert_eq!(Ttl::from(Duration::from_micros(1)).duration(), Some(Duration::from_millis(1)));
        assert_eq!(Timestamp(5).after(Duration::from_micros(1_001)), Timestamp(7));
    }

    #[test]
    fn a_deadline_has_passed_at_the_deadline_itself() {
        let deadline = Deadline::at(Timestamp(10));
        assert!(!deadline.has_passed(Timestamp(9)));
        assert!(deadline.has_passed(Timestamp(10)));
        assert!(deadline.has_passed(Timestamp(11)));
    }

    #[test]
    fn never_is_never_over_and_an_absolute_limit_still_caps_it() {
        let never = Deadline::after(Timestamp(5), Ttl::NEVER, None);
        assert!(!never.has_passed(Timestamp(u64::MAX)));
        assert_eq!(never.remaining(Timestamp(7)), Ttl::NEVER);
        let capped = Deadline::after(Timestamp(5), Ttl::NEVER, Some(Timestamp(9)));
        assert_eq!(capped, Deadline::at(Timestamp(9)));
    }
}
