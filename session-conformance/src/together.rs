//! Tasks that run at the same time, on two servers.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use session_core::{ErrorKind, Key};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    client::Client,
    context::Cx,
    outcome::{Failure, Outcome, ensure, refused},
};

/// Runs `count` tasks that start at the same moment, alternately on the first and the second
/// server, and returns what they return, in the order of their numbers. Each task gets its number,
/// its server's handle, and a clone of `with`.
pub(crate) async fn race<T, W, F>(
    cx: &Cx,
    count: usize,
    with: W,
    task: impl Fn(usize, Client, W) -> F,
) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    W: Clone,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let servers = [cx.a.clone(), cx.b().await?];
    let start = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for (n, server) in servers.into_iter().cycle().take(count).enumerate() {
        let (work, start) = (task(n, server, with.clone()), Arc::clone(&start));
        tasks.spawn(async move {
            start.wait().await;
            work.await.map(|value| (n, value))
        });
    }
    let mut values = finish(tasks).await?;
    values.sort_by_key(|(n, _)| *n);
    Ok(values.into_iter().map(|(_, value)| value).collect())
}

/// Waits for all tasks; the first failure ends the others.
pub(crate) async fn finish<T: 'static>(
    mut tasks: JoinSet<Result<T, Failure>>,
) -> Result<Vec<T>, Failure> {
    let mut values = Vec::new();
    while let Some(value) = tasks.join_next().await {
        values.push(value??);
    }
    Ok(values)
}

/// The one task that succeeded, where all others must have been refused with `kind`.
#[track_caller]
pub(crate) fn only_winner<T: fmt::Debug>(
    outcomes: Vec<session_core::Result<T>>,
    kind: ErrorKind,
    what: impl fmt::Display,
) -> Result<(usize, T), Failure> {
    let count = outcomes.len();
    let mut winners = Vec::new();
    for (n, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(value) => winners.push((n, value)),
            lost => drop(refused(lost, kind, &what)?),
        }
    }
    let won = winners.len();
    match (winners.pop(), won) {
        (Some(winner), 1) => Ok(winner),
        _ => Err(Failure::new(format_args!("{what}: {won} of {count} succeeded instead of one"))),
    }
}

/// Does a step for each of the keys, eight at a time, alternately on both servers.
pub(crate) async fn for_each<F>(
    cx: &Cx,
    keys: &[Key],
    step: impl Fn(Client, Key) -> F + Clone + Send + Sync + 'static,
) -> Outcome
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let shares: Vec<Vec<Key>> =
        (0..8).map(|n| keys.iter().skip(n).step_by(8).cloned().collect()).collect();
    race(cx, shares.len(), (shares, step), |n, client, (mut shares, step)| async move {
        for key in shares.swap_remove(n) {
            step(client.clone(), key).await?;
        }
        Ok(())
    })
    .await?;
    Ok(())
}

/// Lets a wait for a lock begin, so that it has its place in the line: no scheduler can change
/// the order in which several of them begin. Spawned afterwards, it goes on by itself.
pub(crate) async fn begun<F: Future + Send>(wait: F) -> Result<Pin<Box<F>>, Failure> {
    let mut wait = Box::pin(wait);
    let first = poll_fn(|context| Poll::Ready(wait.as_mut().poll(context).is_ready()));
    ensure!(!first.await, "a waiter did not wait for a lock that is held");
    Ok(wait)
}

/// How much of a repeated step is done: all of it on a fast store, less on a slow one, but always
/// enough.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    until: Instant,
    at_least: usize,
    at_most: usize,
}

impl Effort {
    /// `at_most` times in five seconds, and `at_least` times whatever it takes.
    pub(crate) fn times(at_least: usize, at_most: usize) -> Self {
        Self { until: Instant::now() + Duration::from_secs(5), at_least, at_most }
    }

    /// Whether to do it once more.
    pub(crate) fn goes_on(&self, done: usize) -> bool {
        done < self.at_least || (done < self.at_most && Instant::now() < self.until)
    }
}

/// The time during which somebody held a lock, by one clock for all holders.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interval {
    pub(crate) holder: usize,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

/// Proves that no two of the intervals overlap.
pub(crate) fn ensure_disjoint(mut intervals: Vec<Interval>) -> Result<(), Failure> {
    intervals.sort_by_key(|interval| interval.from);
    for pair in intervals.windows(2) {
        let [first, second] = pair else { continue };
        ensure!(
            first.to <= second.from,
            "holder {} got the lock {:?} before holder {} gave it back",
            second.holder,
            first.to - second.from,
            first.holder
        );
    }
    Ok(())
}
