//! What a pool makes of a server that does not answer.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    super::{
        Answer, Server,
        fault::Verdict,
        retry::{self, Limits},
    },
    *,
};
use crate::statement::{Arg, Statement};

/// Nobody is there.
struct Nowhere;

#[async_trait]
impl Target for Nowhere {
    async fn connect(&self) -> Result<Box<dyn Wire>, Verdict> {
        std::future::pending().await
    }
}

/// Refuses so many connections, and then says nothing.
struct Full(AtomicUsize);

#[async_trait]
impl Target for Full {
    async fn connect(&self) -> Result<Box<dyn Wire>, Verdict> {
        if self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err()
        {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(SILENCE).await;
        Err(Verdict::Again(Fault::passing(ErrorKind::Unavailable, "too many connections")))
    }
}

/// A server that hears nothing of a goodbye.
struct Deaf;

#[async_trait]
impl Target for Deaf {
    async fn connect(&self) -> Result<Box<dyn Wire>, Verdict> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl Wire for Deaf {
    async fn run(&mut self, _: &Statement, _: &[Arg<'_>], _: usize) -> Result<Answer, Verdict> {
        Ok(Answer::default())
    }

    async fn define(&mut self, _: &str) -> Result<(), Verdict> {
        Ok(())
    }

    async fn server(&mut self) -> Result<Server, Verdict> {
        std::future::pending().await
    }

    async fn ping(&mut self) -> Result<(), Verdict> {
        Ok(())
    }

    async fn close(self: Box<Self>) {
        std::future::pending().await
    }
}

const MINUTE: Duration = Duration::from_secs(60);

fn pool(target: impl Target + 'static) -> Pool {
    let config = SqlConfig::from_url("mysql://user@localhost/app").unwrap();
    Pool::new(Arc::new(target), 5, &config)
}

/// A pool that fell silent a minute ago, and failed for the last time so long ago, and whether others
/// are refused at once while one tries to connect.
async fn is_refused_after(last: Duration) -> bool {
    let pool = pool(Nowhere);
    let now = Instant::now();
    pool.fell_silent(&Fault::timeout("that night"));
    pool.state().down = Some(Outage { since: now - MINUTE, last: now - last });
    let take = || async {
        let taken = pool.take(now + Duration::from_millis(200)).await;
        format!("{:?}", taken.err())
    };
    let (first, others) = tokio::join!(take(), futures_util::future::join_all([take(), take()]));
    assert!(first.contains("connecting took too long"), "{first}");
    let refused = others.iter().filter(|other| other.contains("that night")).count();
    assert!(refused == 0 || refused == others.len(), "{others:?}");
    refused > 0
}

#[tokio::test(start_paused = true)]
async fn while_one_tries_others_are_refused_at_once() {
    assert!(is_refused_after(Duration::ZERO).await);
}

#[tokio::test(start_paused = true)]
async fn what_failed_long_ago_refuses_nobody() {
    assert!(!is_refused_after(MINUTE).await);
}

#[tokio::test(start_paused = true)]
async fn a_caller_closes_one_old_connection_within_its_time() {
    let mut pool = pool(Deaf);
    pool.max_lifetime = Some(Duration::ZERO);
    let deadline = Instant::now() + MINUTE;
    let take = || async { pool.take(deadline).await.unwrap() };
    for lease in futures_util::future::join_all((0..5).map(|_| take())).await {
        lease.keep();
    }
    assert_eq!(pool.state().idle.len(), 5);
    let began = Instant::now();
    let lease = pool.take(began + PING / 5).await.unwrap();
    assert!(began.elapsed() < PING * 4, "it waited for each");
    assert!(!lease.is_reused() && pool.state().idle.len() == 4);
}

#[tokio::test(start_paused = true)]
async fn who_goes_while_an_old_connection_is_closed_takes_no_other_along() {
    let pool = pool(Deaf);
    let deadline = Instant::now() + MINUTE;
    let (old, good) = tokio::join!(pool.take(deadline), pool.take(deadline));
    let (mut old, good) = (old.unwrap(), good.unwrap());
    old.connection.as_mut().unwrap().until = Some(Instant::now());
    old.keep();
    good.keep();
    let taken = tokio::time::timeout(Duration::ZERO, pool.take(deadline)).await;
    assert!(taken.is_err(), "the old one was closed at once");
    assert!(pool.take(deadline).await.unwrap().is_reused());
}

/// Whether the last tries come when the server has been silent for long, or when there is no time left.
#[tokio::test(start_paused = true)]
async fn a_try_that_ran_out_of_time_hides_no_reason() {
    for (refusals, seconds, one_try) in [(1, 60, 60), (2, 60, 60), (1, 1, 60), (1, 60, 1)] {
        let mut pool = pool(Full(AtomicUsize::new(refusals)));
        pool.connect_timeout = SILENCE * one_try + SILENCE / 4;
        let call = SILENCE * seconds + SILENCE / 2;
        let limits = Limits { call, one_try: call, reply: 100 };
        let deadline = Instant::now() + call;
        let statement = Statement::plain("SELECT 1".into());
        let fault = retry::run(&pool, limits, deadline, &statement, &[]).await.err();
        let fault = format!("{fault:?}");
        assert!(fault.contains("too many connections"), "{refusals} in {seconds} s: {fault}");
    }
}
