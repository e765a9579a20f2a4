//! Requests of one session at once: what each takes, and what is left of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Barrier, task::JoinSet, time::timeout};

use super::{
    library::{ADDED, Change, Kept, Library, Mode},
    results::{Burst, LogOut, Shape},
    slice::shortened,
};
use crate::measure::{Result, percentile};

/// A burst that takes longer does not end.
const LIMIT: Duration = Duration::from_secs(120);

impl Shape {
    pub(crate) const ALL: [Self; 2] = [Self::Hot, Self::Page];

    /// Tasks at once, and how many requests each makes, one after the other.
    pub(crate) fn requests(self) -> (usize, usize) {
        match self {
            Self::Hot => (16, 12),
            Self::Page => (6, 1),
        }
    }

    pub(crate) fn work(self) -> Duration {
        match self {
            Self::Hot => Duration::ZERO,
            Self::Page => Duration::from_millis(30),
        }
    }
}

/// One burst on a fresh session.
pub(crate) async fn burst(
    library: &Arc<dyn Library>,
    shape: Shape,
    mode: Mode,
) -> Result<(Burst, Option<String>)> {
    let id: Arc<str> = library.create().await?.into();
    let (tasks, requests) = shape.requests();
    let together = Arc::new(Barrier::new(tasks + 1));
    let mut running = JoinSet::new();
    for task in 0..tasks {
        let (library, id, together) = (Arc::clone(library), Arc::clone(&id), Arc::clone(&together));
        running.spawn(async move {
            let mut outcomes = Vec::with_capacity(requests);
            together.wait().await;
            for request in 0..requests {
                let entry = format!("{ADDED}{}", task * requests + request);
                let change = Change { entry, work: shape.work() };
                let began = Instant::now();
                let outcome = library.change(&id, &change, mode).await;
                outcomes.push((began.elapsed(), outcome.err().map(|error| shortened(&error))));
            }
            outcomes
        });
    }
    together.wait().await;
    let began = Instant::now();
    let mut outcomes = Vec::new();
    while let Some(done) = timeout(LIMIT, running.join_next()).await? {
        outcomes.append(&mut done?);
    }
    let millis = in_millis(began.elapsed());
    // A library may have made its own session unreadable: then nothing of it is left.
    let (kept, unreadable) = match library.kept(&id).await {
        Ok(kept) => (kept.unwrap_or_default(), None),
        Err(error) => (Kept::default(), Some(shortened(&error))),
    };
    let ended = library.destroy(&id).await.map_err(|error| shortened(&error)).err();
    let first_error = outcomes.iter().find_map(|(_, error)| error.clone());
    let first_error = first_error.or(unreadable).or(ended);
    let mut times: Vec<f64> = Vec::new();
    for (time, error) in &outcomes {
        if error.is_none() {
            times.push(in_millis(*time));
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |part| percentile(&times, part).unwrap_or_default();
    let burst = Burst {
        made: times.len(),
        failed: outcomes.len() - times.len(),
        count: kept.count,
        entries: kept.entries,
        millis,
        p50: at(0.5),
        p95: at(0.95),
    };
    Ok((burst, first_error))
}

fn in_millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

const SAVERS: usize = 4;
/// How long a request works that saves after the log-out.
const WORK: Duration = Duration::from_millis(20);
/// When the user logs out, so that all of them have read.
const LOG_OUT: Duration = Duration::from_millis(10);

/// Log-outs while saves are in flight, in several sessions.
pub(crate) async fn log_out(library: &Arc<dyn Library>, trials: usize) -> Result<LogOut> {
    let mode = library.modes().first().copied().unwrap_or(Mode::Plain);
    let mut found = LogOut { trials, ..LogOut::default() };
    for _ in 0..trials {
        let id: Arc<str> = library.create().await?.into();
        let mut savers = JoinSet::new();
        for saver in 0..SAVERS {
            let (library, id) = (Arc::clone(library), Arc::clone(&id));
            savers.spawn(async move {
                let change = Change { entry: format!("{ADDED}{saver}"), work: WORK };
                library.change(&id, &change, mode).await
            });
        }
        tokio::time::sleep(LOG_OUT).await;
        if let Err(error) = library.destroy(&id).await {
            found.first_error.get_or_insert_with(|| shortened(&error));
        }
        let mut ids = vec![id.to_string()];
        while let Some(saved) = timeout(LIMIT, savers.join_next()).await? {
            found.saves += 1;
            match saved? {
                Ok(now) => ids.extend(now),
                Err(error) => {
                    found.refused += 1;
                    found.first_error.get_or_insert_with(|| shortened(&error));
                }
            }
        }
        found.alive += usize::from(any_alive(library, &ids).await);
    }
    Ok(found)
}

async fn any_alive(library: &Arc<dyn Library>, ids: &[String]) -> bool {
    for id in ids {
        // What cannot be read is nobody's session.
        if let Ok(Some(_)) = library.kept(id).await {
            return true;
        }
    }
    false
}
