//! What each operation costs the server, counted by the server.

use std::collections::BTreeMap;

use serde::Serialize;

use super::place::Place;
use crate::measure::{Contender, Plan, Result};

const STEPS: u64 = 200;

/// What one step of a contender is for the server.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cost {
    pub(crate) name: &'static str,
    /// How often the server read from the connection: round trips.
    pub(crate) round_trips: f64,
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

pub(crate) async fn count(place: &Place, plan: &Plan, contender: &Contender) -> Result<Cost> {
    // What happens once, such as loading a script.
    plan.steps(contender, 20).await?;
    let before = place.traffic().await?;
    plan.steps(contender, STEPS).await?;
    let counts = place.since(&before).await?;
    let each = |count: u64| count as f64 / STEPS as f64;
    let commands = counts.calls.into_iter().map(|(name, calls)| (name, each(calls)));
    let commands = commands.filter(|(_, calls)| *calls >= 0.01).collect();
    Ok(Cost { name: contender.name, round_trips: each(counts.reads), commands })
}
