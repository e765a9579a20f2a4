//! Everything at once.

use std::time::Duration;

use test_load::{Load, Plan, seed, tell};
use test_servers::{
    TestResult,
    proxy::{Direction, Proxy},
    sql::{Flavor, Server},
};
use tokio::time::sleep;

use crate::support::{open, options, unhurried, url_by};

const TIMEOUT: Duration = Duration::from_secs(3);
const FAULTS: usize = 16;

/// What may happen to a server and the way to it.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Kill,
    Restart,
    Pause,
    ReadOnly,
    KillClients,
    Cut,
    Lose,
    Swallow,
    Refuse,
    Slow,
}

const LIKELY: [Fault; 12] = [
    Fault::Kill,
    Fault::Restart,
    Fault::Pause,
    Fault::ReadOnly,
    Fault::KillClients,
    Fault::KillClients,
    Fault::Cut,
    Fault::Cut,
    Fault::Lose,
    Fault::Swallow,
    Fault::Refuse,
    Fault::Slow,
];

impl Fault {
    async fn happens(
        self,
        server: &Server,
        proxy: &Proxy,
        rng: &mut fastrand::Rng,
    ) -> test_servers::Result<()> {
        let moment = Duration::from_millis(rng.u64(50..700));
        match self {
            Self::Kill => {
                server.kill();
                sleep(moment).await;
                server.restart().await?;
            }
            Self::Restart => server.restart().await?,
            Self::Pause => {
                server.pause()?;
                sleep(moment * 2).await;
                server.resume()?;
            }
            Self::ReadOnly => {
                server.set_read_only(true).await?;
                sleep(moment).await;
                server.set_read_only(false).await?;
            }
            Self::KillClients => drop(server.kill_clients().await?),
            Self::Cut => proxy.cut(),
            Self::Lose => proxy.lose_reply_to(b""),
            Self::Swallow => {
                let replies = [Direction::Requests, Direction::Replies, Direction::Both];
                proxy.swallow(replies[rng.usize(0..3)]);
                sleep(moment).await;
                proxy.pass().await;
            }
            Self::Refuse => {
                proxy.refuse().await;
                proxy.cut();
                sleep(moment).await;
                proxy.pass().await;
            }
            Self::Slow => {
                proxy.latency(Direction::Both, Duration::from_millis(rng.u64(1..60)));
                sleep(moment).await;
                proxy.pass().await;
            }
        }
        Ok(())
    }
}

pub(crate) async fn whatever_happens_what_was_told_is_true(flavor: Flavor) -> TestResult {
    let server = Server::start(&options(flavor).durable()).await?;
    let proxy = Proxy::start(&server.address()).await?;
    let url = url_by(&proxy, &server);
    let stores =
        [open(&url, TIMEOUT).await, open(&url, TIMEOUT).await, open(&server.url(), TIMEOUT).await];
    let load = Load::start(&stores, Plan::rough(TIMEOUT)).await;
    let mut rng = fastrand::Rng::with_seed(seed());
    let mut faults = Vec::new();
    for _ in 0..FAULTS {
        load.more(rng.u64(1..40)).await;
        let fault = LIKELY[rng.usize(0..LIKELY.len())];
        faults.push(format!("{fault:?}"));
        fault.happens(&server, &proxy, &mut rng).await?;
    }
    proxy.pass().await;
    load.everywhere(2).await;
    let tally = load.stop(&unhurried(&server.url()).await).await.check(None);
    tell(&format!("{} soak", flavor.name()), format!("{}: {tally}", faults.join(" ")));
    Ok(())
}
