//! What a client keeps of names, times and contents shows nobody an old session.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use session_core::{Enumeration, Error, ErrorKind, Expected, SessionStore, SweepBudget, Write};
use session_files::FilesStore;
use test_servers::nfs::{CLIENTS, SERVER};

use crate::{
    common::{HOUR, both, key, load, new_key, op, open, text, write},
    lane::{Lane, command},
};

const ROUNDS: usize = 20;
/// Sessions whose life is short, for a moment in which all of them are prolonged.
const SESSIONS: usize = 5;
/// How long the writer and the readers of one record go on, at least.
const RACE: Duration = Duration::from_secs(8);
/// Is there when all readers have begun.
const ALL_READ: &str = "/srv/all-read";
/// The record that is replaced, and the one that is there before that is deleted.
const RECORD: u8 = 1;
const DONE: u8 = 2;

pub(crate) fn trials(lane: &Lane) -> Vec<Trial> {
    vec![
        lane.role("what_one_client_writes_the_other_sees_at_once", "names"),
        lane.role("what_one_client_prolongs_the_other_neither_sweeps_nor_leaves_out", "times"),
        lane.trial("a_record_that_is_replaced_is_there_for_every_reader", |guest| async move {
            guest.run(&format!("mkdir -m 700 {SERVER}/race")).await?;
            let [one, two] = CLIENTS.map(|client| format!("{client}/race"));
            let writer = guest.start(&command(&format!("write {one}")))?;
            writer.says("written").await?;
            // The second shares the writer's client, and has open what he replaces.
            let mut all = vec![writer];
            for root in [&two, &one] {
                let reader = guest.start(&command(&format!("read {root}")))?;
                reader.says("read").await?;
                all.push(reader);
            }
            guest.run(&format!("touch {ALL_READ}")).await?;
            for running in all {
                let done = running.wait().await?;
                assert_eq!(done.status, 0, "{}", done.output);
                println!("{}", done.output.lines().last().unwrap_or_default());
            }
            Ok(())
        }),
        lane.trial("a_mount_that_keeps_locks_or_news_to_itself_is_refused", |guest| async move {
            guest.run("mkdir -m 700 /srv/x/refused").await?;
            for (options, advice) in [
                ("vers=3,nolock /srv/x", "without nolock"),
                ("vers=3 /srv/x", "with vers=4.1"),
                ("vers=4.1,nosharecache /", "without nosharecache"),
                ("vers=4.1,nocto /", "without nocto"),
            ] {
                guest.run(&format!("attach 1 wrong {options}")).await?;
                let done = guest.start(&command("number /mnt/wrong/refused"))?.wait().await?;
                guest.run("umount /mnt/wrong").await?;
                let refused = done.output.contains(&format!("mount it {advice}"));
                assert!(done.status != 0 && refused, "{options}: {done:?}");
            }
            Ok(())
        }),
    ]
}

/// Each change on one client is what the other one finds next, whatever it had found before.
pub(crate) async fn names() {
    let [a, b] = both("names").await;
    for round in 0..ROUNDS {
        let key = new_key();
        assert!(load(&b, &key).await.unwrap().is_none());
        let first = a.create(&key, write("first"), op(), None).await.unwrap();
        sees(&b, &key, Some("first"), round).await;
        let expected = Expected::Revision(first);
        let second = b.save(&key, write("second"), expected, op()).await.unwrap();
        sees(&a, &key, Some("second"), round).await;
        let lost = a.save(&key, write("lost"), expected, op()).await;
        assert_eq!(lost.unwrap_err().kind(), ErrorKind::Conflict, "round {round}");

        a.delete(&key, Expected::Revision(second), op()).await.unwrap();
        sees(&b, &key, None, round).await;
        let late = b.save(&key, write("late"), Expected::Revision(second), op()).await;
        assert_eq!(late.unwrap_err().kind(), ErrorKind::NotFound, "round {round}");
        b.create(&key, write("again"), op(), None).await.unwrap();
        sees(&a, &key, Some("again"), round).await;
        let taken = a.create(&key, write("taken"), op(), None).await;
        assert_eq!(taken.unwrap_err().kind(), ErrorKind::AlreadyExists, "round {round}");
    }
    println!("{ROUNDS} sessions created, saved, deleted and created again on alternate clients");
}

async fn sees(store: &FilesStore, key: &session_core::Key, expected: Option<&str>, round: usize) {
    let record = load(store, key).await.unwrap();
    assert_eq!(record.as_ref().map(text), expected, "round {round}");
}

/// A client that has looked at a file's time goes on believing it for three seconds and more.
pub(crate) async fn times() {
    let mut attempt = 0;
    while !prolonged(&format!("times{attempt}")).await {
        attempt += 1;
        assert!(attempt < 10, "the machine is too slow for this test");
    }
    println!("{SESSIONS} sessions prolonged on one client survived the sweep of the other");
}

/// Whether the sessions could be prolonged in time.
async fn prolonged(name: &str) -> bool {
    let [a, b] = both(name).await;
    let (brief, half) = (Duration::from_secs(4), Duration::from_secs(2));
    let created = Instant::now();
    let mut keys = Vec::new();
    for _ in 0..SESSIONS {
        let key = new_key();
        let revision = a.create(&key, Write::new("brief", brief), op(), None).await.unwrap();
        keys.push((key, revision));
    }
    let last = Instant::now();
    tokio::time::sleep(half.saturating_sub(created.elapsed())).await;
    let listed = b.keys(None, 1_000).await.unwrap().keys.len();
    for (key, revision) in &keys {
        if a.touch(key, HOUR.into(), revision.incarnation(), op()).await.is_err() {
            return false;
        }
    }
    if listed < SESSIONS || created.elapsed() >= brief {
        return false;
    }
    tokio::time::sleep((brief + brief / 40).saturating_sub(last.elapsed())).await;
    assert_eq!(b.keys(None, 1_000).await.unwrap().keys.len(), SESSIONS);
    let swept = b.sweep(None, SweepBudget::new(1_000, HOUR)).await.unwrap();
    assert_eq!((swept.scanned, swept.deleted), (SESSIONS, 0));
    for (key, _) in &keys {
        sees(&b, key, Some("brief"), 0).await;
    }
    true
}

/// Counts up in one record for a while.
pub(crate) async fn replace(root: &str) {
    let store = open(root).await;
    let mut revision = store.create(&key(RECORD), write("0"), op(), None).await.unwrap();
    println!("written");
    let (started, mut number) = (Instant::now(), 0_u64);
    while started.elapsed() < RACE || !Path::new(ALL_READ).exists() {
        number += 1;
        let (next, expected) = (write(number.to_string()), Expected::Revision(revision));
        revision = store.save(&key(RECORD), next, expected, op()).await.unwrap();
    }
    store.create(&key(DONE), write(""), op(), None).await.unwrap();
    store.delete(&key(RECORD), Expected::Revision(revision), op()).await.unwrap();
    println!("replaced {number} times");
}

/// Reads the record until it is deleted; it never goes back, and is never absent before.
pub(crate) async fn read(root: &str) {
    let store = open(root).await;
    let (mut reads, mut last) = (0_u64, 0_u64);
    while let Some(record) = found(load(&store, &key(RECORD)).await) {
        let number = text(&record).parse().unwrap();
        assert!(number >= last, "{number} after {last}");
        if reads == 0 {
            println!("read");
        }
        (reads, last) = (reads + 1, number);
    }
    let done = found(load(&store, &key(DONE)).await);
    assert!(done.is_some(), "the record was absent after {reads} reads");
    println!("{reads} reads up to {last}");
}

fn found<T>(read: Result<Option<T>, Error>) -> Option<T> {
    read.unwrap()
}
