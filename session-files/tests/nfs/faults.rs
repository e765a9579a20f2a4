//! A server that restarts, and one that does not answer.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use session_core::{ErrorKind, SessionStore};
use session_files::FilesStore;
use test_servers::{
    TestResult,
    nfs::{CLIENTS, Guest},
};

use crate::{
    common::{key, load, op, write},
    exclusion::{self, HOLDS},
    lane::{Lane, command},
};

/// For one operation of the store that is to hang.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often each task takes the lock where every call takes 20 ms.
const FEW: usize = 1;
/// For everything else.
const LIMIT: Duration = Duration::from_secs(200);

pub(crate) fn trials(lane: &Lane) -> Vec<Trial> {
    vec![
        lane.trial("holds_never_overlap_when_the_server_restarts", |guest| async move {
            let restart = Some("rpc.nfsd 0; sleep 1; rpc.nfsd 8");
            exclusion::hold_on_both(&guest, CLIENTS, "restart", HOLDS, restart).await
        }),
        lane.trial(
            "holds_never_overlap_on_links_that_are_slow_and_lose_packets",
            |guest| async move { slow_and_lossy(&guest).await },
        ),
        lane.trial(
            "a_server_out_of_reach_costs_time_limits_and_no_thread_of_the_runtime",
            |guest| async move { hang(&guest).await },
        ),
    ]
}

/// What the links are like: 20 ms there and back, and one packet of 50 is lost in each direction.
const BAD: &str = "netem delay 10ms loss 2%";

async fn slow_and_lossy(guest: &Guest) -> TestResult {
    let on_all_links = |change: &str| {
        let ends = ["tc", "nsenter --net=/run/netns/cN tc"].into_iter().zip(["vN", "e0"]);
        let end = |(tc, device)| format!("{tc} qdisc {change} dev {device} root {BAD}");
        let ends: Vec<String> = ends.map(end).collect();
        ["1", "2"].map(|client| ends.join(" && ").replace('N', client)).join(" && ")
    };
    guest.run(&on_all_links("add")).await?;
    let held = exclusion::hold_on_both(guest, CLIENTS, "lossy", FEW, None).await;
    let held = held.map_err(|error| error.to_string());
    guest.run(&on_all_links("del")).await?;
    Ok(held?)
}

async fn hang(guest: &Guest) -> TestResult {
    guest.run("mkdir -m 700 /srv/x/hang").await?;
    let running = guest.start(&command("hang /mnt/c1/hang"))?;
    running.says("ready").await?;
    guest.run("ip link set v1 down").await?;
    let refused = running.says("refused").await;
    guest.run("ip link set v1 up").await?;
    refused?;
    let done = running.wait().await?;
    println!("{}", done.output.trim_end());
    assert_eq!(done.status, 0, "{}", done.output);
    Ok(())
}

/// Reads on while the server is away and comes back. Were the runtime blocked by it, no time limit
/// would be kept.
pub(crate) async fn be_hung(root: &str) {
    let store = FilesStore::builder(root).threads(2).timeout(PATIENCE).open().await.unwrap();
    store.create(&key(3), write("here"), op(), None).await.unwrap();
    println!("ready");
    let started = Instant::now();
    let (mut late, mut slowest) = (0, Duration::ZERO);
    loop {
        let asked = Instant::now();
        let seen = load(&store, &key(3)).await;
        slowest = slowest.max(asked.elapsed());
        match seen.map_err(|error| error.kind()) {
            Ok(_) => {}
            Err(ErrorKind::Timeout) => late += 1,
            Err(kind) => {
                assert_eq!(kind, ErrorKind::Unavailable);
                break;
            }
        }
        assert!(started.elapsed() < LIMIT, "never refused");
    }
    println!("refused at once after {late} that took {:.1} s at most", slowest.as_secs_f64());
    assert!(slowest < PATIENCE * 5, "{slowest:?}");
    while load(&store, &key(3)).await.is_err() {
        assert!(started.elapsed() < LIMIT, "never served again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("served again {:.0} s after the beginning", started.elapsed().as_secs_f64());
}
