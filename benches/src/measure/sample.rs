//! What a slice came to.

use std::time::Duration;

use serde::Serialize;

/// What one contender did in one slice.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    /// Microseconds from the begin of a step to its end.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Microseconds of CPU in this program for each step.
    pub(crate) cpu: f64,
    /// Microseconds of CPU in the server for each step, where it was looked at.
    pub(crate) server: f64,
}

impl Sample {
    pub(super) fn of(
        mut nanos: Vec<u32>,
        elapsed: Duration,
        cpu: Duration,
        server: Duration,
    ) -> Self {
        nanos.sort_unstable();
        let steps = nanos.len() as f64;
        let at = |part| percentile(&nanos, part).map_or(f64::NAN, |nanos| f64::from(nanos) / 1e3);
        Self {
            per_second: steps / elapsed.as_secs_f64(),
            p50: at(0.5),
            p99: at(0.99),
            cpu: cpu.as_secs_f64() * 1e6 / steps,
            server: server.as_secs_f64() * 1e6 / steps,
        }
    }

    /// The median of each figure.
    pub(crate) fn median(samples: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(samples.iter().map(figure));
        Self {
            per_second: of(|sample| sample.per_second),
            p50: of(|sample| sample.p50),
            p99: of(|sample| sample.p99),
            cpu: of(|sample| sample.cpu),
            server: of(|sample| sample.server),
        }
    }
}

/// The value at `part` of a sorted list.
pub(crate) fn percentile<T: Copy>(sorted: &[T], part: f64) -> Option<T> {
    let index = (sorted.len().saturating_sub(1) as f64 * part).round();
    sorted.get(index as usize).copied()
}

/// The middle of some figures; not a number where there are none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    percentile(&figures, 0.5).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_counts_by_time_and_by_step() {
        let nanos = (1..=100).map(|n| n * 1000).collect();
        let sample = Sample::of(
            nanos,
            Duration::from_millis(500),
            Duration::from_micros(300),
            Duration::ZERO,
        );
        assert_eq!((sample.per_second, sample.cpu, sample.server), (200.0, 3.0, 0.0));
        assert_eq!((sample.p50, sample.p99), (51.0, 99.0));
    }

    #[test]
    fn the_median_ignores_an_outlier() {
        assert_eq!(median([3.0, 1000.0, 1.0]), 3.0);
        assert!(median([]).is_nan());
    }
}
