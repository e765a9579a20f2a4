//! Waiters whose messages are lost.

use std::time::{Duration, Instant};

use session_core::SessionStore;
use test_load::{HOUR, SOON, create, eventually, lock, new_key, tell};
use test_servers::{
    TestResult,
    redis::{Options, Server},
};

use crate::support::{PATIENT, open};

/// For how long a look by a waiter marks the record: who frees the lock then tells him.
const MARK: Duration = Duration::from_millis(1_500);

async fn channels(server: &Server) -> usize {
    let channels = server.command(&["PUBSUB", "CHANNELS"]).await.unwrap();
    channels.lines().filter(|channel| !channel.is_empty()).count()
}

/// The leases would last for an hour: nothing but a message, or a look, wakes a waiter.
pub(crate) async fn a_lost_subscription_is_made_again() -> TestResult {
    const ROUNDS: u32 = 5;
    let server = Server::start(&Options::redis()).await?;
    let (holder, other) = (open(&server.url(), PATIENT).await, open(&server.url(), PATIENT).await);
    let key = new_key();
    create(&holder, &key, b"x").await;
    let (mut killed, mut told, mut longest) = (0, 0, Duration::ZERO);
    for _ in 0..ROUNDS {
        let lease = holder.lock(&key, lock(HOUR, Duration::ZERO)).await?.lease.unwrap();
        let (store, wanted) = (other.clone(), key.clone());
        let waiter = tokio::spawn(async move { store.lock(&wanted, lock(HOUR, SOON)).await });
        eventually("a subscription", async || channels(&server).await == 1).await;
        killed += server.kill_clients().await?;
        eventually("a subscription again", async || channels(&server).await == 1).await;
        let marked = Instant::now();
        let before = server.traffic().await?;
        let since = async || server.traffic().await.unwrap().since(&before);
        eventually("a mark", async || since().await.calls("setrange") > 0).await;
        let released = Instant::now();
        holder.release(&key, &lease).await?;
        let lapsed = marked.elapsed() >= MARK;
        let got = tokio::time::timeout(SOON, waiter).await??;
        longest = longest.max(released.elapsed());
        let now = since().await.calls("publish");
        assert!(now == 1 || now == 0 && lapsed, "nobody is told of the release");
        told += now;
        other.release(&key, &got?.lease.unwrap()).await?;
        eventually("no subscription", async || channels(&server).await == 0).await;
    }
    assert!(told > 0, "each mark may have lapsed");
    tell("subscriptions", format!("{killed} connections killed, woken within {longest:?}"));
    Ok(())
}

/// The server dies and comes back without the lock: waiters in line get it one after the other.
pub(crate) async fn waiters_in_line_outlive_a_restart() -> TestResult {
    const WAITERS: usize = 4;
    let server = Server::start(&Options::redis()).await?;
    let (holder, other) = (open(&server.url(), PATIENT).await, open(&server.url(), PATIENT).await);
    let key = new_key();
    create(&holder, &key, b"x").await;
    holder.lock(&key, lock(HOUR, Duration::ZERO)).await?;
    let waiters: Vec<_> = (0..WAITERS)
        .map(|_| {
            let (store, key) = (other.clone(), key.clone());
            tokio::spawn(async move {
                let taken = store.lock(&key, lock(HOUR, SOON)).await?;
                store.release(&key, &taken.lease.unwrap()).await
            })
        })
        .collect();
    eventually("a subscription", async || channels(&server).await == 1).await;
    server.kill();
    let died = Instant::now();
    server.start_again().await?;
    for waiter in waiters {
        tokio::time::timeout(SOON, waiter).await???;
    }
    eventually("no subscription", async || channels(&server).await == 0).await;
    tell("restart", format!("{WAITERS} waiters got the lock within {:?}", died.elapsed()));
    Ok(())
}
