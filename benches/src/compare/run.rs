//! The order in which everything is measured.

use std::{collections::HashMap, time::Instant};

use super::{
    burst,
    candidate::{self, Candidate, LEFT_OUT, Side},
    cost, further,
    histogram::Histogram,
    memory,
    options::Options,
    place::Place,
    process,
    results::{Bursts, Deed, LogOut, Outcome, PlaceFacts, Results, Settings, Shape, Speed},
    sessions::{Sessions, Zipf},
    slice::{Plan, Work, shortened},
};
use crate::{machine::Machine, measure::Result, rounds::show};

/// Tasks at once, for the deeds that are measured with several numbers of them.
pub(crate) const FEW: usize = 1;
pub(crate) const MANY: usize = 16;
/// What is measured, with so many tasks.
const SLICES: [(Deed, usize); 8] = [
    (Deed::Read, FEW),
    (Deed::Read, MANY),
    (Deed::Change, FEW),
    (Deed::Change, MANY),
    (Deed::Touch, MANY),
    (Deed::Cycle, MANY),
    (Deed::Locked, MANY),
    (Deed::Mixed, MANY),
];
/// Log-outs in each round.
const LOG_OUTS: usize = 5;

/// A candidate with its sessions, and what it has come to so far.
struct Runner {
    candidate: Candidate,
    place: usize,
    sessions: Sessions,
    /// Of mixed traffic, which changes their ids.
    traffic: Sessions,
    outcome: Outcome,
    times: HashMap<(Deed, usize), Histogram>,
}

/// A run under way.
pub(crate) struct Run<'a> {
    options: &'a Options,
    began: Instant,
    places: Vec<Place>,
    runners: Vec<Runner>,
    results: Results,
    plan: Plan,
}

impl<'a> Run<'a> {
    /// Starts the servers, and makes the sessions of every candidate.
    pub(crate) async fn start(options: &'a Options) -> Result<Self> {
        fastrand::seed(options.seed);
        let settings = Settings {
            rounds: options.rounds,
            seed: options.seed,
            slice: u64::try_from(options.slice.as_millis())?,
            sessions: options.sessions,
            bytes: options.bytes,
        };
        let warm_up = options.slice / 4;
        let mut run = Self {
            options,
            began: Instant::now(),
            places: Vec::new(),
            runners: Vec::new(),
            results: Results::new(settings, Machine::look()),
            plan: Plan { warm_up, counted: options.slice, seed: options.seed },
        };
        run.open_places().await?;
        for place in 0..run.places.len() {
            run.fill(place).await?;
        }
        if run.runners.is_empty() {
            return Err("there is nothing to measure".into());
        }
        Ok(run)
    }

    async fn open_places(&mut self) -> Result<()> {
        for kind in self.options.kinds() {
            self.show(&format!("starting {}", kind.title()));
            match Place::start(kind).await {
                Ok(Ok(place)) => self.places.push(place),
                Ok(Err(reason)) => self.leave_out(kind.title(), &reason),
                Err(error) => {
                    let reason = format!("does not start: {}", shortened(&error));
                    self.leave_out(kind.title(), &reason);
                }
            }
        }
        for url in &self.options.stores {
            self.places.push(Place::at(url)?);
        }
        if !self.options.kinds().is_empty() {
            LEFT_OUT.iter().for_each(|(name, reason)| self.leave_out(name, reason));
        }
        Ok(())
    }

    fn leave_out(&mut self, name: &str, reason: &str) {
        self.results.left_out.push((name.to_owned(), reason.to_owned()));
    }

    async fn fill(&mut self, index: usize) -> Result<()> {
        let place = &self.places[index];
        let mut all = candidate::at(&place.spot, self.options.bytes, place.own).await?;
        if let Some(only) = &self.options.only {
            all.retain(|candidate| candidate.facts.name.contains(only.as_str()));
        }
        for candidate in all {
            self.show(&format!("{}: making sessions", candidate.facts.full_name()));
            let place = &self.places[index];
            let before = place.stored().await?;
            let made = Sessions::make(&candidate.library, self.options.sessions).await;
            let sessions = match made {
                Ok(sessions) => sessions,
                Err(error) => {
                    let name = candidate.facts.full_name();
                    self.leave_out(&name, &format!("makes no sessions: {}", shortened(&error)));
                    continue;
                }
            };
            let mut outcome = Outcome::of(candidate.facts.clone());
            if let (Some(before), Some(after)) = (before, place.stored().await?) {
                let grown = after.saturating_sub(before) as f64;
                outcome.stored = Some(grown / self.options.sessions as f64);
            }
            let traffic = Sessions::make(&candidate.library, self.options.sessions).await?;
            let times = HashMap::new();
            self.runners.push(Runner {
                candidate,
                place: index,
                sessions,
                traffic,
                outcome,
                times,
            });
        }
        Ok(())
    }

    /// Measures everything, in rounds.
    pub(crate) async fn measure(mut self) -> Result<Results> {
        for round in 1..=self.options.rounds {
            for (deed, tasks) in SLICES {
                self.slices(round, deed, tasks).await?;
            }
            for shape in Shape::ALL {
                self.bursts(round, shape).await?;
            }
            self.log_outs(round).await?;
        }
        self.costs().await?;
        self.memory().await;
        self.further().await;
        Ok(self.finish())
    }

    /// Every candidate once, in an order that is drawn anew.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.runners.len()).collect();
        fastrand::shuffle(&mut order);
        order
    }

    async fn slices(&mut self, round: usize, deed: Deed, tasks: usize) -> Result<()> {
        for index in self.order() {
            let Runner { candidate, place, sessions, traffic, .. } = &self.runners[index];
            if !cost::does(&candidate.library, deed) {
                continue;
            }
            let name = candidate.facts.full_name();
            self.show_round(round, &format!("{}, {tasks} tasks, {name}", deed.title()));
            let sessions = if deed == Deed::Mixed { traffic } else { sessions };
            let (zipf, server) = (Zipf::over(sessions.len()), self.places[*place].process);
            let work = Work { deed, tasks, sessions: sessions.clone(), zipf, server };
            let plan = Plan { seed: self.plan.seed.wrapping_mul(1000) + round as u64, ..self.plan };
            let slice = plan.measure(&candidate.library, &work).await;
            let slice = slice.map_err(|error| format!("{name}: {}: {error}", deed.title()))?;
            let runner = &mut self.runners[index];
            let times = runner.times.entry((deed, tasks)).or_default();
            times.merge(&slice.times);
            let latency = [0.5, 0.95, 0.99, 0.999].map(|part| times.at(part));
            let speed = runner.outcome.speed_of(deed, tasks);
            speed.rounds.push(slice.sample);
            speed.latency = latency;
            speed.first_error = speed.first_error.take().or(slice.first_error);
        }
        Ok(())
    }

    async fn bursts(&mut self, round: usize, shape: Shape) -> Result<()> {
        for index in self.order() {
            let candidate = self.runners[index].candidate.clone();
            if candidate.facts.side == Side::Bare {
                continue;
            }
            for mode in candidate.library.modes() {
                let name = candidate.facts.full_name();
                self.show_round(round, &format!("{}, {}, {name}", shape.title(), mode.name()));
                let (burst, error) = burst::burst(&candidate.library, shape, *mode)
                    .await
                    .map_err(|error| format!("{name}: {}: {error}", shape.title()))?;
                let bursts = self.runners[index].outcome.bursts_of(shape, *mode);
                bursts.rounds.push(burst);
                bursts.first_error = bursts.first_error.take().or(error);
            }
        }
        Ok(())
    }

    async fn log_outs(&mut self, round: usize) -> Result<()> {
        for index in self.order() {
            let candidate = self.runners[index].candidate.clone();
            if candidate.facts.side == Side::Bare {
                continue;
            }
            let name = candidate.facts.full_name();
            self.show_round(round, &format!("log-outs, {name}"));
            let found = burst::log_out(&candidate.library, LOG_OUTS).await;
            let found = found.map_err(|error| format!("{name}: log-out: {error}"))?;
            let all = self.runners[index].outcome.log_out.get_or_insert_with(LogOut::default);
            all.add(found);
        }
        Ok(())
    }

    async fn costs(&mut self) -> Result<()> {
        for (index, place) in self.places.iter().enumerate() {
            self.show(&format!("{}: counting", place.title));
            if !place.own {
                continue;
            }
            let mut costs = cost::of_place(place, self.options.bytes, true).await?;
            for runner in self.runners.iter_mut().filter(|runner| runner.place == index) {
                let name = &runner.candidate.facts.name;
                runner.outcome.costs = costs.remove(name).unwrap_or_default();
            }
        }
        Ok(())
    }

    async fn memory(&mut self) {
        for index in 0..self.runners.len() {
            let Runner { candidate, place, .. } = &self.runners[index];
            let name = candidate.facts.full_name();
            self.show(&format!("memory of {name}"));
            let (bytes, sessions) = (self.options.bytes, self.options.sessions);
            let place = &self.places[*place];
            match memory::of(place, &candidate.facts.name, bytes, sessions).await {
                Ok(grown) => self.runners[index].outcome.memory = Some(grown),
                Err(error) => self.leave_out(&format!("memory of {name}"), &shortened(&error)),
            }
        }
    }

    /// What was asked for beside. Whoever fails there is left out of it.
    async fn further(&mut self) {
        let mut failed = Vec::new();
        for runner in &mut self.runners {
            let (place, candidate) = (&self.places[runner.place], &runner.candidate);
            let mut fails = |what, error| failed.push((what, candidate.facts.full_name(), error));
            if self.options.sweep && place.own {
                match further::sweep(place, candidate, self.plan).await {
                    Ok(sweep) => runner.outcome.sweep = sweep,
                    Err(error) => fails("sweep", error),
                }
            }
            if let Some(most) = self.options.growth {
                match further::growth(place, candidate, self.plan, most).await {
                    Ok(growth) => runner.outcome.growth = growth,
                    Err(error) => fails("growth", error),
                }
            }
        }
        for (index, place) in self.places.iter().enumerate().filter(|_| self.options.sizes) {
            let mut sizes: HashMap<_, _> = match further::sizes(place, place.own, self.plan).await {
                Ok(sizes) => sizes.into_iter().collect(),
                Err(error) => {
                    failed.push(("sizes", place.title.clone(), error));
                    continue;
                }
            };
            for runner in self.runners.iter_mut().filter(|runner| runner.place == index) {
                let name = &runner.candidate.facts.name;
                runner.outcome.sizes = sizes.remove(name).unwrap_or_default();
            }
        }
        for (what, name, error) in failed {
            self.leave_out(&format!("{what} of {name}"), &shortened(&error));
        }
    }

    fn finish(mut self) -> Results {
        let facts = |place: &Place| PlaceFacts {
            kind: place.spot.kind,
            title: place.title.clone(),
            memory: place.process.and_then(process::memory),
        };
        self.results.places = self.places.iter().map(facts).collect();
        self.results.outcomes = self.runners.into_iter().map(|runner| runner.outcome).collect();
        self.results.machine.look_again();
        self.results.seconds = self.began.elapsed().as_secs_f64();
        self.results
    }

    fn show_round(&self, round: usize, text: &str) {
        self.show(&format!("round {round} of {}: {text}", self.options.rounds));
    }

    fn show(&self, text: &str) {
        let seconds = self.began.elapsed().as_secs();
        show(&format!("{:02}:{:02} {text}", seconds / 60, seconds % 60));
    }
}

impl Outcome {
    fn speed_of(&mut self, deed: Deed, tasks: usize) -> &mut Speed {
        let known = self.speeds.iter().position(|it| it.deed == deed && it.tasks == tasks);
        let index = known.unwrap_or_else(|| {
            let (rounds, latency, first_error) = (Vec::new(), [0.0; 4], None);
            self.speeds.push(Speed { deed, tasks, rounds, latency, first_error });
            self.speeds.len() - 1
        });
        &mut self.speeds[index]
    }

    fn bursts_of(&mut self, shape: Shape, mode: super::library::Mode) -> &mut Bursts {
        let known = self.bursts.iter().position(|it| it.shape == shape && it.mode == mode);
        let index = known.unwrap_or_else(|| {
            self.bursts.push(Bursts { shape, mode, rounds: Vec::new(), first_error: None });
            self.bursts.len() - 1
        });
        &mut self.bursts[index]
    }
}

impl LogOut {
    fn add(&mut self, other: Self) {
        self.trials += other.trials;
        self.alive += other.alive;
        self.saves += other.saves;
        self.refused += other.refused;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}
