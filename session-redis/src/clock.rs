//! What the server's clock shows, as far as it is known here.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// How long a reading of the server's clock is carried on by this machine's.
const FRESH: Duration = Duration::from_secs(1);
/// A reading that took longer says too little. So two stores differ by no more than this in what they
/// show of a record's remaining life.
pub(crate) const PROMPT: Duration = Duration::from_millis(20);

/// The server's clock as it was read last, carried on from there.
///
/// It tells how long a record still lives, which decides when it is touched. Whether a record
/// lives at all is for the server to say, by its own clock. The estimate is ahead by no more than
/// [`PROMPT`], so that a life is not shown longer than it is, and wrong by a step of the server's
/// clock for at most [`FRESH`].
#[derive(Debug)]
pub(crate) struct ServerClock {
    started: Instant,
    /// Whether there is one server, whose readings can be carried on. The nodes of a cluster have
    /// a clock each, and are asked each time.
    one: bool,
    /// The server's time in milliseconds when `started` was.
    origin: AtomicU64,
    /// When the server is to be asked again, in milliseconds since `started`.
    stale_at: AtomicU64,
}

impl ServerClock {
    pub(crate) fn new(one: bool) -> Self {
        Self {
            started: Instant::now(),
            one,
            origin: AtomicU64::new(0),
            stale_at: AtomicU64::new(0),
        }
    }

    /// The server's time, or `None` when the caller should find it out.
    pub(crate) fn now(&self) -> Option<u64> {
        let elapsed = self.elapsed();
        let stale_at = self.stale_at.load(Ordering::Acquire);
        (elapsed < stale_at).then(|| self.origin.load(Ordering::Acquire).saturating_add(elapsed))
    }

    /// Notes the server's time that a reply has just brought to what was asked at `asked`.
    pub(crate) fn learn(&self, now: u64, asked: Instant) {
        if !self.one || asked.elapsed() > PROMPT {
            return;
        }
        let elapsed = millis(asked.saturating_duration_since(self.started));
        self.origin.store(now.saturating_sub(elapsed), Ordering::Release);
        self.stale_at.store(elapsed.saturating_add(millis(FRESH)), Ordering::Release);
    }

    fn elapsed(&self) -> u64 {
        millis(self.started.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_carried_on_until_it_is_stale() {
        let clock = ServerClock::new(true);
        assert_eq!(clock.now(), None);
        clock.learn(1_000_000, Instant::now());
        let now = clock.now().unwrap();
        assert!((1_000_000..1_001_000).contains(&now), "{now}");
        clock.stale_at.store(0, Ordering::Release);
        assert_eq!(clock.now(), None);
    }

    #[test]
    fn a_reading_that_took_long_is_not_taken() {
        let clock = ServerClock::new(true);
        clock.learn(1_000_000, Instant::now() - PROMPT * 2);
        assert_eq!(clock.now(), None);
    }

    #[test]
    fn a_later_reading_counts_also_when_the_server_was_set_back() {
        let clock = ServerClock::new(true);
        clock.learn(1_000_000, Instant::now());
        clock.learn(500_000, Instant::now());
        let now = clock.now().unwrap();
        assert!((500_000..501_000).contains(&now), "{now}");
    }
}
