//! Times, counted in classes that are 1.6 % wide.

/// Classes of a power of two.
const CLASSES: u64 = 64;
const BITS: u32 = CLASSES.trailing_zeros();

/// How often a time was seen; classes grow with the time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn add(&mut self, nanos: u64) {
        let class = class_of(nanos);
        if self.counts.len() <= class {
            self.counts.resize(class + 1, 0);
        }
        self.counts[class] += 1;
        self.total += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (own, count) in self.counts.iter_mut().zip(&other.counts) {
            *own += count;
        }
        self.total += other.total;
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The microseconds that this part of all times does not exceed; none without times.
    pub(crate) fn at(&self, part: f64) -> f64 {
        let wanted = (self.total as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (class, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return middle_of(class as u64) / 1e3;
            }
        }
        0.0
    }
}

fn class_of(nanos: u64) -> usize {
    let power = (u64::BITS - nanos.leading_zeros()).saturating_sub(BITS + 1);
    let class = u64::from(power) * CLASSES + (nanos >> power);
    usize::try_from(class).unwrap_or(usize::MAX)
}

fn middle_of(class: u64) -> f64 {
    if class < 2 * CLASSES {
        return class as f64;
    }
    let power = class / CLASSES - 1;
    let least = (class - power * CLASSES) << power;
    least as f64 + (1_u64 << power) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_found_again_within_a_class() {
        for nanos in [1, 63, 64, 127, 128, 1_000, 54_321, 1_000_000, 7_654_321_000_u64] {
            let mut histogram = Histogram::default();
            histogram.add(nanos);
            let found = histogram.at(0.5) * 1e3;
            assert!((found / nanos as f64 - 1.0).abs() < 0.016, "{nanos} {found}");
        }
    }

    #[test]
    fn percentiles_of_merged_histograms_are_those_of_all_times() {
        let (mut low, mut high) = (Histogram::default(), Histogram::default());
        (1..=500).for_each(|n| low.add(n * 1000));
        (501..=1000).for_each(|n| high.add(n * 1000));
        low.merge(&high);
        assert_eq!(low.total(), 1000);
        for (part, micros) in [(0.5, 500.0), (0.95, 950.0), (0.999, 999.0)] {
            assert!((low.at(part) / micros - 1.0).abs() < 0.02);
        }
    }
}
