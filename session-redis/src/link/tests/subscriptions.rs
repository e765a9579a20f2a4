use super::*;

async fn publish(server: &Server, channel: &str) {
    server.command(&["PUBLISH", channel, ""]).await.unwrap();
}

async fn subscribers(server: &Server, channel: &str) -> bool {
    let reply = server.command(&["PUBSUB", "NUMSUB", channel]).await.unwrap();
    reply.lines().last().is_some_and(|count| count != "0")
}

async fn listen(port: u16) -> (Link, Heard) {
    let heard = Heard::default();
    let link = Link::open(&one(port), heard.on_message()).await.unwrap();
    (link, heard)
}

#[tokio::test]
async fn messages_come_until_the_last_subscription_is_dropped() {
    let server = start().await;
    let (link, heard) = listen(server.port()).await;
    let first = link.subscribe(b"channel".to_vec()).await.unwrap();
    let second = link.subscribe(b"channel".to_vec()).await.unwrap();
    let before = heard.count("channel");
    publish(&server, "channel").await;
    until("a message", async || heard.count("channel") == before + 1).await;
    drop(first);
    publish(&server, "channel").await;
    until("a second message", async || heard.count("channel") == before + 2).await;
    drop(second);
    until("nobody", async || !subscribers(&server, "channel").await).await;
    let _again = link.subscribe(b"channel".to_vec()).await.unwrap();
    assert!(subscribers(&server, "channel").await);
}

#[tokio::test]
async fn subscriptions_that_come_and_go_do_not_cross() {
    let server = start().await;
    let (link, _) = listen(server.port()).await;
    for _ in 0..200 {
        drop(link.subscribe(b"channel".to_vec()).await.unwrap());
        let subscription = link.subscribe(b"channel".to_vec()).await.unwrap();
        tokio::task::yield_now().await;
        drop(subscription);
    }
    let _last = link.subscribe(b"channel".to_vec()).await.unwrap();
    until("the last one", async || subscribers(&server, "channel").await).await;
}

#[tokio::test]
async fn a_subscription_survives_the_loss_of_its_connection_and_tells() {
    let server = start().await;
    let (link, heard) = listen(server.port()).await;
    let _subscriptions = [
        link.subscribe(b"one".to_vec()).await.unwrap(),
        link.subscribe(b"two".to_vec()).await.unwrap(),
    ];
    for _ in 0..3 {
        let before = (heard.count("one"), heard.count("two"));
        server.kill_clients().await.unwrap();
        let told = async || heard.count("one") > before.0 && heard.count("two") > before.1;
        until("the news that messages may have been lost", told).await;
        let before = heard.count("two");
        publish(&server, "two").await;
        until("a message", async || heard.count("two") > before).await;
    }
}

#[tokio::test]
async fn a_subscription_survives_a_restart() {
    let server = start().await;
    let (link, heard) = listen(server.port()).await;
    let _subscription = link.subscribe(b"channel".to_vec()).await.unwrap();
    server.kill();
    server.start_again().await.unwrap();
    until("the subscription", async || subscribers(&server, "channel").await).await;
    let before = heard.count("channel");
    publish(&server, "channel").await;
    until("a message", async || heard.count("channel") > before).await;
}

#[tokio::test]
async fn a_dropped_link_leaves_no_connection() {
    let server = start().await;
    let (link, _) = listen(server.port()).await;
    let subscription = link.subscribe(b"channel".to_vec()).await.unwrap();
    drop(subscription);
    drop(link);
    let alone = async || {
        let clients = server.command(&["CLIENT", "LIST"]).await.unwrap();
        clients.lines().filter(|line| line.contains("id=")).count() == 1
    };
    until("no other client", alone).await;
}
