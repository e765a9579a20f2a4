//! What users and instances do, the same in each run with the same seed.

use fastrand::Rng;

use crate::fleet::State;

/// What users and instances do.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) seed: u64,
    pub(crate) users: usize,
    clicks: usize,
    incidents: &'static [Kind],
}

/// What a user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Click {
    /// Puts something into the cart.
    Add,
    /// Changes his name.
    Rename,
    /// Counts.
    Count,
    /// Opens a page that sends four requests at once, three of which change the session.
    Page,
}

impl Click {
    /// How many requests it takes when nothing fails.
    pub(crate) const fn requests(self) -> u64 {
        match self {
            Self::Page => 4,
            Self::Rename => 2,
            Self::Add | Self::Count => 1,
        }
    }
}

/// What befalls an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Kill,
    Restart,
    ScaleUp,
    ScaleDown,
}

/// What befalls which instance, after so many requests of all users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incident {
    pub(crate) after: u64,
    pub(crate) kind: Kind,
    pub(crate) instance: usize,
}

const TURBULENT: &[Kind] = &[
    Kind::Kill,
    Kind::ScaleUp,
    Kind::Restart,
    Kind::Kill,
    Kind::Kill,
    Kind::Restart,
    Kind::ScaleDown,
    Kind::Restart,
    Kind::Kill,
    Kind::ScaleUp,
    Kind::Restart,
    Kind::ScaleDown,
];

impl Plan {
    /// Two hundred users, while nothing happens to instances.
    #[must_use]
    pub fn calm() -> Self {
        Self { seed: 2026, users: 200, clicks: 4, incidents: &[] }
    }

    /// Instances are killed, started again, added and taken away all the time.
    #[must_use]
    pub fn turbulent() -> Self {
        Self { clicks: 10, incidents: TURBULENT, ..Self::calm() }
    }

    /// One instance is killed half-way.
    #[must_use]
    pub fn one_dies() -> Self {
        Self { incidents: &[Kind::Kill], ..Self::calm() }
    }

    /// With other chances.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// With so many users.
    #[must_use]
    pub fn users(mut self, users: usize) -> Self {
        self.users = users.max(1);
        self
    }

    /// What the user of this number does after he has logged in. Everybody opens a page first and
    /// last.
    pub(crate) fn clicks(&self, user: usize) -> Vec<Click> {
        let mut chance =
            Rng::with_seed(self.seed.wrapping_mul(1_000_003).wrapping_add(user as u64));
        let choices = [Click::Add, Click::Add, Click::Rename, Click::Count, Click::Page];
        let middle = (0..self.clicks).map(|_| chance.choice(choices).unwrap_or(Click::Page));
        let middle: Vec<Click> = middle.collect();
        [&[Click::Page], middle.as_slice(), &[Click::Page]].concat()
    }

    /// How many requests the users send at least.
    pub(crate) fn requests(&self) -> u64 {
        let clicks = (0..self.users).flat_map(|user| self.clicks(user));
        self.users as u64 + clicks.map(Click::requests).sum::<u64>()
    }

    /// What befalls the instances, spread evenly over the requests. Two instances are always left.
    pub(crate) fn incidents(&self, mut states: Vec<State>) -> Vec<Incident> {
        let mut chance = Rng::with_seed(self.seed);
        let (requests, parts) = (self.requests(), self.incidents.len() as u64 + 1);
        let mut incidents = Vec::new();
        for (part, kind) in (1..).zip(self.incidents) {
            let (from, to) = match kind {
                Kind::Kill => (State::Up, State::Killed),
                Kind::Restart => (State::Killed, State::Up),
                Kind::ScaleUp => (State::Off, State::Up),
                Kind::ScaleDown => (State::Up, State::Off),
            };
            let up = states.iter().filter(|state| **state == State::Up).count();
            let fit = (0..states.len()).filter(|index| states.get(*index) == Some(&from));
            let instance = chance.choice(fit.collect::<Vec<_>>());
            let Some(instance) = instance.filter(|_| from != State::Up || up > 2) else { continue };
            if let Some(state) = states.get_mut(instance) {
                *state = to;
            }
            incidents.push(Incident { after: requests * part / parts, kind: *kind, instance });
        }
        incidents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: [State; 6] = [State::Up, State::Up, State::Up, State::Up, State::Off, State::Off];

    #[test]
    fn the_same_seed_makes_the_same_plan_and_another_another() {
        let plan = Plan::turbulent();
        let incidents = |plan: &Plan| plan.incidents(FOUR.to_vec());
        assert_eq!(incidents(&plan), incidents(&plan.clone()));
        assert_eq!(plan.clicks(7), plan.clone().clicks(7));
        assert_ne!(incidents(&plan), incidents(&plan.clone().seed(1)));
        assert_ne!(plan.clicks(7), plan.clicks(8));
    }

    #[test]
    fn whatever_the_seed_all_incidents_happen_and_two_instances_are_left() {
        for seed in 0..200 {
            let plan = Plan::turbulent().seed(seed);
            let mut states = FOUR.to_vec();
            let incidents = plan.incidents(states.clone());
            assert_eq!(incidents.len(), TURBULENT.len());
            for incident in incidents {
                states[incident.instance] = match incident.kind {
                    Kind::Kill => State::Killed,
                    Kind::ScaleDown => State::Off,
                    Kind::Restart | Kind::ScaleUp => State::Up,
                };
                assert!(states.iter().filter(|state| **state == State::Up).count() >= 2);
                assert!(incident.after < plan.requests());
            }
        }
    }
}
