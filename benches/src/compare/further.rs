//! What takes longer and is measured when it is asked for: sweeps, growth, sizes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{
    candidate::{self, Candidate, Side},
    library::Library,
    place::Place,
    results::{Deed, Point, Sample, Sweep},
    sessions::{Sessions, Zipf},
    slice::{Plan, Work},
};
use crate::{measure::Result, rounds::show};

const TASKS: usize = 8;
/// Of 100,000 sessions, the half expires.
const STORED: usize = 100_000;
const EXPIRED: usize = STORED / 2;
/// How long those live that expire: until all of them are made, or a little less.
const SHORT: Duration = Duration::from_secs(2);
/// How many of the makers work at once.
const MAKERS: usize = 32;
/// A sweep is beside traffic for so long at least, from its beginning.
const BESIDE: Duration = Duration::from_secs(2);

/// A sweep by our store beside changes of other sessions; none where the server expires by itself.
pub(crate) async fn sweep(
    place: &Place,
    candidate: &Candidate,
    plan: Plan,
) -> Result<Option<Sweep>> {
    if candidate.facts.side != Side::Ours || candidate.library.sweep().await?.is_none() {
        return Ok(None);
    }
    let library = &candidate.library;
    show(&format!("{}: making {STORED} sessions", candidate.facts.full_name()));
    fill(library, EXPIRED, Some(SHORT)).await?;
    fill(library, STORED - EXPIRED, None).await?;
    sleep(SHORT).await;
    let sessions = Sessions::make(library, 1000).await?;
    let zipf = Zipf::over(sessions.len());
    let work = Work { deed: Deed::Change, tasks: TASKS, sessions, zipf, server: place.process };
    let plan = Plan { counted: BESIDE, ..plan };
    show(&format!("{}: sweeping", candidate.facts.full_name()));
    let before = plan.measure(library, &work).await?.sample;
    let (own, beside_work) = (Arc::clone(library), work.clone());
    let beside = tokio::spawn(async move { plan.measure(&own, &beside_work).await });
    sleep(plan.warm_up).await;
    let began = Instant::now();
    let deleted = library.sweep().await?.unwrap_or_default();
    let seconds = began.elapsed().as_secs_f64();
    let beside = beside.await??.sample;
    let (stored, expired) = (STORED, EXPIRED);
    Ok(Some(Sweep { stored, expired, deleted, seconds, before, beside }))
}

/// Makes sessions that nobody asks for again.
async fn fill(library: &Arc<dyn Library>, count: usize, life: Option<Duration>) -> Result<()> {
    let mut makers = tokio::task::JoinSet::new();
    for maker in 0..MAKERS {
        let (library, share) = (Arc::clone(library), (maker..count).step_by(MAKERS).count());
        makers.spawn(async move {
            for _ in 0..share {
                match life {
                    Some(life) => drop(library.create_for(life).await?),
                    None => drop(library.create().await?),
                }
            }
            Result::Ok(())
        });
    }
    while let Some(made) = makers.join_next().await {
        made??;
    }
    Ok(())
}

/// Speed with 1,000, 10,000 .. up to `most` stored sessions.
pub(crate) async fn growth(
    place: &Place,
    candidate: &Candidate,
    plan: Plan,
    most: usize,
) -> Result<Vec<Point>> {
    let (library, mut points, mut stored) = (&candidate.library, Vec::new(), 0);
    let sessions = Sessions::make(library, 1000).await?;
    let mut at = 1000;
    while at <= most {
        show(&format!("{}: {at} sessions", candidate.facts.full_name()));
        fill(library, (at - 1000).saturating_sub(stored), None).await?;
        stored = at - 1000;
        points.push(point(place, library, &sessions, plan, at).await?);
        at *= 10;
    }
    Ok(points)
}

const SIZES: [usize; 6] = [256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10];

/// Speed with sessions of several sizes, of every candidate of a place, by their names.
pub(crate) async fn sizes(
    place: &Place,
    peers: bool,
    plan: Plan,
) -> Result<Vec<(String, Vec<Point>)>> {
    let mut all: Vec<(String, Vec<Point>)> = Vec::new();
    for bytes in SIZES {
        for candidate in candidate::at(&place.spot, bytes, peers).await? {
            let name = candidate.facts.name.clone();
            show(&format!("{}: {bytes} bytes", candidate.facts.full_name()));
            // What is too large for it is left out of its line.
            let Ok(sessions) = Sessions::make(&candidate.library, 32).await else { continue };
            let point = point(place, &candidate.library, &sessions, plan, bytes).await?;
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some((_, points)) => points.push(point),
                None => all.push((name, vec![point])),
            }
        }
    }
    Ok(all)
}

async fn point(
    place: &Place,
    library: &Arc<dyn Library>,
    sessions: &Sessions,
    plan: Plan,
    at: usize,
) -> Result<Point> {
    let mut samples = [Sample::default(); 2];
    for (deed, sample) in [Deed::Read, Deed::Change].into_iter().zip(&mut samples) {
        let (sessions, zipf) = (sessions.clone(), Zipf::over(sessions.len()));
        let work = Work { deed, tasks: TASKS, sessions, zipf, server: place.process };
        *sample = plan.measure(library, &work).await?.sample;
    }
    let [read, change] = samples;
    Ok(Point { at, read, change })
}
