//! Writers that are killed at random points, again and again (case Z17).

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::Child,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use session_core::{LockRequest, ReadOptions, SessionStore, SweepBudget};
use session_files::{Durability, FilesStore};
use tempfile::TempDir;

use crate::worker::{self, KEYS, SHORT_LEASE, key, number, op, start};

const WRITES: u64 = 10_000;
const HANG: Duration = Duration::from_secs(60);

/// What was acknowledged so far: the highest number by key, and how many writes in all.
#[derive(Default)]
struct Acknowledged {
    highest: BTreeMap<u8, u64>,
    writes: u64,
}

pub(crate) fn ten_thousand() {
    let directory = TempDir::new().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(worker::open(directory.path().as_os_str(), Durability::None));
    let mut seen = Acknowledged::default();
    let (mut kills, mut told) = (0, 0);
    while seen.writes < WRITES {
        let role = if kills % 4 == 0 { "write" } else { "write-unsynced" };
        killed_round(role, directory.path(), &mut seen);
        kills += 2;
        runtime.block_on(check(&store, &seen));
        assert_eq!(strays(directory.path()), Vec::<String>::new());
        if seen.writes / 1_000 > told {
            told = seen.writes / 1_000;
            eprintln!("kills: {} writes acknowledged, {kills} processes killed", seen.writes);
        }
    }
}

/// Two writers; each is killed at some instant, the other goes on for a while.
fn killed_round(role: &str, root: &Path, seen: &mut Acknowledged) {
    let writers = [start(role, root), start(role, root)];
    for (mut writer, lines) in writers.map(listen) {
        let first = lines.recv_timeout(HANG).expect("a writer gets somewhere");
        seen.note(&first);
        thread::park_timeout(Duration::from_micros(fastrand::u64(..60_000)));
        writer.kill().unwrap();
        writer.wait().unwrap();
        lines.iter().for_each(|line| seen.note(&line));
    }
}

/// Reads on all the time, so that no writer waits for its reader.
fn listen(mut writer: Child) -> (Child, Receiver<String>) {
    let output = BufReader::new(writer.stdout.take().unwrap());
    let (lines, received) = channel();
    thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|l| lines.send(l)));
    (writer, received)
}

impl Acknowledged {
    fn note(&mut self, line: &str) {
        assert!(!line.starts_with("failed"), "{line}");
        let (key, number) = line.split_once(' ').unwrap();
        let highest = self.highest.entry(key.parse().unwrap()).or_default();
        *highest = (*highest).max(number.parse().unwrap());
        self.writes += 1;
    }
}

async fn check(store: &FilesStore, seen: &Acknowledged) {
    for n in 0..KEYS * 2 {
        let record = store.load(&key(n), ReadOptions::latest()).await.unwrap();
        let number = record.as_ref().map_or(0, number);
        let acknowledged = seen.highest.get(&n).copied().unwrap_or_default();
        assert!(number >= acknowledged, "key {n}: read {number}, acknowledged {acknowledged}");
    }
    // No lock outlives its lease.
    let n = fastrand::u8(..KEYS * 2);
    let begun = Instant::now();
    let locked = store.lock(&key(n), LockRequest::new(op(), SHORT_LEASE, HANG)).await.unwrap();
    assert!(begun.elapsed() < HANG / 2);
    store.release(&key(n), &locked.lease.unwrap()).await.unwrap();
    let report = store.sweep(None, SweepBudget::new(usize::MAX, HANG)).await.unwrap();
    assert_eq!((report.deleted, report.next), (0, None));
}

/// Temporary files, which the sweep should have removed.
fn strays(root: &Path) -> Vec<String> {
    let mut strays = Vec::new();
    let mut rest = vec![root.to_path_buf()];
    while let Some(directory) = rest.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rest.push(path);
            } else if path.extension().is_some_and(|extension| extension == "tmp") {
                strays.push(path.display().to_string());
            }
        }
    }
    strays
}
