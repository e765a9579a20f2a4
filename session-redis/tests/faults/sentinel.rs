//! A pair under Sentinel that loses its primary.

use std::time::{Duration, Instant};

use test_servers::{
    TestResult,
    redis::{Options, Sentinels, Server},
};

use crate::{
    load::{Load, Plan},
    support::{SOON, builder, tell},
};

const SHORT: Duration = Duration::from_millis(1_500);
const LONG: Duration = Duration::from_secs(20);

fn url(pair: &Sentinels) -> String {
    let addresses: Vec<String> = pair.sentinels().iter().map(Server::address).collect();
    format!("redis+sentinel://{}/{}", addresses.join(","), Sentinels::NAME)
}

async fn lose_the_primary(
    case: &str,
    lose: impl Fn(&Server) -> test_servers::Result<()>,
    come_back: impl AsyncFn(&Server) -> test_servers::Result<()>,
) -> TestResult {
    let pair = Sentinels::start(&Options::redis()).await?;
    let (url, primary) = (url(&pair), pair.primary().await?);
    let told = [builder(&url, SHORT).open().await?, builder(&url, SHORT).open().await?];
    let patient = [builder(&url, LONG).open().await?, builder(&url, LONG).open().await?];
    let quiet = Plan { forgets: true, ..Plan::quiet(LONG) };
    let plan = |plan: Plan| Plan { clients: 6, seats: 5, ..plan };
    let loads = [
        Load::start(&told, plan(Plan::lossy(SHORT))).await,
        Load::start(&patient, plan(quiet)).await,
    ];
    for load in &loads {
        load.more(100).await;
    }
    let lost = Instant::now();
    lose(primary)?;
    // A signal is not felt at once.
    let kept_since = Instant::now() + Duration::from_millis(100);
    pair.wait_for_another(primary, SOON).await?;
    let promoted = lost.elapsed();
    for load in &loads {
        load.everywhere(2).await;
    }
    let works = lost.elapsed();
    come_back(primary).await?;
    pair.wait_until_whole().await?;
    for load in &loads {
        load.everywhere(2).await;
    }
    let reader = builder(&url, LONG).open().await?;
    tell(case, format!("promoted after {promoted:?}, works after {works:?}"));
    for (load, who) in loads.into_iter().zip(["are told", "wait"]) {
        let tally = load.stop(&reader).await.check(Some(kept_since));
        tell(case, format!("callers {who}: {tally}"));
    }
    Ok(())
}

pub(crate) async fn a_killed_primary_costs_what_the_replica_had_not() -> TestResult {
    let kill = |primary: &Server| {
        primary.kill();
        Ok(())
    };
    lose_the_primary("Sentinel, kill -9", kill, async |primary| primary.start_again().await).await
}

pub(crate) async fn a_stopped_primary_that_comes_back_brings_nothing_back() -> TestResult {
    lose_the_primary("Sentinel, SIGSTOP", Server::stop, async |primary| primary.resume()).await
}
