use test_servers::redis::Sentinels;

use super::*;

fn config(sentinels: &Sentinels) -> RedisConfig {
    let endpoints = sentinels.sentinels().iter().map(|node| endpoint(node.port())).collect();
    patient(Servers::Sentinel { sentinels: endpoints, service: Sentinels::NAME.to_owned() })
}

#[tokio::test]
async fn the_new_primary_is_found_after_the_old_one_was_killed() {
    let sentinels = Sentinels::start(&Options::redis()).await.unwrap();
    let heard = Heard::default();
    let link = Link::open(&config(&sentinels), heard.on_message()).await.unwrap();
    let _subscription = link.subscribe(b"channel".to_vec()).await.unwrap();
    link.ask(set("key", "value")).await.unwrap();
    let old = sentinels.primary().await.unwrap();
    old.wait_for_replicas(1, SOON).await.unwrap();
    old.kill();
    // Tried again until the other one takes it.
    link.ask(set("key", "other")).await.unwrap();
    let new = sentinels.wait_for_another(old, SOON).await.unwrap();
    assert_eq!(new.command(&["GET", "key"]).await.unwrap().trim(), "other");
    let before = heard.count("channel");
    until("a message from the new one", async || {
        new.command(&["PUBLISH", "channel", ""]).await.unwrap();
        heard.count("channel") > before + 1
    })
    .await;
}

#[tokio::test]
async fn the_new_primary_is_found_while_the_old_one_hangs() {
    let sentinels = Sentinels::start(&Options::redis()).await.unwrap();
    let mut config = config(&sentinels);
    config.response_timeout = Duration::from_millis(200);
    config.connect_timeout = Duration::from_millis(200);
    let link = open(&config).await;
    let old = sentinels.primary().await.unwrap();
    old.stop().unwrap();
    let answer = link.ask(set("key", "other")).await.unwrap();
    assert!(answer.resent);
    let new = sentinels.wait_for_another(old, SOON).await.unwrap();
    assert_eq!(new.command(&["GET", "key"]).await.unwrap().trim(), "other");
    old.resume().unwrap();
    link.ask(set("key", "again")).await.unwrap();
}

#[tokio::test]
async fn no_runtime_goes_back_to_a_primary_that_another_found_to_hang() {
    let sentinels = Sentinels::start(&Options::redis()).await.unwrap();
    let mut config = config(&sentinels);
    config.response_timeout = Duration::from_millis(200);
    config.connect_timeout = Duration::from_millis(200);
    let link = open(&config).await;
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let aside = { runtime }.worker_threads(1).enable_all().build().unwrap();
    let ask_aside = |request| {
        let link = link.clone();
        aside.spawn(async move { link.ask(request).await })
    };
    ask_aside(get("key")).await.unwrap().unwrap();
    let old = sentinels.primary().await.unwrap();
    old.stop().unwrap();
    assert!(link.ask(set("key", "other")).await.unwrap().resent);
    let new = sentinels.wait_for_another(old, SOON).await.unwrap();
    old.resume().unwrap();
    // It thinks that it is the primary, until it is told that it is not.
    ask_aside(set("key", "again")).await.unwrap().unwrap();
    assert_eq!(new.command(&["GET", "key"]).await.unwrap().trim(), "again");
    aside.shutdown_background();
}

#[tokio::test]
async fn a_replica_that_sentinels_name_answers_reads_and_is_stepped_over_when_dead() {
    let sentinels = Sentinels::start(&Options::redis()).await.unwrap();
    let mut config = config(&sentinels);
    config.replica_staleness = Duration::from_secs(1);
    let link = open(&config).await;
    link.ask(set("key", "value")).await.unwrap();
    let primary = sentinels.primary().await.unwrap();
    primary.wait_for_replicas(1, SOON).await.unwrap();
    let replica = sentinels.nodes().iter().find(|node| node.port() != primary.port()).unwrap();
    let from_a_replica = || Request { replica: true, ..get("key") };
    until("a read by the replica", async || {
        link.ask(from_a_replica()).await.unwrap();
        replica.traffic().await.unwrap().calls("get") > 0
    })
    .await;
    replica.kill();
    for _ in 0..20 {
        let (answer, took) = timed(&link, from_a_replica()).await;
        assert_eq!(answer.unwrap().values, [Value::BulkString(b"value".to_vec().into())]);
        assert!(took < SLACK, "{took:?}");
    }
}
