//! Waiting for a lock.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use session_core::{Expected, Key, Lease, SessionStore, Then, Write};
use session_redis::RedisStore;
use test_servers::{TestResult, redis::Server};
use tokio::task::JoinHandle;

use crate::support::{HOUR, SOON, World, create, eventually, new_key, op, open, request};

/// A held lock, and somebody on another server who waits for it and has told so.
struct Waiting {
    server: Server,
    holder: RedisStore,
    key: Key,
    lease: Lease,
    revision: session_core::Revision,
    waiter: JoinHandle<session_core::Result<session_core::Locked>>,
}

impl Waiting {
    async fn start() -> test_servers::Result<Self> {
        let World { server, store: holder } = World::start().await?;
        let key = new_key();
        let revision = create(&holder, &key, b"x").await;
        let lease = holder.lock(&key, request(Duration::ZERO)).await.unwrap().lease.unwrap();
        let (store, wanted) = (open(&server).await, key.clone());
        let waiter = tokio::spawn(async move { store.lock(&wanted, request(HOUR)).await });
        let waiting = Self { server, holder, key, lease, revision, waiter };
        // Refused twice: as it came, and after it had subscribed.
        eventually("a subscription", async || waiting.channels().await == 1).await;
        Ok(waiting)
    }

    async fn channels(&self) -> usize {
        let channels = self.server.command(&["PUBSUB", "CHANNELS"]).await.unwrap();
        channels.lines().filter(|channel| !channel.is_empty()).count()
    }

    async fn ends_with_the_lock(self) {
        tokio::time::timeout(SOON, self.waiter).await.unwrap().unwrap().unwrap();
    }
}

/// The lease would last for an hour, and a look every half second costs more than two calls.
pub(crate) async fn a_waiter_is_woken_by_the_release() -> TestResult {
    let waiting = Waiting::start().await?;
    let before = waiting.server.traffic().await?;
    waiting.holder.release(&waiting.key, &waiting.lease).await?;
    let published = async || {
        let traffic = waiting.server.traffic().await.unwrap().since(&before);
        traffic.calls("publish") == 1
    };
    eventually("a message", published).await;
    waiting.ends_with_the_lock().await;
    Ok(())
}

pub(crate) async fn a_waiter_is_woken_by_a_commit_and_by_a_log_out() -> TestResult {
    let waiting = Waiting::start().await?;
    let Waiting { lease, revision, .. } = &waiting;
    let expected = Expected::Lease { lease, revision: *revision, then: Then::Release };
    waiting.holder.save(&waiting.key, Write::new("y", HOUR), expected, op()).await?;
    assert_eq!(waiting.server.traffic().await?.calls("publish"), 1);
    waiting.ends_with_the_lock().await;
    let waiting = Waiting::start().await?;
    waiting.holder.delete(&waiting.key, Expected::Any, op()).await?;
    assert_eq!(waiting.server.traffic().await?.calls("publish"), 1);
    waiting.ends_with_the_lock().await;
    Ok(())
}

pub(crate) async fn waiters_leave_no_channel_behind() -> TestResult {
    let waiting = Waiting::start().await?;
    waiting.waiter.abort();
    eventually("no subscription", async || waiting.channels().await == 0).await;
    let waiting = Waiting::start().await?;
    waiting.holder.release(&waiting.key, &waiting.lease).await?;
    eventually("no subscription", async || waiting.channels().await == 0).await;
    waiting.ends_with_the_lock().await;
    Ok(())
}

/// The head of a line goes, and who stands behind it before he has come forward.
pub(crate) async fn waiters_that_go_together_leave_no_channel_behind() -> TestResult {
    let Waiting { server, waiter, key, holder: _holder, .. } = Waiting::start().await?;
    waiter.abort();
    let store = open(&server).await;
    let both =
        async { tokio::join!(store.lock(&key, request(HOUR)), store.lock(&key, request(HOUR))) };
    let mut both = Box::pin(both);
    let name = format!("session:{}", BASE64URL_NOPAD.encode(key.digest().as_bytes()));
    let subscribers = async || -> u32 {
        let reply = server.command(&["PUBSUB", "NUMSUB", &name]).await.unwrap();
        reply.lines().last().unwrap().trim().parse().unwrap()
    };
    eventually("the end of the first", async || subscribers().await == 0).await;
    let begun = tokio::time::timeout(Duration::from_millis(300), &mut both).await;
    assert!(begun.is_err());
    assert_eq!(subscribers().await, 1);
    drop(both);
    eventually("no subscription", async || subscribers().await == 0).await;
    Ok(())
}

pub(crate) async fn nobody_waits_nobody_is_told() -> TestResult {
    let World { server, store } = World::start().await?;
    let key = new_key();
    create(&store, &key, b"x").await;
    for _ in 0..3 {
        let locked = store.lock(&key, request(HOUR)).await?;
        store.release(&key, &locked.lease.unwrap()).await?;
    }
    let traffic = server.traffic().await?;
    assert_eq!((traffic.calls("publish"), traffic.calls("subscribe")), (0, 0));
    Ok(())
}
