//! What a run came to, as it is written and read as JSON.

use serde::{Deserialize, Serialize};

use super::{
    candidate::{Facts, Side},
    kind::Kind,
    library::Mode,
    wire::Traffic,
};
use crate::{
    machine::Machine,
    measure::{Result, median},
};

/// Raised when a reader of old files would misread new ones.
const FORMAT: u32 = 1;

/// Everything that a run came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Results {
    format: u32,
    /// The day, as in `2026-11-22`.
    pub(crate) date: String,
    pub(crate) seconds: f64,
    pub(crate) settings: Settings,
    pub(crate) machine: Machine,
    pub(crate) places: Vec<PlaceFacts>,
    pub(crate) left_out: Vec<(String, String)>,
    pub(crate) outcomes: Vec<Outcome>,
}

/// What a run was told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) rounds: usize,
    pub(crate) seed: u64,
    /// Milliseconds for which a candidate is measured in each round.
    pub(crate) slice: u64,
    pub(crate) sessions: usize,
    pub(crate) bytes: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlaceFacts {
    pub(crate) kind: Kind,
    pub(crate) title: String,
    /// Bytes that the server's process used at the end.
    pub(crate) memory: Option<u64>,
}

/// What one candidate came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) facts: Facts,
    /// Bytes that the server or the folder grew by for each session.
    pub(crate) stored: Option<f64>,
    /// Bytes that a program of its own grew by at work.
    #[serde(default)]
    pub(crate) memory: Option<u64>,
    pub(crate) speeds: Vec<Speed>,
    pub(crate) costs: Vec<Cost>,
    pub(crate) bursts: Vec<Bursts>,
    pub(crate) log_out: Option<LogOut>,
    pub(crate) sweep: Option<Sweep>,
    pub(crate) growth: Vec<Point>,
    pub(crate) sizes: Vec<Point>,
}

/// What requests do again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Deed {
    Read,
    Change,
    Touch,
    Cycle,
    Locked,
    Mixed,
}

impl Deed {
    pub(crate) const ALL: [Self; 6] =
        [Self::Read, Self::Change, Self::Touch, Self::Cycle, Self::Locked, Self::Mixed];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Read => "Read one entry",
            Self::Change => "Read and save one entry",
            Self::Touch => "Read and extend the life",
            Self::Cycle => "Create and destroy",
            Self::Locked => "Locked cycle",
            Self::Mixed => "Mixed traffic",
        }
    }

    /// For plots.
    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Change => "Read, save",
            Self::Touch => "Extend",
            Self::Cycle => "Create, destroy",
            Self::Locked => "Locked cycle",
            Self::Mixed => "Mixed",
        }
    }
}

/// One deed with so many tasks, in each round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Speed {
    pub(crate) deed: Deed,
    pub(crate) tasks: usize,
    pub(crate) rounds: Vec<Sample>,
    /// Over all rounds, in microseconds: of 50, 95, 99 and 99.9 %.
    pub(crate) latency: [f64; 4],
    pub(crate) first_error: Option<String>,
}

/// What one round came to.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    /// Microseconds of 50, 95, 99 and 99.9 % of the requests.
    pub(crate) latency: [f64; 4],
    /// Microseconds of CPU for each request: in the program, and in the server.
    pub(crate) cpu: f64,
    pub(crate) server: f64,
    pub(crate) errors: u64,
    /// Requests that found no session although its user had not logged out.
    pub(crate) missed: u64,
    /// Log-ins under an id that another log-in had just replaced.
    #[serde(default)]
    pub(crate) refused: u64,
}

/// What one request is for the server, by the counting of a proxy and of the server itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) deed: Deed,
    pub(crate) traffic: Traffic,
    pub(crate) calls: Vec<(String, f64)>,
}

/// Which bursts of requests on one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shape {
    /// Many updates as fast as they go.
    Hot,
    /// The parallel requests of one page, each with work of its own.
    Page,
}

impl Shape {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Hot => "Updates of one session",
            Self::Page => "Page of six requests",
        }
    }
}

/// Bursts in one mode.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bursts {
    pub(crate) shape: Shape,
    pub(crate) mode: Mode,
    pub(crate) rounds: Vec<Burst>,
    pub(crate) first_error: Option<String>,
}

/// What one burst came to.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Burst {
    /// Requests that were answered well.
    pub(crate) made: usize,
    pub(crate) failed: usize,
    /// What is left of them in the count that all add to.
    pub(crate) count: u64,
    /// What is left of the entries that each sets.
    pub(crate) entries: usize,
    pub(crate) millis: f64,
    /// Milliseconds of 50 and 95 % of the requests.
    pub(crate) p50: f64,
    pub(crate) p95: f64,
}

/// Log-outs while saves are in flight.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct LogOut {
    pub(crate) trials: usize,
    /// Sessions whose user is logged in after the log-out.
    pub(crate) alive: usize,
    pub(crate) saves: usize,
    /// Saves that were answered with an error.
    pub(crate) refused: usize,
    pub(crate) first_error: Option<String>,
}

/// A sweep beside traffic.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sweep {
    pub(crate) stored: usize,
    pub(crate) expired: usize,
    pub(crate) deleted: u64,
    pub(crate) seconds: f64,
    /// Of changes: without the sweep, and beside it.
    pub(crate) before: Sample,
    pub(crate) beside: Sample,
}

/// Speed at one number of sessions or at one size.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) at: usize,
    pub(crate) read: Sample,
    pub(crate) change: Sample,
}

impl Results {
    pub(crate) fn new(settings: Settings, machine: Machine) -> Self {
        Self {
            format: FORMAT,
            date: today(),
            seconds: 0.0,
            settings,
            machine,
            places: Vec::new(),
            left_out: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    pub(crate) fn read(json: &[u8]) -> Result<Self> {
        let results: Self = serde_json::from_slice(json)?;
        if results.format != FORMAT {
            return Err(format!("written in format {}, not {FORMAT}", results.format).into());
        }
        Ok(results)
    }

    /// The candidates of a place, ours first and the limit last.
    pub(crate) fn on(&self, kind: Kind) -> Vec<&Outcome> {
        let mut all: Vec<_> = self.outcomes.iter().filter(|it| it.facts.kind == kind).collect();
        all.sort_by_key(|outcome| outcome.facts.side);
        all
    }

    pub(crate) fn ours(&self, kind: Kind) -> Option<&Outcome> {
        self.on(kind).into_iter().find(|outcome| outcome.facts.side == Side::Ours)
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(|kind| self.places.iter().any(|place| place.kind == *kind))
    }

    /// Our speed as a part of that of the bare client, which has no locked cycle.
    pub(crate) fn of_bare(&self, kind: Kind, deed: Deed, tasks: usize) -> Option<Ratio> {
        let bare = self.on(kind).into_iter().find(|it| it.facts.side == Side::Bare)?;
        let limit = if deed == Deed::Locked { Deed::Change } else { deed };
        self.ours(kind)?.speed(deed, tasks)?.ratio(bare.speed(limit, tasks)?)
    }

    /// The fastest peer of the same place, and our speed as a part of its.
    pub(crate) fn of_best_peer(
        &self,
        kind: Kind,
        deed: Deed,
        tasks: usize,
    ) -> Option<(&Outcome, Ratio)> {
        let ours = self.ours(kind)?.speed(deed, tasks)?;
        let peers = self.on(kind).into_iter().filter(|it| it.facts.side == Side::Peer);
        let speeds = peers.filter_map(|peer| Some((peer, peer.speed(deed, tasks)?)));
        let best = speeds.max_by(|(_, one), (_, other)| one.median().total_cmp(&other.median()))?;
        Some((best.0, ours.ratio(best.1)?))
    }
}

impl Outcome {
    pub(crate) fn of(facts: Facts) -> Self {
        Self {
            facts,
            stored: None,
            memory: None,
            speeds: Vec::new(),
            costs: Vec::new(),
            bursts: Vec::new(),
            log_out: None,
            sweep: None,
            growth: Vec::new(),
            sizes: Vec::new(),
        }
    }

    /// Where there is one that did anything.
    pub(crate) fn speed(&self, deed: Deed, tasks: usize) -> Option<&Speed> {
        let mut all = self.speeds.iter().filter(|it| it.deed == deed && it.tasks == tasks);
        all.next().filter(|speed| speed.median() > 0.0)
    }

    pub(crate) fn bursts(&self, shape: Shape) -> impl Iterator<Item = &Bursts> {
        self.bursts.iter().filter(move |bursts| bursts.shape == shape)
    }

    pub(crate) fn cost(&self, deed: Deed) -> Option<&Cost> {
        self.costs.iter().find(|cost| cost.deed == deed)
    }
}

/// A ratio of rounds: the median, the least and the most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Speed {
    /// Requests a second.
    pub(crate) fn median(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.per_second))
    }

    pub(crate) fn least(&self) -> f64 {
        self.rounds.iter().map(|round| round.per_second).fold(f64::MAX, f64::min)
    }

    pub(crate) fn most(&self) -> f64 {
        self.rounds.iter().map(|round| round.per_second).fold(0.0, f64::max)
    }

    /// From the slowest round to the fastest, as a part of the median.
    pub(crate) fn spread(&self) -> f64 {
        (self.most() - self.least()) / self.median()
    }

    pub(crate) fn of(&self, figure: fn(&Sample) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }

    pub(crate) fn errors(&self) -> u64 {
        self.rounds.iter().map(|round| round.errors).sum()
    }

    pub(crate) fn missed(&self) -> u64 {
        self.rounds.iter().map(|round| round.missed).sum()
    }

    pub(crate) fn refused(&self) -> u64 {
        self.rounds.iter().map(|round| round.refused).sum()
    }

    /// Round by round, so that a machine that slows down does not shift it.
    pub(crate) fn ratio(&self, other: &Self) -> Option<Ratio> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        let ratios: Vec<f64> =
            pairs.map(|(own, other)| own.per_second / other.per_second).collect();
        let all = || ratios.iter().copied().filter(|ratio| ratio.is_finite());
        all().next()?;
        Some(Ratio {
            median: median(all()),
            least: all().fold(f64::MAX, f64::min),
            most: all().fold(0.0, f64::max),
        })
    }
}

impl Bursts {
    pub(crate) fn of(&self, figure: fn(&Burst) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }

    /// Over all rounds: requests answered well, and what is left of them in the count and in entries.
    pub(crate) fn kept(&self) -> (usize, u64, usize) {
        let rounds = || self.rounds.iter();
        (
            rounds().map(|burst| burst.made).sum(),
            rounds().map(|burst| burst.count).sum(),
            rounds().map(|burst| burst.entries).sum(),
        )
    }

    pub(crate) fn failed(&self) -> usize {
        self.rounds.iter().map(|burst| burst.failed).sum()
    }
}

fn today() -> String {
    time::OffsetDateTime::now_utc().date().to_string()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn speed(deed: Deed, speeds: &[f64]) -> Speed {
        let sample = |per_second: &f64| Sample { per_second: *per_second, ..Sample::default() };
        Speed {
            deed,
            tasks: 16,
            rounds: speeds.iter().map(sample).collect(),
            latency: [1.0, 2.0, 3.0, 4.0],
            first_error: None,
        }
    }

    fn outcome(name: &str, side: Side, speeds: &[f64]) -> Outcome {
        let facts = Facts {
            name: name.to_owned(),
            side,
            kind: Kind::Redis,
            version: String::new(),
            note: String::new(),
        };
        Outcome { speeds: vec![speed(Deed::Read, speeds)], ..Outcome::of(facts) }
    }

    /// One place with ours, two peers and the limit.
    pub(crate) fn results() -> Results {
        let settings = Settings { rounds: 3, seed: 1, slice: 1, sessions: 1, bytes: 1024 };
        let mut results = Results::new(settings, Machine::look());
        let title = "Redis 7".to_owned();
        results.places.push(PlaceFacts { kind: Kind::Redis, title, memory: None });
        results.outcomes = vec![
            outcome("bare client", Side::Bare, &[10.0, 20.0, 100.0]),
            outcome("slow", Side::Peer, &[5.0, 10.0, 45.0]),
            outcome("fast", Side::Peer, &[10.0, 20.0, 90.0]),
            outcome("session", Side::Ours, &[10.0, 40.0, 90.0]),
        ];
        results
    }

    #[test]
    fn ratios_are_of_rounds_not_of_medians() {
        let results = results();
        let ratio = results.of_bare(Kind::Redis, Deed::Read, 16).unwrap();
        assert_eq!(ratio, Ratio { median: 1.0, least: 0.9, most: 2.0 });
        let (peer, ratio) = results.of_best_peer(Kind::Redis, Deed::Read, 16).unwrap();
        assert_eq!((peer.facts.name.as_str(), ratio.median), ("fast", 1.0));
    }

    #[test]
    fn what_is_written_is_read_and_another_format_is_refused() {
        let results = results();
        let json = serde_json::to_string(&results).unwrap();
        assert_eq!(Results::read(json.as_bytes()).unwrap().outcomes.len(), 4);
        let other = json.replace("\"format\":1", "\"format\":0");
        assert!(Results::read(other.as_bytes()).unwrap_err().to_string().contains("format 0"));
    }
}
