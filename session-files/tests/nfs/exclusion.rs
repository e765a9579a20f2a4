//! No two hold a lock at the same time, whichever client they are on.

use std::time::Duration;

use libtest_mimic::Trial;
use nix::time::{ClockId, clock_gettime};
use session_core::{Expected, LockRequest, SessionStore, Then};
use test_servers::{
    TestResult,
    nfs::{CLIENTS, Guest, SERVER},
};

use crate::{
    common::{HOUR, WITHOUT_LOCKS, key, load, op, open, text, write},
    lane::{Lane, command, mount_without_locks},
};

/// Tasks of each process.
const TASKS: usize = 4;
/// How often each takes the lock.
pub(crate) const HOLDS: usize = 20;
/// How often where every commit waits for a clock.
const FEW: usize = 5;

pub(crate) fn trials(lane: &Lane) -> Vec<Trial> {
    let name = "holds_of_three_processes_on_two_clients_never_overlap_and_count_exactly";
    vec![
        lane.trial(name, |guest| async move {
            hold_on_both(&guest, CLIENTS, "holds", HOLDS, None).await
        }),
        lane.trial(
            "without_locks_holds_never_overlap_where_commits_are_links",
            |guest| async move {
                mount_without_locks(&guest).await?;
                hold_on_both(&guest, WITHOUT_LOCKS, "links", FEW, None).await
            },
        ),
    ]
}

/// Three processes on two clients take one lock in turns; something may happen meanwhile.
pub(crate) async fn hold_on_both(
    guest: &Guest,
    mounts: [&str; 2],
    folder: &str,
    holds: usize,
    meanwhile: Option<&str>,
) -> TestResult {
    guest.run(&format!("mkdir -m 700 {SERVER}/{folder}")).await?;
    let [one, two] = mounts.map(|mount| format!("{mount}/{folder}"));
    guest.run(&command(&format!("number {one}"))).await?;
    let started =
        [&one, &two, &two].map(|root| guest.start(&command(&format!("hold {root} {holds}"))));
    if let (Some(script), [Ok(first), ..]) = (meanwhile, &started) {
        first.says("\n").await?;
        guest.run(script).await?;
    }
    let mut intervals = Vec::new();
    for process in started {
        let done = process?.wait().await?;
        assert_eq!(done.status, 0, "{}", done.output);
        intervals.extend(done.output.lines().map(interval));
    }
    intervals.sort_unstable();
    let overlaps = intervals.windows(2).filter(|pair| pair[0].1 > pair[1].0).count();
    let number = guest.run(&command(&format!("number {one}"))).await?.output;
    let (expected, number) = (3 * TASKS * holds, number.trim());
    println!("{} holds, {overlaps} overlaps; counted to {number} of {expected}", intervals.len());
    assert_eq!((intervals.len(), overlaps), (expected, 0));
    assert_eq!(number, expected.to_string());
    Ok(())
}

fn interval(line: &str) -> (i64, i64) {
    let (begin, end) = line.split_once(' ').unwrap();
    (begin.parse().unwrap(), end.parse().unwrap())
}

/// Nanoseconds on the clock that all processes of the guest share.
fn nanos() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    now.tv_sec() * 1_000_000_000 + now.tv_nsec()
}

/// Counts up under the lock, and prints when each hold began and ended.
pub(crate) async fn hold(root: &str, holds: usize) {
    let store = open(root).await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..holds {
                    let locked =
                        store.lock(&key(0), LockRequest::new(op(), HOUR, HOUR)).await.unwrap();
                    let begin = nanos();
                    let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
                    tokio::time::sleep(Duration::from_micros(fastrand::u64(..2_000))).await;
                    let next = text(&record).parse::<u64>().unwrap() + 1;
                    let (revision, then) = (record.revision, Then::Release);
                    let expected = Expected::Lease { lease: &lease, revision, then };
                    let end = nanos();
                    store.save(&key(0), write(next.to_string()), expected, op()).await.unwrap();
                    println!("{begin} {end}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Prints what was counted to; begins at zero.
pub(crate) async fn print_number(root: &str) {
    let store = open(root).await;
    if load(&store, &key(0)).await.unwrap().is_none() {
        store.create(&key(0), write("0"), op(), None).await.unwrap();
    }
    println!("{}", text(&load(&store, &key(0)).await.unwrap().unwrap()));
}
