//! A pair under Sentinel that loses its primary.

use std::time::{Duration, Instant};

use test_load::{Load, Plan, SOON, create, eventually, load, new_key, tell};
use test_servers::{
    TestResult,
    redis::{Options, Sentinels, Server},
};

use crate::support::{Fate, PATIENT, builder, kill_ahead_of, open};

const SHORT: Duration = Duration::from_millis(1_500);

fn url(pair: &Sentinels) -> String {
    let addresses: Vec<String> = pair.sentinels().iter().map(Server::address).collect();
    format!("redis+sentinel://{}/{}", addresses.join(","), Sentinels::NAME)
}

async fn lose_the_primary(case: &str, fate: Fate) -> TestResult {
    let pair = Sentinels::start(&Options::redis()).await?;
    let (url, primary) = (url(&pair), pair.primary().await?);
    let replica = pair.nodes().iter().find(|node| node.port() != primary.port()).unwrap();
    let told = [open(&url, SHORT).await, open(&url, SHORT).await];
    let patient = [open(&url, PATIENT).await, open(&url, PATIENT).await];
    let quiet = Plan { forgets: true, ..Plan::quiet(PATIENT) };
    let plan = |plan: Plan| Plan { clients: 6, seats: 5, ..plan };
    let loads = [
        Load::start(&told, plan(Plan::lossy(SHORT))).await,
        Load::start(&patient, plan(quiet)).await,
    ];
    for load in &loads {
        load.more(100).await;
    }
    let lost = Instant::now();
    match fate {
        Fate::Killed => kill_ahead_of(replica, primary, async || loads[0].more(40).await).await?,
        Fate::Stopped => primary.stop()?,
    }
    // A signal is not felt at once.
    let kept_since = Instant::now() + Duration::from_millis(100);
    pair.wait_for_another(primary, SOON).await?;
    let promoted = lost.elapsed();
    for load in &loads {
        load.everywhere(2).await;
        load.by_all(2).await;
    }
    let works = lost.elapsed();
    match fate {
        Fate::Killed => primary.start_again().await?,
        Fate::Stopped => primary.resume()?,
    }
    pair.wait_until_whole().await?;
    for load in &loads {
        load.everywhere(2).await;
    }
    let reader = open(&url, PATIENT).await;
    tell(case, format!("promoted after {promoted:?}, works after {works:?}"));
    let mut forgotten = 0;
    for (load, who) in loads.into_iter().zip(["are told", "wait"]) {
        let tally = load.stop(&reader).await.check(Some(kept_since));
        forgotten += tally.lost;
        tell(case, format!("callers {who}: {tally}"));
    }
    assert!(forgotten > 0 || fate == Fate::Stopped, "nothing was forgotten");
    Ok(())
}

pub(crate) async fn a_killed_primary_costs_what_the_replica_had_not() -> TestResult {
    lose_the_primary("Sentinel, kill -9", Fate::Killed).await
}

pub(crate) async fn a_stopped_primary_that_comes_back_brings_nothing_back() -> TestResult {
    lose_the_primary("Sentinel, SIGSTOP", Fate::Stopped).await
}

/// The old primary lives on as a replica, with the connections of its clients.
pub(crate) async fn a_planned_failover_reaches_no_caller() -> TestResult {
    let pair = Sentinels::start(&Options::redis()).await?;
    let (url, primary) = (url(&pair), pair.primary().await?);
    let stores = [open(&url, PATIENT).await, open(&url, PATIENT).await];
    let plan = Plan { forgets: true, ..Plan::quiet(PATIENT) };
    let load = Load::start(&stores, plan).await;
    load.more(100).await;
    for sentinel in pair.sentinels() {
        // As they are by default: with quick greetings two of them undo what the third one does.
        sentinel.command(&["SENTINEL", "DEBUG", "PUBLISH-PERIOD", "2000"]).await?;
    }
    pair.sentinels()[0].command(&["SENTINEL", "FAILOVER", Sentinels::NAME]).await?;
    pair.wait_for_another(primary, SOON).await?;
    let follows =
        async || primary.command(&["ROLE"]).await.is_ok_and(|role| role.starts_with("slave"));
    eventually("a new replica", follows).await;
    let kept_since = Instant::now();
    load.everywhere(3).await;
    let reader = open(&url, PATIENT).await;
    let tally = load.stop(&reader).await.check(Some(kept_since));
    tell("Sentinel, planned failover", tally);
    Ok(())
}

/// It still takes itself for the primary when it goes on, and the Sentinels know better.
pub(crate) async fn a_connection_to_a_stopped_primary_ends_at_the_new_one() -> TestResult {
    let pair = Sentinels::start(&Options::redis()).await?;
    let (url, primary) = (url(&pair), pair.primary().await?);
    primary.stop()?;
    let slow = builder(&url, PATIENT).connect_timeout(PATIENT).response_timeout(PATIENT);
    let opens = tokio::spawn(slow.open());
    pair.wait_for_another(primary, SOON).await?;
    assert!(!opens.is_finished(), "it waits for the stopped one");
    primary.resume()?;
    let (store, key) = (opens.await??, new_key());
    create(&store, &key, b"x").await;
    pair.wait_until_whole().await?;
    let follows = async || primary.command(&["ROLE"]).await.is_ok_and(|it| it.starts_with("slave"));
    eventually("a new replica", follows).await;
    assert!(load(&store, &key).await?.is_some(), "the new primary has it");
    Ok(())
}
