//! The pauses of those who wait for one thing.

use std::time::Duration;

/// Random pauses below a limit that doubles: those who wait for one thing do not come back all at
/// once.
#[derive(Debug, Clone)]
pub struct Jitter {
    limit: Duration,
    most: Duration,
}

impl Jitter {
    /// The first pause is at most `first` long, and none is longer than `most`.
    #[must_use]
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { limit: first, most }
    }

    /// How long to pause now.
    pub fn pause(&mut self) -> Duration {
        let limit = self.limit;
        self.limit = limit.saturating_mul(2).min(self.most);
        limit.mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_below_a_limit_that_doubles_up_to_the_most() {
        let mut pauses = Jitter::new(Duration::from_millis(5), Duration::from_millis(100));
        for limit in [5, 10, 20, 40, 80, 100, 100] {
            assert!(pauses.pause() <= Duration::from_millis(limit));
        }
    }

    #[test]
    fn pauses_differ() {
        let mut pauses = Jitter::new(Duration::from_secs(1), Duration::from_secs(1));
        assert_ne!(pauses.pause(), pauses.pause());
    }
}
