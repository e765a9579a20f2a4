//! Bursts of requests for one session's lock.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use session_core::{
    ErrorKind, Expected, Key, KeyHasher, LockRequest, Locked, OpToken, SessionId, SessionStore,
    Then, Write,
};
use session_redis::RedisStore;
use tokio::{sync::Barrier, task::JoinSet, time::sleep};

use super::place::Place;
use crate::{
    findings::Burst,
    measure::{Result, median, percentile},
    options::Options,
    rounds::show,
    setup::TTL,
};

/// Longer than any burst.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many requests come at once, and how long each holds the lock.
const BURSTS: [(usize, Duration); 3] = [
    (6, Duration::from_millis(30)),
    (20, Duration::from_millis(50)),
    (50, Duration::from_millis(10)),
];

/// How a request waits for the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As our store does: told of the release.
    Told,
    /// Looks again after a random pause below a limit that doubles from 5 to 100 ms.
    Jitter,
    /// Looks again every 500 ms.
    Fixed,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Told => "told of the release",
            Self::Jitter => "polling, 5 to 100 ms with jitter",
            Self::Fixed => "polling every 500 ms",
        }
    }
}

pub(crate) async fn run(place: &Place, options: &Options) -> Result<Vec<Burst>> {
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(RedisStore::open(&place.our_url()).await?);
    }
    let mut bursts = Vec::new();
    for (requests, hold) in BURSTS {
        for processes in [1, 3] {
            for way in [Way::Told, Way::Jitter, Way::Fixed] {
                let rare = way == Way::Fixed;
                if rare && options.quick && requests > 6 {
                    continue;
                }
                show(&format!("{requests} requests of {} ms, {}", hold.as_millis(), way.name()));
                let stores = stores.get(..processes).unwrap_or_default();
                let case = Case { place, stores, requests, hold, way };
                bursts.push(case.median_of(if rare { 1 } else { 5 }).await?);
            }
        }
    }
    show("");
    Ok(bursts)
}

struct Case<'a> {
    place: &'a Place,
    stores: &'a [RedisStore],
    requests: usize,
    hold: Duration,
    way: Way,
}

impl Case<'_> {
    async fn median_of(&self, times: usize) -> Result<Burst> {
        let mut bursts = Vec::new();
        for _ in 0..times {
            bursts.push(self.once().await?);
        }
        let of = |figure: fn(&Burst) -> f64| median(bursts.iter().map(figure));
        Ok(Burst {
            p50: of(|burst| burst.p50),
            p95: of(|burst| burst.p95),
            total: of(|burst| burst.total),
            commands: of(|burst| burst.commands),
            ..bursts.first().ok_or("no burst")?.clone()
        })
    }

    async fn once(&self) -> Result<Burst> {
        let key = KeyHasher::plain().key(&SessionId::generate()?);
        let first = self.stores.first().ok_or("no store")?;
        let payload = Bytes::from(vec![7; 1024]);
        first.create(&key, Write::new(payload, TTL), OpToken::generate()?, None).await?;
        let before = self.place.traffic().await?;
        let began = Instant::now();
        let mut waits = self.requests(&key).await?;
        let total = began.elapsed();
        // A subscription is given up after the last release.
        sleep(Duration::from_millis(20)).await;
        let calls = self.place.since(&before).await?.calls;
        let of_clients =
            |(name, _): &(&String, &u64)| SENT.iter().any(|sent| name.starts_with(sent));
        let commands: u64 = calls.iter().filter(of_clients).map(|(_, calls)| calls).sum();
        waits.sort_unstable();
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let at = |part| percentile(&waits, part).map_or(f64::NAN, millis);
        Ok(Burst {
            requests: self.requests,
            hold_ms: self.hold.as_millis(),
            processes: self.stores.len(),
            way: self.way.name(),
            p50: at(0.5),
            p95: at(0.95),
            total: millis(total),
            commands: commands as f64,
        })
    }

    /// All requests at once; returns how long each waited.
    async fn requests(&self, key: &Key) -> Result<Vec<Duration>> {
        let together = Arc::new(Barrier::new(self.requests));
        let mut running = JoinSet::new();
        for store in self.stores.iter().cycle().take(self.requests) {
            let (store, key, together) = (store.clone(), key.clone(), Arc::clone(&together));
            let (hold, way) = (self.hold, self.way);
            running.spawn(async move {
                together.wait().await;
                request(&store, &key, hold, way).await
            });
        }
        let mut waits = Vec::new();
        while let Some(wait) = running.join_next().await {
            waits.push(wait??);
        }
        Ok(waits)
    }
}

/// What clients send; what scripts call has other names.
const SENT: &[&str] = &["eval", "subscribe", "ssubscribe", "unsubscribe", "sunsubscribe"];

/// One request: takes the lock, works, and commits with release.
async fn request(store: &RedisStore, key: &Key, hold: Duration, way: Way) -> Result<Duration> {
    let began = Instant::now();
    let locked = match way {
        Way::Told => lock(store, key, PATIENCE).await?.ok_or("the lock was not to be had")?,
        Way::Jitter | Way::Fixed => poll(store, key, way).await?,
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
    Ok(waited)
}

async fn lock(store: &RedisStore, key: &Key, wait: Duration) -> Result<Option<Locked>> {
    let request = LockRequest::new(OpToken::generate()?, PATIENCE, wait);
    match store.lock(key, request).await {
        Ok(locked) => Ok(Some(locked)),
        Err(error) if error.kind() == ErrorKind::LockTimeout => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn poll(store: &RedisStore, key: &Key, way: Way) -> Result<Locked> {
    let (mut limit, most) = (Duration::from_millis(5), Duration::from_millis(100));
    loop {
        if let Some(locked) = lock(store, key, Duration::ZERO).await? {
            return Ok(locked);
        }
        if way == Way::Fixed {
            sleep(Duration::from_millis(500)).await;
        } else {
            sleep(limit.mul_f64(fastrand::f64())).await;
            limit = (limit * 2).min(most);
        }
    }
}
