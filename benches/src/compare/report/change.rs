//! What has changed since an earlier run, and what of it is noise.

use super::figures::{compact, percent};
use crate::compare::results::{Burst, Bursts, Outcome, Results, Speed};

/// A figure that is another than before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    pub(super) what: String,
    pub(super) before: String,
    pub(super) now: String,
    /// The new one as a part of the old one.
    pub(super) factor: Option<f64>,
    pub(super) better: bool,
}

/// What differs between two runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Changes {
    /// Beyond the noise.
    pub(super) clear: Vec<Change>,
    /// So many figures changed by no more than rounds differ.
    pub(super) within_noise: usize,
    /// So many are only in one of both.
    pub(super) unmatched: usize,
    /// Why both cannot be compared by more than their ratios.
    pub(super) warning: Option<String>,
}

/// What has changed since `old`.
pub(super) fn between(old: &Results, new: &Results) -> Changes {
    let mut changes = Changes { warning: warning(old, new), ..Changes::default() };
    for outcome in &new.outcomes {
        let same = |other: &&Outcome| {
            (&other.facts.name, other.facts.kind) == (&outcome.facts.name, outcome.facts.kind)
        };
        match old.outcomes.iter().find(same) {
            Some(before) => changes.compare(before, outcome),
            None => changes.unmatched += 1,
        }
    }
    changes.clear.sort_by(|one, other| one.better.cmp(&other.better));
    changes
}

fn warning(old: &Results, new: &Results) -> Option<String> {
    let differs = |what: &str, before: &str, now: &str| {
        (before != now).then(|| format!("{what}: {before} before, {now} now"))
    };
    let settings = |results: &Results| {
        let it = &results.settings;
        format!("{} sessions of {} bytes", it.sessions, it.bytes)
    };
    let all = [
        differs("another machine", &old.machine.processor, &new.machine.processor),
        differs("other settings", &settings(old), &settings(new)),
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}

impl Changes {
    fn compare(&mut self, old: &Outcome, new: &Outcome) {
        let name = new.facts.full_name();
        for now in &new.speeds {
            match old.speed(now.deed, now.tasks) {
                Some(before) => self.speed(&name, before, now),
                None => self.unmatched += 1,
            }
        }
        for now in &new.bursts {
            let same = |it: &&Bursts| (it.shape, it.mode) == (now.shape, now.mode);
            let Some(before) = old.bursts.iter().find(same) else { continue };
            let what = format!("{name}: {}, {}", now.shape.title(), now.mode.name());
            let part = |bursts: &Bursts| {
                let (made, count, _) = bursts.kept();
                if made == 0 { 0.0 } else { count as f64 / made as f64 }
            };
            if now.mode.counts() {
                self.kept(format!("{what}, updates kept"), part(before), part(now));
            }
            let millis = |burst: &Burst| burst.millis;
            let range = |bursts: &Bursts| {
                let all = || bursts.rounds.iter().map(millis);
                (all().fold(f64::MAX, f64::min), bursts.of(millis), all().fold(0.0, f64::max))
            };
            let text = |millis: f64| format!("{} ms", compact(millis));
            self.figure(what, range(before), range(now), text, false);
        }
        if let (Some(before), Some(now)) = (&old.log_out, &new.log_out) {
            let part = |alive: usize, trials: usize| 1.0 - alive as f64 / trials.max(1) as f64;
            let (before, now) = (part(before.alive, before.trials), part(now.alive, now.trials));
            self.kept(format!("{name}: log-outs that held"), before, now);
        }
    }

    fn speed(&mut self, name: &str, old: &Speed, new: &Speed) {
        let what = format!("{name}: {}, {} tasks", new.deed.title(), new.tasks);
        let range = |speed: &Speed| (speed.least(), speed.median(), speed.most());
        self.figure(what, range(old), range(new), |speed| format!("{}/s", compact(speed)), true);
    }

    /// A figure with its range over rounds: a change is clear when both ranges have nothing in common.
    fn figure(
        &mut self,
        what: String,
        old: (f64, f64, f64),
        new: (f64, f64, f64),
        text: impl Fn(f64) -> String,
        more_is_better: bool,
    ) {
        if old.0 <= new.2 && new.0 <= old.2 {
            self.within_noise += 1;
            return;
        }
        let (before, now) = (text(old.1), text(new.1));
        let better = (new.1 > old.1) == more_is_better;
        self.clear.push(Change { what, before, now, factor: Some(new.1 / old.1), better });
    }

    /// What is right or wrong has no noise.
    fn kept(&mut self, what: String, old: f64, new: f64) {
        if (old - new).abs() < 1e-9 {
            return;
        }
        let (before, now) = (percent(old), percent(new));
        self.clear.push(Change { what, before, now, factor: None, better: new > old });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::{
        Deed,
        tests::{results, speed},
    };

    #[test]
    fn rounds_that_overlap_are_noise_and_others_are_not() {
        let (old, mut new) = (results(), results());
        assert_eq!(between(&old, &new).clear, []);
        new.outcomes[3].speeds = vec![speed(Deed::Read, &[85.0, 95.0, 100.0])];
        assert_eq!((between(&old, &new).clear.len(), between(&old, &new).within_noise), (0, 4));
        new.outcomes[3].speeds = vec![speed(Deed::Read, &[91.0, 95.0, 100.0])];
        let changes = between(&old, &new);
        assert_eq!((changes.clear.len(), changes.within_noise), (1, 3));
        assert!(changes.clear[0].better && changes.clear[0].what.contains("session on Redis"));
    }

    #[test]
    fn another_machine_is_told() {
        let (old, mut new) = (results(), results());
        assert_eq!(between(&old, &new).warning, None);
        new.machine.processor = "another".to_owned();
        assert!(between(&old, &new).warning.unwrap().contains("another machine"));
    }
}
