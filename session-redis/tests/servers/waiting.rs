//! Waiting for a lock.

use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use session_core::{Expected, Key, Lease, SessionStore, Then, Write};
use session_redis::RedisStore;
use test_servers::{TestResult, redis::Server};
use tokio::task::JoinHandle;

use crate::support::{HOUR, SOON, World, create, eventually, new_key, op, open, request};

/// For how long a look by a waiter marks the record: who frees the lock then tells him.
const MARK: Duration = Duration::from_millis(1_500);

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

    /// Frees the lock, of which the waiter is told; false where its mark may have lapsed before.
    async fn tells(self, free: impl AsyncFnOnce(&Self)) -> bool {
        let marked = Instant::now();
        let before = self.server.traffic().await.unwrap();
        let marks = async || self.server.traffic().await.unwrap().since(&before).calls("setrange");
        eventually("a mark", async || marks().await > 0).await;
        free(&self).await;
        let lapsed = marked.elapsed() >= MARK;
        let told = self.server.traffic().await.unwrap().since(&before).calls("publish");
        assert!(told == 1 || told == 0 && lapsed, "told {told} times");
        self.ends_with_the_lock().await;
        told == 1
    }
}

/// The lease would last for an hour.
pub(crate) async fn a_waiter_is_woken_by_the_release() -> TestResult {
    let release = async |Waiting { holder, key, lease, .. }: &Waiting| {
        holder.release(key, lease).await.unwrap();
    };
    eventually("a message", async || Waiting::start().await.unwrap().tells(release).await).await;
    Ok(())
}

pub(crate) async fn a_waiter_is_woken_by_a_commit_and_by_a_log_out() -> TestResult {
    let commit = async |Waiting { holder, key, lease, revision, .. }: &Waiting| {
        let expected = Expected::Lease { lease, revision: *revision, then: Then::Release };
        holder.save(key, Write::new("y", HOUR), expected, op()).await.unwrap();
    };
    eventually("a message", async || Waiting::start().await.unwrap().tells(commit).await).await;
    let log_out = async |Waiting { holder, key, .. }: &Waiting| {
        holder.delete(key, Expected::Any, op()).await.unwrap();
    };
    eventually("a message", async || Waiting::start().await.unwrap().tells(log_out).await).await;
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
    tokio::select! {
        _ = &mut both => panic!("the lock is held"),
        () = eventually("a subscription", async || subscribers().await == 1) => {}
    }
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
