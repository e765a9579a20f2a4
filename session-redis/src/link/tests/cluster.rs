use test_servers::redis::Cluster;

use super::*;

fn config(cluster: &Cluster) -> RedisConfig {
    let nodes = cluster.nodes().iter().map(|node| endpoint(node.port())).collect();
    patient(Servers::Cluster(nodes))
}

async fn start() -> Cluster {
    Cluster::start(&Options::redis()).await.unwrap()
}

/// So many keys that each node has some.
fn keys() -> impl Iterator<Item = String> {
    (0..60).map(|number| format!("key {number}"))
}

#[tokio::test]
async fn each_key_is_asked_of_its_own_node() {
    let cluster = start().await;
    let link = open(&config(&cluster)).await;
    for key in keys() {
        assert_eq!(number(&link.ask(count(&key)).await.unwrap()), 1);
    }
    let ping =
        Request { key: Vec::new(), commands: vec![Command::new("PING", &[])], replica: false };
    assert!(link.ask(ping).await.is_ok());
    assert!(link.has_sharded_channels());
    for primary in cluster.primaries().await.unwrap() {
        assert!(primary.traffic().await.unwrap().calls("incr") > 0);
    }
}

#[tokio::test]
async fn slots_move_without_anybody_noticing() {
    let cluster = start().await;
    let link = open(&config(&cluster)).await;
    let key = "key 1";
    let slot = cluster.slot(key).await.unwrap();
    let primaries = cluster.primaries().await.unwrap();
    let mut turn = 0;
    for _ in 0..2 {
        let owner = cluster.owner(slot).await.unwrap();
        let to = primaries.iter().find(|node| node.port() != owner.port()).unwrap();
        let mut next = async || {
            turn += 1;
            let answer = link.ask(count(key)).await.unwrap();
            assert_eq!(number(&answer), turn);
            assert!(!answer.resent);
        };
        next().await;
        cluster.begin_move(slot, to).await.unwrap();
        next().await;
        cluster.move_keys(slot, to, 100).await.unwrap();
        next().await;
        cluster.end_move(slot, to).await.unwrap();
        next().await;
    }
}

#[tokio::test]
async fn a_node_without_slots_that_another_one_names_is_met_once() {
    let cluster = start().await;
    let link = open(&config(&cluster)).await;
    let topology = &link.0.topology;
    let deadline = tokio::time::Instant::now() + SOON;
    let from = topology.server(b"key", false, deadline).await.unwrap();
    let met = || topology.server_at("127.0.0.1:1", &from).unwrap();
    assert!(Arc::ptr_eq(&met(), &met()));
    let port = cluster.nodes()[0].port();
    let known = || topology.server_at(&format!(":{port}"), &from).unwrap();
    assert!(Arc::ptr_eq(&known(), &known()), "without a host it is the host that names it");
}

#[tokio::test]
async fn a_killed_primary_is_replaced_within_the_time_of_a_request() {
    let cluster = start().await;
    let link = open(&config(&cluster)).await;
    let slot = cluster.slot("key 1").await.unwrap();
    let old = cluster.owner(slot).await.unwrap();
    link.ask(count("key 1")).await.unwrap();
    old.wait_for_replicas(1, SOON).await.unwrap();
    old.kill();
    let answer = link.ask(count("key 1")).await.unwrap();
    assert_eq!(number(&answer), 2);
    for key in keys().filter(|key| key != "key 1") {
        assert_eq!(number(&link.ask(count(&key)).await.unwrap()), 1);
    }
}

#[tokio::test]
async fn a_stopped_primary_holds_up_only_its_own_keys_and_is_replaced() {
    let cluster = start().await;
    for node in cluster.nodes() {
        // It is replaced when the test says so, and the others go on without it.
        node.configure("cluster-replica-no-failover", "yes").await.unwrap();
        node.configure("cluster-require-full-coverage", "no").await.unwrap();
    }
    let mut config = config(&cluster);
    config.response_timeout = Duration::from_secs(1);
    let link = open(&config).await;
    for key in keys() {
        link.ask(count(&key)).await.unwrap();
    }
    let slot = cluster.slot("key 1").await.unwrap();
    let old = cluster.owner(slot).await.unwrap();
    let replica = cluster.replicas(old).await.unwrap()[0];
    old.wait_for_replicas(1, SOON).await.unwrap();
    old.stop().unwrap();
    let asked = tokio::spawn({
        let link = link.clone();
        async move { link.ask(count("key 1")).await }
    });
    let view = cluster.view(cluster.nodes().iter().find(|node| node.is_up()).unwrap()).await;
    let others = view.unwrap();
    // About 40 keys: were each held up for one try, or one until the end, it would take longer.
    let began = Instant::now();
    for key in keys() {
        let slot = super::super::slot::slot(key.as_bytes());
        let stopped = others.iter().any(|node| node.owns(slot) && node.port == old.port());
        if !stopped {
            link.ask(count(&key)).await.unwrap();
        }
    }
    assert!(began.elapsed() < SLACK, "{:?}", began.elapsed());
    assert!(!asked.is_finished(), "nobody else has its keys yet");
    replica.command(&["CLUSTER", "FAILOVER", "TAKEOVER"]).await.unwrap();
    let answer = asked.await.unwrap().unwrap();
    assert!(answer.resent);
    old.resume().unwrap();
    link.ask(count("key 1")).await.unwrap();
}

#[tokio::test]
async fn sharded_subscriptions_follow_their_slot_and_outlast_a_failover() {
    let cluster = start().await;
    let heard = Heard::default();
    let link = Link::open(&config(&cluster), heard.on_message()).await.unwrap();
    let _subscription = link.subscribe(b"key 1".to_vec()).await.unwrap();
    let slot = cluster.slot("key 1").await.unwrap();
    let comes = async |node: &Server| {
        let before = heard.count("key 1");
        until("a message", async || {
            node.command(&["SPUBLISH", "key 1", ""]).await.unwrap();
            heard.count("key 1") > before + 1
        })
        .await;
    };
    let owner = cluster.owner(slot).await.unwrap();
    comes(owner).await;
    let primaries = cluster.primaries().await.unwrap();
    let to = primaries.into_iter().find(|node| node.port() != owner.port()).unwrap();
    // Requests are on their way while the server says, unasked, that the subscription has ended.
    let busy = tokio::spawn({
        let link = link.clone();
        async move {
            for turn in 1_i64.. {
                assert_eq!(number(&link.ask(count("key 1")).await.unwrap()), turn);
            }
        }
    });
    cluster.move_slot(slot, to).await.unwrap();
    comes(to).await;
    assert!(!busy.is_finished(), "a reply was taken for that of another request");
    busy.abort();
    to.kill();
    let new = cluster.wait_for_another(slot, to, SOON).await.unwrap();
    comes(new).await;
}

#[tokio::test]
async fn replicas_answer_reads_and_a_dead_one_is_stepped_over() {
    let cluster = start().await;
    let mut config = config(&cluster);
    config.replica_staleness = Duration::from_secs(1);
    let link = open(&config).await;
    link.ask(set("key 1", "value")).await.unwrap();
    let slot = cluster.slot("key 1").await.unwrap();
    let owner = cluster.owner(slot).await.unwrap();
    owner.wait_for_replicas(1, SOON).await.unwrap();
    let replica = cluster.replicas(owner).await.unwrap()[0];
    let from_a_replica = || Request { replica: true, ..get("key 1") };
    let value = [Value::BulkString(b"value".to_vec().into())];
    // A replica is announced some time after it has its data.
    until("a read by the replica", async || {
        assert_eq!(link.ask(from_a_replica()).await.unwrap().values, value);
        replica.traffic().await.unwrap().calls("get") > 0
    })
    .await;
    let before = owner.traffic().await.unwrap();
    assert_eq!(link.ask(from_a_replica()).await.unwrap().values, value);
    assert_eq!(owner.traffic().await.unwrap().since(&before).calls("get"), 0);
    replica.kill();
    assert_eq!(link.ask(from_a_replica()).await.unwrap().values, value);
}

#[tokio::test]
async fn a_primary_that_became_a_replica_answers_no_reads_of_the_latest() {
    let cluster = start().await;
    let mut settings = config(&cluster);
    settings.replica_staleness = Duration::from_secs(1);
    let link = open(&settings).await;
    link.ask(set("key", "old")).await.unwrap();
    let of_replica = || Request { replica: true, ..get("key") };
    link.ask(of_replica()).await.unwrap();
    let slot = cluster.slot("key").await.unwrap();
    let primary = cluster.owner(slot).await.unwrap();
    let replica = cluster.replicas(primary).await.unwrap().remove(0);
    replica.command(&["CLUSTER", "FAILOVER"]).await.unwrap();
    cluster.wait_for_another(slot, primary, SOON).await.unwrap();
    cluster.wait_until_ok(SOON).await.unwrap();
    let is_replica =
        async || primary.info().await.unwrap().get("role").is_some_and(|role| role == "slave");
    until("a change of roles", is_replica).await;
    let before = primary.traffic().await.unwrap();
    for _ in 0..20 {
        link.ask(get("key")).await.unwrap();
    }
    let asked = primary.traffic().await.unwrap().since(&before);
    assert_eq!(asked.calls("get"), 0, "{asked:?}");
}
