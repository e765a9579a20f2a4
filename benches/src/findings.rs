//! What was found, beside speed.

use std::collections::BTreeMap;

use serde::Serialize;

/// What one step of a contender is for the server.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cost {
    pub(crate) name: &'static str,
    /// How often the server read from the connection: round trips. Not every server counts them.
    pub(crate) round_trips: Option<f64>,
    /// Every command, those that scripts call among them.
    pub(crate) commands: BTreeMap<String, f64>,
}

impl Cost {
    /// As `evalsha 1, get 1, time 1`.
    pub(crate) fn commands(&self) -> String {
        let one = |(name, calls): (&String, &f64)| {
            format!("{name} {}", format!("{calls:.2}").trim_end_matches('0').trim_end_matches('.'))
        };
        self.commands.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// What a burst of requests for one lock came to: medians of several.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Burst {
    pub(crate) requests: usize,
    pub(crate) hold_ms: u128,
    pub(crate) processes: usize,
    pub(crate) way: &'static str,
    /// Milliseconds from asking for the lock to having it.
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    /// Milliseconds until the last request was done.
    pub(crate) total: f64,
    /// What clients sent.
    pub(crate) commands: f64,
}

/// One target, and what was reached.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Verdict {
    pub(crate) target: String,
    pub(crate) reached: f64,
    pub(crate) wanted: f64,
    pub(crate) met: bool,
}

impl Verdict {
    pub(crate) fn new(target: String, reached: f64, wanted: f64) -> Self {
        Self { target, reached, wanted, met: reached >= wanted }
    }
}
