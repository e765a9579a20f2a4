//! Who may work at a session when.

use std::time::Duration;

use tokio::{task::JoinSet, time::sleep};

use super::{Case, Played, ensure};
use crate::{Command, Lock, Result, Worker};

const UNLOCKED: &str = "PHP does not lock here";
/// How long a case watches somebody wait. It is never too short for a case to pass.
const WHILE: Duration = Duration::from_millis(300);
const WORKERS: usize = 4;
const TIMES: u64 = 100;

/// A session with `n` at 0.
async fn made(case: &Case) -> Result<String> {
    let mut php = case.php()?;
    let id = php.must(&Command::start_new()).await?.id;
    php.must(&Command::set("n", 0)).await?;
    php.must(&Command::Close).await?;
    Ok(id)
}

/// `n`, as the worker sees it.
async fn count(worker: &mut Worker, id: &str) -> Result<u64> {
    let found = worker.must(&Command::start(id)).await?;
    worker.must(&Command::Abort).await?;
    Ok(found.vars.get("n").and_then(|n| n.as_u64()).unwrap_or_default())
}

pub(super) async fn eight_workers_count_to_eight_hundred(case: Case) -> Result<Played> {
    if case.promises.lock == Lock::None {
        return Ok(Played::No(UNLOCKED));
    }
    let id = made(&case).await?;
    let mut workers = JoinSet::new();
    for number in 0..2 * WORKERS {
        let mut worker = if number < WORKERS { case.php()? } else { case.rust()? };
        let command = Command::Count { id: id.clone(), name: "n".to_owned(), times: TIMES };
        workers.spawn(async move { worker.ask(&command).await });
    }
    while let Some(counted) = workers.join_next().await {
        let answer = counted??;
        ensure!(answer.ok && answer.number >= TIMES, "{answer:?}");
    }
    let sum = count(&mut case.php()?, &id).await?;
    ensure!(sum == 2 * TIMES * u64::try_from(WORKERS)?, "the sum is {sum}");
    Ok(Played::Yes)
}

/// The second one is told to start while the first holds the session, and sees what the first wrote.
async fn waits(case: &Case, mut holder: Worker, mut waiter: Worker) -> Result<Played> {
    let id = made(case).await?;
    holder.must(&Command::start(&id)).await?;
    waiter.tell(&Command::start(&id)).await?;
    sleep(WHILE).await;
    holder.must(&Command::set("n", 5)).await?;
    holder.must(&Command::Close).await?;
    let found = waiter.answer().await?;
    let n = found.vars.get("n").and_then(|n| n.as_u64());
    ensure!(found.ok && n == Some(5), "it did not wait: {found:?}");
    waiter.must(&Command::set("n", 6)).await?;
    waiter.must(&Command::Close).await?;
    ensure!(count(&mut holder, &id).await? == 6, "the second change is lost");
    Ok(Played::Yes)
}

pub(super) async fn php_waits_for_rust(case: Case) -> Result<Played> {
    match case.promises.lock {
        Lock::None => Ok(Played::No(UNLOCKED)),
        _ => waits(&case, case.rust()?, case.php()?).await,
    }
}

pub(super) async fn rust_waits_for_php(case: Case) -> Result<Played> {
    match case.promises.lock {
        Lock::None => Ok(Played::No(UNLOCKED)),
        _ => waits(&case, case.php()?, case.rust()?).await,
    }
}

pub(super) async fn rust_gives_up_when_php_holds_on(case: Case) -> Result<Played> {
    if case.promises.lock == Lock::None {
        return Ok(Played::No(UNLOCKED));
    }
    let [mut php, mut rust] = case.both()?;
    let id = made(&case).await?;
    php.must(&Command::start(&id)).await?;
    for wait_ms in [0, 200] {
        let start = Command::Start { id: Some(id.clone()), wait_ms: Some(wait_ms), lease_ms: None };
        let refused = rust.ask(&start).await?;
        ensure!(refused.notes == ["lock_timeout"], "{refused:?}");
    }
    php.must(&Command::set("n", 1)).await?;
    php.must(&Command::Close).await?;
    ensure!(count(&mut rust, &id).await? == 1, "PHP's change is lost");
    Ok(Played::Yes)
}

/// The holder is killed with the session in its hands; the waiter gets it as it was before.
async fn killed(
    case: &Case,
    mut holder: Worker,
    mut waiter: Worker,
    lease_ms: Option<u64>,
) -> Result<Played> {
    let id = made(case).await?;
    holder.must(&Command::Start { id: Some(id.clone()), wait_ms: None, lease_ms }).await?;
    holder.must(&Command::set("n", 9)).await?;
    waiter.tell(&Command::start(&id)).await?;
    sleep(WHILE).await;
    holder.die().await?;
    let found = waiter.answer().await?;
    let n = found.vars.get("n").and_then(|n| n.as_u64());
    ensure!(found.ok && n == Some(0), "{found:?}");
    waiter.must(&Command::set("n", 1)).await?;
    waiter.must(&Command::Close).await?;
    Ok(Played::Yes)
}

pub(super) async fn a_killed_rust_worker_frees_php(case: Case) -> Result<Played> {
    match case.promises.lock {
        Lock::None => Ok(Played::No(UNLOCKED)),
        Lock::Process => killed(&case, case.rust()?, case.php()?, None).await,
        Lock::Expires => killed(&case, case.rust()?, case.php()?, Some(1_000)).await,
    }
}

pub(super) async fn a_killed_php_worker_frees_rust(case: Case) -> Result<Played> {
    match case.promises.lock {
        Lock::None => Ok(Played::No(UNLOCKED)),
        _ => killed(&case, case.brief_php()?, case.rust()?, None).await,
    }
}

pub(super) async fn a_lease_that_lapses_frees_php_and_its_commit_is_refused(
    case: Case,
) -> Result<Played> {
    if case.promises.lock == Lock::None {
        return Ok(Played::No(UNLOCKED));
    }
    let [mut php, mut rust] = case.both()?;
    let id = made(&case).await?;
    let lease = Command::Start { id: Some(id.clone()), wait_ms: None, lease_ms: Some(1_000) };
    rust.must(&lease).await?;
    rust.must(&Command::set("n", 9)).await?;
    let counted = Command::Count { id: id.clone(), name: "n".to_owned(), times: 1 };
    php.must(&counted).await?;
    let late = rust.ask(&Command::Close).await?;
    ensure!(!late.ok && ["lock_lost", "conflict"].contains(&&*late.notes.concat()), "{late:?}");
    ensure!(count(&mut php, &id).await? == 1, "the late commit was made");
    Ok(Played::Yes)
}
