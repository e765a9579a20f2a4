//! A client that is cut off from the server, and one that dies as in a power failure.
//!
//! Both clients are one kernel here. So a power failure is a link that is cut first, and a process
//! that is killed behind the cut: nothing that its kernel says on its behalf reaches the server
//! before others have taken over.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use session_core::{ErrorKind, Expected, LockRequest, SessionStore, Then};
use test_servers::{
    TestResult,
    nfs::{CLIENTS, Guest, SERVER},
};

use crate::{
    common::{HOUR, exists, key, load, op, open, text, write},
    lane::{Lane, command},
};

/// How long a lease lasts whose holder vanishes.
const LEASE: Duration = Duration::from_secs(3);
/// For whatever the lease of the dead client has to run out for: the session's, and the client's of
/// 10 s.
const TAKEOVER: Duration = Duration::from_secs(90);
/// There once the holder is cut off.
const IS_CUT: &str = "/run/is-cut";

pub(crate) fn trials(lane: &Lane) -> Vec<Trial> {
    vec![
        lane.trial(
            "a_client_that_was_cut_off_loses_its_lock_and_its_commit_is_refused",
            |guest| async move { cut_off(&guest).await },
        ),
        lane.trial(
            "what_a_client_without_power_held_is_taken_over_with_a_whole_record",
            |guest| async move { power_failure(&guest).await },
        ),
    ]
}

/// Cuts the second client off, does something, and mends the link whatever came of it.
async fn while_cut<T>(
    guest: &Guest,
    work: impl Future<Output = test_servers::Result<T>>,
) -> test_servers::Result<T> {
    guest.run(&format!("ip link set v2 down && touch {IS_CUT}")).await?;
    let outcome = work.await;
    guest.run(&format!("rm {IS_CUT}; ip link set v2 up")).await?;
    outcome
}

async fn cut_off(guest: &Guest) -> TestResult {
    guest.run(&format!("mkdir -m 700 {SERVER}/cut")).await?;
    let [one, two] = CLIENTS.map(|client| format!("{client}/cut"));
    let holder = guest.start(&command(&format!("hold-on {two}")))?;
    holder.says("held").await?;
    let taken = while_cut(guest, guest.run(&command(&format!("take {one}")))).await?;
    let done = holder.wait().await?;
    println!("{}{}", taken.output, done.output.trim_end());
    assert_eq!(done.status, 0, "{}", done.output);
    let number = guest.run(&command(&format!("text {one}"))).await?.output;
    assert_eq!(number.trim(), "taken");
    Ok(())
}

/// Takes a lock, and commits under it as soon as the client is cut off. The commit comes to the
/// server when the client is back.
pub(crate) async fn hold_on(root: &str) {
    let store = open(root).await;
    store.create(&key(4), write("mine"), op(), None).await.unwrap();
    let locked = store.lock(&key(4), LockRequest::new(op(), LEASE, HOUR)).await.unwrap();
    let (lease, revision) = (locked.lease.unwrap(), locked.record.unwrap().revision);
    println!("held");
    exists(IS_CUT).await;
    let began = Instant::now();
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
    let late = store.save(&key(4), write("late"), expected, op()).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::LockLost, "{late}");
    println!("a commit that took {:.1} s was refused: {late}", began.elapsed().as_secs_f64());
    let renewed = store.renew(&key(4), &lease, HOUR).await.unwrap_err();
    assert_eq!(renewed.kind(), ErrorKind::LockLost, "{renewed}");
    store.release(&key(4), &lease).await.unwrap();
}

/// Waits for the lock, says what it found, and commits.
pub(crate) async fn take(root: &str) {
    let store = open(root).await;
    let began = Instant::now();
    let locked = store.lock(&key(4), LockRequest::new(op(), HOUR, TAKEOVER)).await.unwrap();
    let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
    let waited = began.elapsed().as_secs_f64();
    println!("taken over after {waited:.1} s, with the text {:?}", text(&record));
    let expected =
        Expected::Lease { lease: &lease, revision: record.revision, then: Then::Release };
    store.save(&key(4), write("taken"), expected, op()).await.unwrap();
}

/// Prints what is stored.
pub(crate) async fn print_text(root: &str) {
    println!("{}", text(&load(&open(root).await, &key(4)).await.unwrap().unwrap()));
}

async fn power_failure(guest: &Guest) -> TestResult {
    guest.run(&format!("mkdir -m 700 {SERVER}/power")).await?;
    let [one, two] = CLIENTS.map(|client| format!("{client}/power"));
    let victim = guest.start(&command(&format!("commit-on {two}")))?;
    victim.says("committed").await?;
    let output = victim.output();
    let pid = output.lines().next().ok_or("no process")?;
    let taken = while_cut(guest, async {
        guest.run(&format!("kill -9 {pid}")).await?;
        guest.run(&command(&format!("take {one}"))).await
    });
    println!("{}", taken.await?.output.trim_end());
    assert_ne!(victim.wait().await?.status, 0);
    let text = guest.run(&command(&format!("text {two}"))).await?.output;
    assert_eq!(text.trim(), "taken");
    Ok(())
}

/// Commits under a lock until it is killed.
pub(crate) async fn commit_on(root: &str) {
    let store = open(root).await;
    println!("{}", std::process::id());
    store.create(&key(4), write("0"), op(), None).await.unwrap();
    let locked = store.lock(&key(4), LockRequest::new(op(), LEASE, HOUR)).await.unwrap();
    let (lease, mut revision) = (locked.lease.unwrap(), locked.record.unwrap().revision);
    for number in 1_u64.. {
        let expected = Expected::Lease { lease: &lease, revision, then: Then::Keep };
        let next = write(number.to_string());
        revision = store.save(&key(4), next, expected, op()).await.unwrap();
        println!("committed");
    }
}
