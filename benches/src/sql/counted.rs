//! What each operation costs the server, counted by the server.

use super::place::Place;
use crate::{
    findings::Cost,
    measure::{Contender, Plan, Result},
};

const STEPS: u64 = 50;
/// Kinds that MySQL counts beside the statement itself.
const BESIDE: [&str; 2] = ["stmt_execute", "stmt_reset"];

pub(super) async fn count(place: &Place, plan: &Plan, contender: &Contender) -> Result<Cost> {
    // What happens once, such as preparing a statement.
    plan.steps(contender, 20).await?;
    let before = place.statements().await?;
    plan.steps(contender, STEPS).await?;
    let since = place.statements().await?.since(&before);
    let each = |count: u64| count as f64 / STEPS as f64;
    let named = |kind: &String| match kind.as_str() {
        "" | "admin_commands" => "ping".to_owned(),
        _ => kind.clone(),
    };
    let calls = since.all_calls().iter().filter(|(kind, _)| !BESIDE.contains(&kind.as_str()));
    let calls = calls.map(|(kind, calls)| (named(kind), each(*calls)));
    let commands = calls.filter(|(_, calls)| *calls >= 0.01).collect();
    Ok(Cost { name: contender.name, round_trips: None, commands })
}
