//! What each operation costs the server, counted by the server.

use super::place::Place;
use crate::{
    findings::Cost,
    measure::{Contender, Plan, Result},
};

const STEPS: u64 = 200;

pub(crate) async fn count(place: &Place, plan: &Plan, contender: &Contender) -> Result<Cost> {
    // What happens once, such as loading a script.
    plan.steps(contender, 20).await?;
    let before = place.traffic().await?;
    plan.steps(contender, STEPS).await?;
    let counts = place.since(&before).await?;
    let each = |count: u64| count as f64 / STEPS as f64;
    let commands = counts.calls.into_iter().map(|(name, calls)| (name, each(calls)));
    let commands = commands.filter(|(_, calls)| *calls >= 0.01).collect();
    Ok(Cost { name: contender.name, round_trips: Some(each(counts.reads)), commands })
}
