//! What one request is for the server, counted beside it.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    candidate::{self, Candidate},
    kind::Kind,
    library::{Change, Library, Mode},
    place::Place,
    results::{Cost, Deed},
    sessions::Sessions,
    wire::Wire,
};
use crate::measure::Result;

/// What happens once, such as loading a script or preparing a statement on each connection.
const WARM_UP: usize = 20;
const REQUESTS: usize = 40;

/// The costs of every candidate of a place, by their names.
pub(crate) async fn of_place(
    place: &Place,
    bytes: usize,
    peers: bool,
) -> Result<BTreeMap<String, Vec<Cost>>> {
    let Some(server) = &place.spot.address else { return Ok(BTreeMap::new()) };
    let wire = Wire::to(server, place.spot.kind == Kind::DynamoDb).await?;
    let spot = place.spot.by_way_of(wire.address());
    let mut all = BTreeMap::new();
    for candidate in candidate::at(&spot, bytes, peers).await? {
        let costs = of_candidate(place, &wire, &candidate).await?;
        all.insert(candidate.facts.name, costs);
    }
    Ok(all)
}

async fn of_candidate(place: &Place, wire: &Wire, candidate: &Candidate) -> Result<Vec<Cost>> {
    let library = &candidate.library;
    let id = Sessions::make(library, 1).await?.id(0);
    let mut costs = Vec::new();
    for deed in [Deed::Read, Deed::Change, Deed::Touch, Deed::Locked, Deed::Cycle] {
        if !does(library, deed) {
            continue;
        }
        repeat(library, deed, &id, WARM_UP).await?;
        let (calls, traffic) = (place.calls().await?, wire.traffic());
        repeat(library, deed, &id, REQUESTS).await?;
        let traffic = wire.traffic().each(&traffic, REQUESTS);
        let counted = match (place.calls().await?, calls) {
            (Some(now), Some(then)) => now.since(&then),
            _ => Vec::new(),
        };
        let each = |(name, calls): (String, u64)| (name, calls as f64 / REQUESTS as f64);
        let calls = counted.into_iter().map(each).filter(|(_, calls)| *calls >= 0.05).collect();
        costs.push(Cost { deed, traffic, calls });
    }
    library.destroy(&id).await?;
    Ok(costs)
}

/// Whether a library can do it at all.
pub(crate) fn does(library: &Arc<dyn Library>, deed: Deed) -> bool {
    match deed {
        Deed::Touch => library.touches(),
        Deed::Locked => library.modes().contains(&Mode::Exclusive),
        _ => true,
    }
}

async fn repeat(library: &Arc<dyn Library>, deed: Deed, id: &str, times: usize) -> Result<()> {
    let usual = library.modes().first().copied().unwrap_or(Mode::Plain);
    for _ in 0..times {
        match deed {
            Deed::Read | Deed::Mixed => drop(library.read(id).await?),
            Deed::Change => drop(library.change(id, &Change::last(), usual).await?),
            Deed::Locked => drop(library.change(id, &Change::last(), Mode::Exclusive).await?),
            Deed::Touch => library.touch(id).await?,
            Deed::Cycle => {
                let fresh = library.create().await?;
                library.destroy(&fresh).await?;
            }
        }
    }
    Ok(())
}
