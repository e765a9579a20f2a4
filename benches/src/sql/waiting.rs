//! Bursts of requests for one session's lock.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use session_core::{
    ErrorKind, Expected, Key, KeyHasher, LockQueue, LockRequest, Locked, OpToken, SessionId,
    SessionStore, Then, Write,
};
use session_sql::SqlStore;
use tokio::{sync::Barrier, task::JoinSet, time::sleep};

use super::{
    line::{self, Line},
    ours,
    place::Place,
};
use crate::{
    findings::Burst,
    measure::{Result, median, percentile},
    options::Options,
    rounds::show,
    setup::TTL,
};

/// Longer than any burst.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
const PROCESSES: usize = 3;
/// How many requests come at once, and how long each holds the lock.
const BURSTS: [(usize, Duration); 3] = [
    (6, Duration::from_millis(30)),
    (20, Duration::from_millis(50)),
    (50, Duration::from_millis(10)),
];

/// How a request waits for the lock.
#[derive(Debug, Clone)]
enum Way {
    /// As our store does.
    Store,
    /// The head of each process's line looks again after a random pause below a limit that doubles
    /// from the first to the second.
    Jitter(&'static str, Duration, Duration),
    /// With statements of its own.
    Model(&'static str, Arc<Vec<Line>>),
}

impl Way {
    fn name(&self) -> &'static str {
        match self {
            Self::Store => "session-sql",
            Self::Jitter(name, ..) | Self::Model(name, _) => name,
        }
    }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) async fn run(place: &Place, options: &Options) -> Result<Vec<Burst>> {
    let mut handles = Vec::new();
    for _ in 0..PROCESSES {
        let (store, queue) = (ours::open(place).await?, LockQueue::new(64));
        handles.push(Handle { store, queue: Arc::new(queue) });
    }
    let mut ways = vec![
        Way::Store,
        Way::Jitter("polling, 5 to 100 ms", millis(5), millis(100)),
        Way::Jitter("polling, 2 to 25 ms", millis(2), millis(25)),
    ];
    let models = line::models(place, PROCESSES).await?;
    ways.extend(models.into_iter().map(|(name, lines)| Way::Model(name, Arc::new(lines))));
    let mut bursts = Vec::new();
    for (requests, hold) in BURSTS {
        let mut all: Vec<Vec<Burst>> = vec![Vec::new(); ways.len()];
        for _ in 0..if options.quick { 3 } else { 7 } {
            for (way, found) in ways.iter().zip(&mut all) {
                show(&format!("{requests} requests of {} ms, {}", hold.as_millis(), way.name()));
                let case = Case { place, handles: &handles, requests, hold, way };
                found.push(case.once().await?);
            }
        }
        for found in all {
            bursts.push(medians(&found)?);
        }
    }
    show("");
    Ok(bursts)
}

fn medians(bursts: &[Burst]) -> Result<Burst> {
    let of = |figure: fn(&Burst) -> f64| median(bursts.iter().map(figure));
    Ok(Burst {
        p50: of(|burst| burst.p50),
        p95: of(|burst| burst.p95),
        total: of(|burst| burst.total),
        commands: of(|burst| burst.commands),
        ..bursts.first().ok_or("no burst")?.clone()
    })
}

/// What one process of a fleet has.
#[derive(Clone)]
struct Handle {
    store: SqlStore,
    queue: Arc<LockQueue>,
}

struct Case<'a> {
    place: &'a Place,
    handles: &'a [Handle],
    requests: usize,
    hold: Duration,
    way: &'a Way,
}

impl Case<'_> {
    async fn once(&self) -> Result<Burst> {
        let key = KeyHasher::plain().key(&SessionId::generate()?);
        let first = &self.handles.first().ok_or("no store")?.store;
        let payload = Bytes::from(vec![7; 1024]);
        first.create(&key, Write::new(payload, TTL), OpToken::generate()?, None).await?;
        if let Way::Model(_, lines) = self.way {
            lines.first().ok_or("no line")?.begin(&key).await?;
        }
        let counts = self.place.server().is_some();
        let before = if counts { Some(self.place.statements().await?) } else { None };
        let began = Instant::now();
        let mut waits = self.requests(&key).await?;
        let total = began.elapsed();
        let commands = match before {
            Some(before) => self.place.statements().await?.since(&before).total() as f64,
            None => f64::NAN,
        };
        waits.sort_unstable();
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let at = |part| percentile(&waits, part).map_or(f64::NAN, millis);
        Ok(Burst {
            requests: self.requests,
            hold_ms: self.hold.as_millis(),
            processes: self.handles.len(),
            way: self.way.name(),
            p50: at(0.5),
            p95: at(0.95),
            total: millis(total),
            commands,
        })
    }

    /// All requests at once; returns how long each waited.
    async fn requests(&self, key: &Key) -> Result<Vec<Duration>> {
        let together = Arc::new(Barrier::new(self.requests));
        let mut running = JoinSet::new();
        for at in 0..self.requests {
            let process = at % self.handles.len();
            let (handle, key, together) =
                (self.handles[process].clone(), key.clone(), Arc::clone(&together));
            let (hold, way) = (self.hold, self.way.clone());
            running.spawn(async move {
                together.wait().await;
                match &way {
                    Way::Model(_, lines) => lines[process].request(&key, hold).await,
                    _ => request(&handle, &key, hold, &way).await,
                }
            });
        }
        let mut waits = Vec::new();
        while let Some(wait) = running.join_next().await {
            waits.push(wait??);
        }
        Ok(waits)
    }
}

/// One request: takes the lock, works, and commits with release.
async fn request(handle: &Handle, key: &Key, hold: Duration, way: &Way) -> Result<Duration> {
    let began = Instant::now();
    let store = &handle.store;
    let locked = match way {
        Way::Jitter(_, first, most) => poll(handle, key, *first, *most).await?,
        _ => lock(store, key, PATIENCE).await?.ok_or("the lock was not to be had")?,
    };
    let waited = began.elapsed();
    let (Some(lease), Some(record)) = (locked.lease, locked.record) else {
        return Err("no lease, or no record".into());
    };
    sleep(hold).await;
    let (write, op) = (Write::new(record.payload, TTL), OpToken::generate()?);
    let then = Then::Release;
    let expected = Expected::Lease { lease: &lease, revision: record.revision, then };
    store.save(key, write, expected, op).await?;
    handle.queue.wake(key.digest());
    Ok(waited)
}

async fn lock(store: &SqlStore, key: &Key, wait: Duration) -> Result<Option<Locked>> {
    let request = LockRequest::new(OpToken::generate()?, PATIENCE, wait);
    match store.lock(key, request).await {
        Ok(locked) => Ok(Some(locked)),
        Err(error) if error.kind() == ErrorKind::LockTimeout => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn poll(handle: &Handle, key: &Key, first: Duration, most: Duration) -> Result<Locked> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let turn = handle.queue.enter(key.digest(), deadline).await;
    let turn = turn.map_err(|_queue| "no place in the line")?;
    let mut limit = first;
    loop {
        if let Some(locked) = lock(&handle.store, key, Duration::ZERO).await? {
            return Ok(locked);
        }
        turn.wait(limit.mul_f64(fastrand::f64())).await;
        limit = (limit * 2).min(most);
    }
}
