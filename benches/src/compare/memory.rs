//! What memory a library takes, in a program of its own, as all others are in this one.

use std::{env, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{process::Command, time::timeout};

use super::{
    candidate,
    library::Library,
    place::{Place, Spot},
    process,
    results::Deed,
    sessions::{Sessions, Zipf},
    slice::{Plan, Work},
};
use crate::measure::Result;

/// What the program is called with.
pub(crate) const WORD: &str = "memory-of";
/// Requests at once.
const TASKS: usize = 64;
/// Who takes longer is not measured.
const LIMIT: Duration = Duration::from_secs(60);

/// What such a program is told.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    spot: Spot,
    name: String,
    bytes: usize,
    sessions: usize,
    peers: bool,
}

/// Bytes that a program grows by which does nothing but this candidate's work.
pub(crate) async fn of(place: &Place, name: &str, bytes: usize, sessions: usize) -> Result<u64> {
    let (spot, name) = (place.spot.clone(), name.to_owned());
    let order = Order { spot, name, bytes, sessions, peers: place.own };
    let mut program = Command::new(env::current_exe()?);
    program.args([WORD, &serde_json::to_string(&order)?]).kill_on_drop(true);
    let output = timeout(LIMIT, program.output()).await??;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// The program: opens every candidate of the place, puts one to work, prints what it grew by.
pub(crate) async fn report(mut words: impl Iterator<Item = String>) -> Result<()> {
    let order: Order = serde_json::from_str(&words.next().ok_or("no order")?)?;
    let all = candidate::at(&order.spot, order.bytes, order.peers).await?;
    let candidate = all.iter().find(|candidate| candidate.facts.name == order.name);
    let library = &candidate.ok_or("no such candidate")?.library;
    println!("{}", growth(library, order.sessions).await?);
    Ok(())
}

async fn growth(library: &Arc<dyn Library>, count: usize) -> Result<u64> {
    let before = used(library)?;
    let sessions = Sessions::make(library, count).await?;
    let zipf = Zipf::over(sessions.len());
    let work = Work { deed: Deed::Mixed, tasks: TASKS, sessions, zipf, server: None };
    let (warm_up, counted) = (Duration::ZERO, Duration::from_millis(500));
    Plan { warm_up, counted, seed: 1 }.measure(library, &work).await?;
    Ok(used(library)?.saturating_sub(before))
}

/// By this program, and by processes of the library.
fn used(library: &Arc<dyn Library>) -> Result<u64> {
    let own = i32::try_from(std::process::id())?;
    let all = library.processes().into_iter().chain([own]);
    Ok(all.filter_map(process::own_memory).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::kind::Kind;

    #[tokio::test]
    async fn a_library_that_keeps_all_in_memory_grows_by_it() {
        let place = Place::start(Kind::Memory).await.unwrap().unwrap();
        let all = candidate::at(&place.spot, 1 << 19, false).await.unwrap();
        let grown = growth(&all[0].library, 128).await.unwrap();
        // What other tests give back meanwhile is far less.
        assert!(grown > 32 << 20, "{grown}");
    }
}
