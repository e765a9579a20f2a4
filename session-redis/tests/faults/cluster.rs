//! A cluster that loses primaries, gets them back, and moves its slots.

use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use session_core::{Expected, Key, Revision, SessionStore};
use session_redis::RedisStore;
use test_load::{
    HOUR, Load, Plan, SOON, eventually_done, is_outage, load, lock, new_key, op, seed, tell, write,
};
use test_servers::{
    TestResult,
    redis::{Cluster, Options, Server},
};

use crate::support::{Fate, PATIENT, builder, kill_ahead_of, open, open_by};

/// Less than a failover takes: callers are told of it.
const SHORT: Duration = Duration::from_millis(1_500);

fn url(cluster: &Cluster) -> String {
    format!("valkey+cluster://{}", cluster.addresses().join(","))
}

async fn pair(cluster: &Cluster, timeout: Duration, wait_replicas: u32) -> [RedisStore; 2] {
    let url = url(cluster);
    // Shorter than a primary lives that is ahead of its replica.
    let acknowledged = Duration::from_millis(100);
    let builder = || builder(&url, timeout).wait_replicas(wait_replicas);
    let builder = || builder().wait_timeout(acknowledged);
    [open_by(builder).await, open_by(builder).await]
}

/// The name of a session's key.
fn name(key: &Key) -> String {
    format!("session:{}", BASE64URL_NOPAD.encode(key.digest().as_bytes()))
}

async fn slot(cluster: &Cluster, key: &Key) -> test_servers::Result<u16> {
    cluster.slot(&name(key)).await
}

/// A key that is in the same slots as another one's primary has.
async fn key_at(cluster: &Cluster, primary: &Server) -> test_servers::Result<(Key, u16)> {
    loop {
        let key = new_key();
        let slot = slot(cluster, &key).await?;
        if cluster.owner(slot).await?.port() == primary.port() {
            return Ok((key, slot));
        }
    }
}

/// A replica that has just come counts only after a while.
async fn create_acknowledged(store: &RedisStore, key: &Key) -> Revision {
    let token = op();
    eventually_done(|| store.create(key, write(b"1"), token, None)).await
}

/// Loads of all kinds while a primary is away: one whose callers are told, one that sits it out, and
/// one whose commits wait for a replica.
async fn lose_a_primary(case: &str, fate: Fate) -> TestResult {
    let cluster = Cluster::start(&Options::valkey()).await?;
    let victim = cluster.primaries().await?[usize::try_from(seed() % 3).unwrap()];
    let (key, slot) = key_at(&cluster, victim).await?;
    let told = pair(&cluster, SHORT, 0).await;
    let patient = pair(&cluster, PATIENT, 0).await;
    let safe = pair(&cluster, SHORT, 1).await;
    // So many seats that the victim has some of them.
    let plan = |plan: Plan| Plan { clients: 6, seats: 16, ..plan };
    let quiet = Plan { forgets: true, ..Plan::quiet(PATIENT) };
    let loads = [
        Load::start(&told, plan(Plan::lossy(SHORT))).await,
        Load::start(&patient, plan(quiet)).await,
        Load::start(&safe, plan(Plan::rough(SHORT))).await,
    ];
    let waits = waits_in_line(&cluster, key).await;
    for load in &loads {
        load.more(100).await;
    }
    let replica = cluster.replicas(victim).await?[0];
    let lost = Instant::now();
    match fate {
        Fate::Killed => kill_ahead_of(replica, victim, async || ahead(&loads).await).await?,
        Fate::Stopped => victim.stop()?,
    }
    // A signal is not felt at once.
    let kept_since = Instant::now() + Duration::from_millis(100);
    cluster.wait_for_another(slot, victim, SOON).await?;
    let promoted = lost.elapsed();
    for load in &loads[..2] {
        load.everywhere(2).await;
        load.by_all(2).await;
    }
    let works = lost.elapsed();
    match fate {
        Fate::Killed => victim.start_again().await?,
        Fate::Stopped => victim.resume()?,
    }
    cluster.wait_until_whole().await?;
    for load in &loads {
        load.everywhere(2).await;
    }
    let got = waits.finish(kept_since).await;
    let fate_of = format!("1 of 6 servers {fate:?}, promoted after {promoted:?}");
    tell(case, format!("{fate_of}, works after {works:?}; a waiter in line {got}"));
    let reader = open(&url(&cluster), PATIENT).await;
    let forgotten = report(case, loads, &reader, kept_since).await;
    assert!(forgotten > 0 || fate == Fate::Stopped, "nothing was forgotten");
    Ok(())
}

/// Checks what the callers of the three loads were told; how much was forgotten.
async fn report(case: &str, loads: [Load; 3], reader: &RedisStore, kept_since: Instant) -> u64 {
    let [told, patient, safe] = loads;
    let told = told.stop(reader).await.check(Some(kept_since));
    tell(case, format!("callers are told: {told}"));
    let patient = patient.stop(reader).await.check(Some(kept_since));
    tell(case, format!("callers wait: {patient}"));
    let safe = safe.stop(reader).await.check_what_was_acknowledged(kept_since);
    tell(case, format!("callers wait for a replica: {safe}"));
    told.lost + patient.lost
}

/// Long enough for commits that no replica has to be refused.
async fn ahead(loads: &[Load]) {
    for load in &loads[..2] {
        load.more(60).await;
    }
}

/// Somebody holds a lock, known to a replica, and somebody else waits for it in another process.
struct Line {
    holder: RedisStore,
    key: Key,
    lease: session_core::Lease,
    waiter: tokio::task::JoinHandle<session_core::Result<session_core::Locked>>,
}

async fn waits_in_line(cluster: &Cluster, key: Key) -> Line {
    let ([holder, _], [other, _]) =
        (pair(cluster, PATIENT, 1).await, pair(cluster, PATIENT, 0).await);
    create_acknowledged(&holder, &key).await;
    let request = lock(HOUR, Duration::ZERO);
    let lease = eventually_done(|| holder.lock(&key, request)).await.lease.unwrap();
    let wanted = key.clone();
    let waiter = tokio::spawn(async move { other.lock(&wanted, lock(HOUR, HOUR)).await });
    Line { holder, key, lease, waiter }
}

impl Line {
    /// The holder still holds, on the new primary, and gives the lock to the waiter.
    async fn finish(self, since: Instant) -> String {
        if self.waiter.is_finished() {
            let error = self.waiter.await.unwrap().expect_err("two hold a lock");
            assert!(is_outage(&error), "{error}");
            return format!("was told {:?}", error.kind());
        }
        eventually_done(|| self.holder.release(&self.key, &self.lease)).await;
        let got = tokio::time::timeout(SOON, self.waiter).await.expect("it is woken").unwrap();
        match got {
            Ok(_) => format!("got the lock, {:?} after the loss", since.elapsed()),
            Err(error) => {
                assert!(is_outage(&error), "{error}");
                format!("was told {:?}", error.kind())
            }
        }
    }
}

pub(crate) async fn a_killed_primary_costs_what_no_replica_had() -> TestResult {
    lose_a_primary("cluster, kill -9", Fate::Killed).await
}

/// The old primary comes back with old data, and thinks for a moment that it is still one.
pub(crate) async fn a_stopped_primary_that_comes_back_brings_nothing_back() -> TestResult {
    lose_a_primary("cluster, SIGSTOP", Fate::Stopped).await
}

/// Case Z07.
pub(crate) async fn slots_and_primaries_that_move_reach_no_caller() -> TestResult {
    let cluster = Cluster::start(&Options::valkey()).await?;
    let stores = pair(&cluster, PATIENT, 0).await;
    let load = Load::start(&stores, Plan { seats: 12, ..Plan::quiet(PATIENT) }).await;
    let primaries = cluster.primaries().await?;
    let mut moved = 0;
    // Step by step, with time in between for requests to meet each state.
    for session in load.keys() {
        let slot = slot(&cluster, &session).await?;
        let from = cluster.owner(slot).await?;
        let to = primaries.iter().find(|node| node.port() != from.port()).unwrap();
        cluster.begin_move(slot, to).await?;
        load.more_to(&session, 2).await;
        while cluster.move_keys(slot, to, 1).await? > 0 {
            load.more_to(&session, 2).await;
        }
        cluster.end_move(slot, to).await?;
        load.more_to(&session, 2).await;
        moved += 1;
    }
    for at in 0..3 {
        cluster.reshard(primaries[at], primaries[(at + 1) % 3], 100).await?;
        moved += 100;
    }
    let slot = slot(&cluster, &load.keys()[0]).await?;
    let primary = cluster.owner(slot).await?;
    cluster.replicas(primary).await?[0].command(&["CLUSTER", "FAILOVER"]).await?;
    cluster.wait_for_another(slot, primary, SOON).await?;
    load.everywhere(2).await;
    let reader = open(&url(&cluster), PATIENT).await;
    let tally = load.stop(&reader).await.check(None);
    tell("slot migration", format!("{moved} slots moved, 1 planned failover: {tally}"));
    Ok(())
}

/// A commit that was sent twice is acknowledged by a replica, or not at all.
pub(crate) async fn what_is_sent_again_still_waits_for_its_replica() -> TestResult {
    let cluster = Cluster::start(&Options::valkey()).await?;
    let primary = cluster.primaries().await?[0];
    let (key, _) = key_at(&cluster, primary).await?;
    let [store, _] = pair(&cluster, SHORT, 1).await;
    let first = create_acknowledged(&store, &key).await;
    let replica = cluster.replicas(primary).await?[0];
    replica.stop()?;
    let token = op();
    let save = || store.save(&key, write(b"12"), Expected::Revision(first), token);
    for _ in 0..3 {
        let error = save().await.unwrap_err();
        assert!(is_outage(&error) && error.maybe_applied(), "{error}");
        // The next one comes on a connection that has written nothing.
        primary.kill_clients().await?;
    }
    let ended = async || {
        let error = store.delete(&key, Expected::Any, op()).await.unwrap_err();
        assert!(is_outage(&error) && error.maybe_applied(), "{error}");
        primary.kill_clients().await
    };
    replica.resume()?;
    let second = eventually_done(save).await;
    let reader = open(&url(&cluster), PATIENT).await;
    assert_eq!(load(&reader, &key).await?.unwrap().revision, second);
    replica.stop()?;
    ended().await?;
    ended().await?;
    replica.resume()?;
    Ok(())
}
