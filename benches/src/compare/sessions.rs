//! The sessions that requests are made of, and how often each is asked for.

use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;
use tokio::task::JoinSet;

use super::library::Library;
use crate::measure::Result;

/// So many are made at once.
const MAKERS: usize = 16;

/// Sessions by their present ids.
#[derive(Debug, Clone)]
pub(crate) struct Sessions(Arc<[Mutex<String>]>);

impl Sessions {
    pub(crate) async fn make(library: &Arc<dyn Library>, count: usize) -> Result<Self> {
        let mut makers = JoinSet::new();
        for maker in 0..MAKERS.min(count) {
            let library = Arc::clone(library);
            let share = (maker..count).step_by(MAKERS).count();
            makers.spawn(async move {
                let mut made = Vec::with_capacity(share);
                for _ in 0..share {
                    made.push(Mutex::new(library.create().await?));
                }
                Result::Ok(made)
            });
        }
        let mut all = Vec::with_capacity(count);
        while let Some(made) = makers.join_next().await {
            all.append(&mut made??);
        }
        Ok(Self(all.into()))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn id(&self, index: usize) -> String {
        self.0[index].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, index: usize, id: String) {
        *self.0[index].lock().unwrap_or_else(PoisonError::into_inner) = id;
    }
}

/// Which session is asked for next, where few are asked for often: the one of rank n as often as
/// 1/n.
#[derive(Debug, Clone)]
pub(crate) struct Zipf(Arc<[f64]>);

impl Zipf {
    pub(crate) fn over(count: usize) -> Self {
        let mut sum = 0.0;
        let sums = (1..=count).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self(sums.collect())
    }

    pub(crate) fn next(&self, random: &mut Rng) -> usize {
        let at = random.f64() * self.0.last().copied().unwrap_or_default();
        self.0.partition_point(|sum| *sum < at).min(self.0.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_many_is_asked_for_most() {
        let (zipf, mut random) = (Zipf::over(1000), Rng::with_seed(7));
        let mut counts = vec![0; 1000];
        (0..100_000).for_each(|_| counts[zipf.next(&mut random)] += 1);
        // The sum of 1/n up to 1000 is 7.49.
        assert!((12_500..14_300).contains(&counts[0]), "{}", counts[0]);
        assert!(counts[0] > counts[1] && counts[1] > counts[10] && counts[10] > counts[500]);
    }
}
