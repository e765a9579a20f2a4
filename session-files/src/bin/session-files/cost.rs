//! What the store says to the mount, and what its operations cost there.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use session_core::{
    Expected, Incarnation, Key, KeyHasher, LockRequest, OpToken, ReadOptions, Record, SessionId,
    SessionStore, Then, Write,
};
use session_files::FilesStore;
use tokio::runtime::Runtime;

use crate::{
    meeting::{Meeting, Result},
    report::{Cost, Report},
};

const TIMES: u32 = 50;
const HOUR: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the store does not open in the directory.
pub(crate) async fn refusal(directory: &Path) -> Option<String> {
    FilesStore::open(directory).await.err().map(|error| error.to_string())
}

/// Does each operation some times, on all machines at once.
pub(crate) fn measure(runtime: &Runtime, meeting: &Meeting, report: &mut Report) -> Result<()> {
    let place = meeting.path("store");
    let store = runtime.block_on(FilesStore::builder(&place).timeout(PATIENCE).open())?;
    let key = KeyHasher::plain().key(&SessionId::generate()?);
    runtime.block_on(store.create(&key, Write::new("0", HOUR), op()?, None))?;
    meeting.meet("cost")?;
    let mut meter = Meter { runtime, place: &place, report };
    meter.time("read", || found(&store, &key))?;
    meter.time("read and save", || save(&store, &key))?;
    meter.time("lock, read, save, release", || cycle(&store, &key))?;
    let incarnation = runtime.block_on(found(&store, &key))?.revision.incarnation();
    meter.time("touch", || touch(&store, &key, incarnation))?;
    runtime.block_on(store.delete(&key, Expected::Any, op()?))?;
    meeting.meet("measured")
}

async fn save(store: &FilesStore, key: &Key) -> Result<()> {
    let revision = found(store, key).await?.revision;
    store.save(key, Write::new("1", HOUR), Expected::Revision(revision), op()?).await?;
    Ok(())
}

async fn touch(store: &FilesStore, key: &Key, incarnation: Incarnation) -> Result<()> {
    Ok(store.touch(key, HOUR.into(), incarnation, op()?).await?)
}

async fn found(store: &FilesStore, key: &Key) -> Result<Record> {
    let record = store.load(key, ReadOptions::latest()).await?;
    record.ok_or_else(|| "a session is gone that nobody deleted".into())
}

async fn cycle(store: &FilesStore, key: &Key) -> Result<()> {
    let locked = store.lock(key, LockRequest::new(op()?, HOUR, PATIENCE)).await?;
    let (Some(lease), Some(record)) = (locked.lease, locked.record) else {
        return Err("a session is gone that nobody deleted".into());
    };
    let (revision, then) = (record.revision, Then::Release);
    let expected = Expected::Lease { lease: &lease, revision, then };
    store.save(key, Write::new("2", HOUR), expected, op()?).await?;
    Ok(())
}

fn op() -> Result<OpToken> {
    Ok(OpToken::generate()?)
}

struct Meter<'a> {
    runtime: &'a Runtime,
    place: &'a Path,
    report: &'a mut Report,
}

impl Meter<'_> {
    fn time<T, F>(&mut self, name: &'static str, work: impl Fn() -> F) -> Result<()>
    where
        F: Future<Output = Result<T>>,
    {
        self.runtime.block_on(work())?;
        let (before, started) = (calls(self.place), Instant::now());
        for _ in 0..TIMES {
            self.runtime.block_on(work())?;
        }
        let millis = started.elapsed().as_secs_f64() * 1_000.0 / f64::from(TIMES);
        let after = calls(self.place);
        let calls = before.zip(after).map(|(before, after)| {
            f64::from(u32::try_from(after - before).unwrap_or(u32::MAX)) / f64::from(TIMES)
        });
        self.report.cost(Cost { name, millis, calls });
        Ok(())
    }
}

/// How many calls the mount of a directory has made so far; `None` where it is none of NFS.
fn calls(place: &Path) -> Option<u64> {
    let stats = fs::read_to_string("/proc/self/mountstats").ok()?;
    let mounts: BTreeMap<usize, &str> = stats
        .split("device ")
        .filter_map(|mount| {
            let point = mount.split_once(" mounted on ")?.1.split(' ').next()?;
            place.starts_with(point).then_some((point.len(), mount))
        })
        .collect();
    let (_, own) = mounts.last_key_value()?;
    let (_, calls) = own.split_once("per-op statistics")?;
    let number = |line: &str| line.split_whitespace().nth(1)?.parse::<u64>().ok();
    Some(calls.lines().filter_map(number).sum())
}
