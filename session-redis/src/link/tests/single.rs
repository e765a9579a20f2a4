use session_core::{ErrorKind, Operation};
use test_servers::proxy::{Direction, Proxy};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    super::{parse::Parser, server, topology::Topology},
    *,
};

#[tokio::test]
async fn a_request_is_answered_alone_and_in_a_crowd() {
    let server = start().await;
    let link = open(&one(server.port())).await;
    assert_eq!(number(&link.ask(count("alone")).await.unwrap()), 1);
    let mut crowd = tokio::task::JoinSet::new();
    for task in 0..64 {
        let link = link.clone();
        crowd.spawn(async move {
            let key = format!("key {task}");
            for turn in 1..=20 {
                assert_eq!(number(&link.ask(count(&key)).await.unwrap()), turn);
                let answer = link.ask(get(&key)).await.unwrap();
                let number = turn.to_string().into_bytes();
                assert_eq!(answer.values, [Value::BulkString(number.into())]);
                assert!(!answer.resent);
            }
        });
    }
    while let Some(task) = crowd.join_next().await {
        task.unwrap();
    }
}

/// One worker, so that who is ready to run is in one queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_asked_at_the_same_time_goes_in_few_writes() {
    const CROWD: u64 = 64;
    let server = start().await;
    let link = open(&one(server.port())).await;
    link.ask(set("key", "value")).await.unwrap();
    let before = server.traffic().await.unwrap();
    let asked = tokio::spawn(async move {
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..CROWD {
            let link = link.clone();
            crowd.spawn(async move { link.ask(get("key")).await.map(drop) });
        }
        crowd.join_all().await.into_iter().collect::<Result<(), _>>()
    });
    asked.await.unwrap().unwrap();
    let traffic = server.traffic().await.unwrap().since(&before);
    assert_eq!(traffic.calls("get"), CROWD);
    assert!(traffic.reads() <= CROWD / 8, "{} reads", traffic.reads());
}

#[tokio::test]
async fn forgotten_scripts_are_sent_again_also_in_a_crowd() {
    let server = start().await;
    let link = open(&one(server.port())).await;
    for round in 1..=3 {
        server.forget_scripts().await.unwrap();
        let mut crowd = tokio::task::JoinSet::new();
        for task in 0..16 {
            let link = link.clone();
            crowd.spawn(async move { link.ask(count(&format!("key {task}"))).await.unwrap() });
        }
        while let Some(answer) = crowd.join_next().await {
            let answer = answer.unwrap();
            assert_eq!(number(&answer), round);
            assert!(!answer.resent, "a server that does not know the script has not run it");
        }
    }
}

fn primary(link: &Link) -> &server::Server {
    match &*link.0.topology {
        Topology::One { primary, .. } => primary,
        Topology::Cluster(_) => panic!("a cluster"),
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_does_not_surface() {
    let server = start().await;
    let link = open(&one(server.port())).await;
    for turn in 1..=5 {
        server.kill_clients().await.unwrap();
        until("the close", async || !primary(&link).is_well()).await;
        let answer = link.ask(count("key")).await.unwrap();
        assert_eq!(number(&answer), turn);
        assert!(!answer.resent, "nothing was sent on the closed connection");
    }
}

#[tokio::test]
async fn a_lost_reply_is_told_of() {
    let server = start().await;
    let proxy = Proxy::start(&server.address()).await.unwrap();
    let link = open(&one(proxy.port())).await;
    assert!(!link.ask(count("key")).await.unwrap().resent);
    proxy.lose_reply_to(b"EVALSHA");
    let answer = link.ask(count("key")).await.unwrap();
    assert!(answer.resent);
    assert_eq!(number(&answer), 3, "both were done");
    assert_eq!(proxy.lost(), 1);
    assert!(!link.ask(count("key")).await.unwrap().resent);
}

#[tokio::test]
async fn a_killed_server_is_an_error_in_time_and_is_found_again() {
    let server = start().await;
    let mut config = one(server.port());
    config.timeout = Duration::from_millis(400);
    let link = open_impatient(&config).await;
    server.kill();
    let (answer, took) = timed(&link, count("key")).await;
    let error = answer.unwrap_err().into_error(Operation::Save, true);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(took < SLACK, "{took:?}");
    server.start_again().await.unwrap();
    until("an answer", async || link.ask(count("key")).await.is_ok()).await;
}

#[tokio::test]
async fn requests_outlast_a_restart_that_is_shorter_than_their_time() {
    let server = start().await;
    let link = open(&one(server.port())).await;
    link.ask(set("key", "value")).await.unwrap();
    server.kill();
    let asked = tokio::spawn({
        let link = link.clone();
        async move { link.ask(set("key", "value")).await }
    });
    server.start_again().await.unwrap();
    asked.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stopped_server_is_a_timeout_in_time_and_is_found_again() {
    let server = start().await;
    let mut config = one(server.port());
    config.response_timeout = Duration::from_millis(100);
    config.connect_timeout = Duration::from_millis(100);
    config.timeout = Duration::from_millis(700);
    let link = open_impatient(&config).await;
    server.stop().unwrap();
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let link = link.clone();
        crowd.spawn(async move { timed(&link, count("key")).await });
    }
    while let Some(asked) = crowd.join_next().await {
        let (answer, took) = asked.unwrap();
        let error = answer.unwrap_err().into_error(Operation::Save, true);
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.maybe_applied());
        assert!(took < SLACK, "{took:?}");
    }
    server.resume().unwrap();
    until("an answer", async || link.ask(get("other")).await.is_ok()).await;
}

#[tokio::test]
async fn after_three_silences_the_connection_is_made_anew() {
    let server = start().await;
    let proxy = Proxy::start(&server.address()).await.unwrap();
    let mut config = one(proxy.port());
    config.response_timeout = Duration::from_millis(50);
    let link = open(&config).await;
    let before = proxy.accepted();
    proxy.swallow(Direction::Replies);
    let asked = tokio::spawn({
        let link = link.clone();
        async move { link.ask(count("key")).await }
    });
    until("a new connection", async || proxy.accepted() > before).await;
    proxy.pass().await;
    assert!(asked.await.unwrap().unwrap().resent);
}

#[tokio::test]
async fn what_the_server_refuses_for_good_is_told_at_once_without_names() {
    let server = start().await;
    let link = open(&one(server.port())).await;
    link.ask(request("secret", Command::new("LPUSH", &[b"secret", b"1"]))).await.unwrap();
    let kind = |answer: Result<Answer, Fault>| {
        let error = answer.unwrap_err().into_error(Operation::Save, true);
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let text = format!("{error} {error:?} {source:?}");
        assert!(!text.contains("secret"), "{text}");
        assert!(!error.maybe_applied());
        error.kind()
    };
    assert_eq!(kind(link.ask(count("secret")).await), ErrorKind::Corrupt);
    let unknown = request("secret", Command::new("NOSUCH", &[b"secret"]));
    assert_eq!(kind(link.ask(unknown).await), ErrorKind::Backend);
    server.configure("maxmemory", "1").await.unwrap();
    assert_eq!(kind(link.ask(set("secret", "value")).await), ErrorKind::Unavailable);
    assert!(!format!("{:?}", set("secret", "secret")).contains("secret"));
}

#[tokio::test]
async fn a_dropped_request_leaves_nothing_behind() {
    let server = start().await;
    let proxy = Proxy::start(&server.address()).await.unwrap();
    let link = open(&one(proxy.port())).await;
    proxy.latency(Direction::Both, Duration::from_millis(30));
    for wait in 0..20 {
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let link = link.clone();
            crowd.spawn(async move { link.ask(count("key")).await });
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
        crowd.shutdown().await;
    }
    proxy.latency(Direction::Both, Duration::ZERO);
    // The replies of those that were dropped are not taken for others.
    let answer = link.ask(set("other", "value")).await.unwrap();
    assert_eq!(answer.values, [Value::Okay]);
    let answer = link.ask(get("other")).await.unwrap();
    assert_eq!(answer.values, [Value::BulkString(b"value".to_vec().into())]);
}

#[tokio::test]
async fn a_server_that_loads_or_that_became_a_replica_is_asked_again() {
    let (server, other) = tokio::join!(start(), start());
    let proxy = Proxy::start(&server.address()).await.unwrap();
    let link = open(&one(proxy.port())).await;
    let before = proxy.accepted();
    let port = other.port().to_string();
    server.command(&["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
    let asked = tokio::spawn({
        let link = link.clone();
        async move { link.ask(count("key")).await }
    });
    // A name may lead to another server now.
    until("a new connection", async || proxy.accepted() > before).await;
    server.command(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    assert!(!asked.await.unwrap().unwrap().resent, "a replica refuses");
}

/// How many writes were refused because there is no replica.
async fn refusals(server: &Server) -> u64 {
    let info = server.info().await.unwrap();
    let count = info.get("errorstat_NOREPLICAS").and_then(|count| count.strip_prefix("count="));
    count.map_or(0, |count| count.parse().unwrap())
}

/// What a write is told that hears refusals, and then nothing; none if half of its time was over
/// before.
async fn refused_and_then_cut(timeout: Duration) -> Option<session_core::Error> {
    let server = start().await;
    let proxy = Proxy::start(&server.address()).await.unwrap();
    let mut config = one(proxy.port());
    (config.response_timeout, config.timeout) = (timeout / 4, timeout);
    let link = open_impatient(&config).await;
    server.configure("min-replicas-to-write", "1").await.unwrap();
    let began = Instant::now();
    let asked = tokio::spawn(async move { link.ask(set("key", "value")).await });
    // Half of the time is too short for two tries to be given up: one refusal has been heard.
    let three = async || refusals(&server).await >= 3 || asked.is_finished();
    until("three refusals", three).await;
    proxy.swallow(Direction::Replies);
    let in_time = began.elapsed() < timeout / 2;
    let error = asked.await.unwrap().unwrap_err().into_error(Operation::Save, true);
    in_time.then_some(error)
}

#[tokio::test]
async fn a_try_that_ran_out_of_time_hides_no_reason() {
    for seconds in [3, 12, 48] {
        let Some(error) = refused_and_then_cut(Duration::from_secs(seconds)).await else {
            continue;
        };
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("too few replicas"), "{error}");
        // Not so where a pause was the last that there was time for.
        if error.maybe_applied() {
            return;
        }
    }
    panic!("the last tries had no answer");
}

#[tokio::test]
async fn a_write_that_no_replica_has_is_told_as_such() {
    let (server, replica) = tokio::join!(start(), start());
    let mut config = one(server.port());
    config.wait_replicas = 1;
    config.wait_timeout = Duration::from_millis(50);
    let link = open(&config).await;
    let answer = link.ask(count("key")).await.unwrap();
    assert!(!answer.acknowledged);
    assert_eq!(number(&answer), 1, "what the server said all the same");
    assert!(link.ask(get("key")).await.unwrap().acknowledged, "a read waits for nobody");
    let port = server.port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
    let acknowledged = async || link.ask(count("key")).await.unwrap().acknowledged;
    until("an acknowledged write", acknowledged).await;
}

#[tokio::test]
async fn wrong_credentials_and_a_wrong_address_are_told_apart() {
    let options = Options::redis().user("app", "right", "~* &* +@all");
    let server = Server::start(&options).await.unwrap();
    let mut config = one(server.port());
    let began = Instant::now();
    for password in [None, Some("wrong".to_owned())] {
        config.user = password.as_ref().map(|_| "app".to_owned());
        config.password = password;
        let fault = Link::open(&config, nobody()).await.unwrap_err();
        assert_eq!(fault.into_error(Operation::Open, false).kind(), ErrorKind::Config);
    }
    assert!(began.elapsed() < SLACK, "told at once");
    config.password = Some("right".to_owned());
    open(&config).await;
    server.kill();
    config.timeout = Duration::from_millis(200);
    let fault = Link::open(&config, nobody()).await.unwrap_err();
    assert_eq!(fault.into_error(Operation::Open, false).kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_user_without_the_right_to_info_is_served() {
    let options = Options::redis().user("app", "right", "~* &* +@read +@write +@connection");
    let server = Server::start(&options).await.unwrap();
    let mut config = one(server.port());
    config.user = Some("app".to_owned());
    config.password = Some("right".to_owned());
    let link = open(&config).await;
    assert_eq!(link.info().version, "");
    assert!(link.ask(set("key", "value")).await.is_ok());
}

#[tokio::test]
async fn the_old_protocol_is_enough_for_all_but_subscriptions() {
    let server = start().await;
    let mut config = one(server.port());
    config.protocol = crate::Protocol::Resp2;
    let link = open(&config).await;
    assert_eq!(number(&link.ask(count("key")).await.unwrap()), 1);
    server.kill_clients().await.unwrap();
    assert_eq!(number(&link.ask(count("key")).await.unwrap()), 2);
    assert!(link.subscribe(b"channel".to_vec()).await.is_err());
}

#[tokio::test]
async fn a_unix_socket_will_do() {
    let server = start().await;
    let config = patient(Servers::Unix(server.socket().to_owned()));
    let link = open(&config).await;
    assert_eq!(number(&link.ask(count("key")).await.unwrap()), 1);
    server.kill_clients().await.unwrap();
    assert_eq!(number(&link.ask(count("key")).await.unwrap()), 2);
}

#[tokio::test]
async fn connections_are_named_and_use_their_database() {
    let server = start().await;
    let mut config = one(server.port());
    config.client_name = Some("sessions".to_owned());
    config.database = 3;
    let link = open(&config).await;
    link.ask(set("key", "value")).await.unwrap();
    let clients = server.command(&["CLIENT", "LIST"]).await.unwrap();
    assert!(clients.lines().any(|line| line.contains("name=sessions") && line.contains("db=3")));
}

#[tokio::test]
async fn a_long_outage_is_told_at_once_and_ends_when_the_server_is_back() {
    let server = start().await;
    let mut config = one(server.port());
    config.timeout = Duration::from_secs(3);
    let link = open_impatient(&config).await;
    server.kill();
    let (first, took) = timed(&link, get("key")).await;
    assert!(first.is_err());
    assert!(took >= Duration::from_secs(2), "a short outage is waited for, {took:?}");
    until("a quick answer", async || {
        let (answer, took) = timed(&link, get("key")).await;
        let error = answer.unwrap_err().into_error(Operation::Load, false);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        took < Duration::from_secs(2)
    })
    .await;
    server.start_again().await.unwrap();
    until("an answer", async || link.ask(get("key")).await.is_ok()).await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test]
async fn a_runtime_that_is_held_up_holds_up_no_other() {
    let server = start().await;
    let link = open(&one(server.port())).await;
    let other = std::thread::spawn({
        let link = link.clone();
        move || runtime().block_on(async { link.ask(count("key")).await })
    });
    // Nothing else runs here meanwhile.
    assert_eq!(number(&other.join().unwrap().unwrap()), 1);
    assert_eq!(number(&link.ask(count("key")).await.unwrap()), 2);
}

#[tokio::test]
async fn a_connection_whose_runtime_has_ended_does_not_count() {
    let server = start().await;
    let config = one(server.port());
    let opened = std::thread::spawn(move || runtime().block_on(open(&config)));
    let link = opened.join().unwrap();
    assert!(!primary(&link).is_well());
    assert_eq!(number(&link.ask(count("key")).await.unwrap()), 1);
    assert!(primary(&link).is_well());
}

/// Answers as a server or a proxy does that does not know this command.
async fn answer_without(unknown: &'static str, mut stream: tokio::net::TcpStream) {
    let (mut bytes, mut parser) = (BytesMut::new(), Parser::default());
    while stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
        let mut replies = String::new();
        while let Some(Value::Array(strings)) = parser.next(&mut bytes).unwrap() {
            replies += match strings.first() {
                Some(Value::BulkString(name)) if *name == unknown => {
                    "-ERR unknown command, with args beginning with: `3`, \r\n"
                }
                Some(Value::BulkString(name)) if *name == "INFO" => {
                    "$19\r\nredis_version:6.2.0\r\n"
                }
                Some(Value::BulkString(name)) if *name == "GET" => "$-1\r\n",
                _ => "+OK\r\n",
            };
        }
        stream.write_all(replies.as_bytes()).await.unwrap();
    }
}

/// Whether the newer protocol is spoken to a server that does not know this command.
async fn has_messages_without(unknown: &'static str) -> bool {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = one(listener.local_addr().unwrap().port());
    config.password = Some("password".to_owned());
    (config.database, config.client_name) = (3, Some("name".to_owned()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_without(unknown, stream));
        }
    });
    let link = tokio::time::timeout(SOON, open(&config)).await.expect("no hang");
    assert_eq!(link.ask(get("key")).await.unwrap().values, [Value::Nil]);
    let has_messages = link.0.dialer.has_messages();
    if !has_messages {
        let fault = link.subscribe(b"channel".to_vec()).await.map(drop).unwrap_err();
        assert_eq!(fault.into_error(Operation::Lock, false).kind(), ErrorKind::Unsupported);
    }
    has_messages
}

#[tokio::test]
async fn who_knows_only_the_older_protocol_is_spoken_to_in_it() {
    assert!(!has_messages_without("HELLO").await);
    assert!(has_messages_without("CLIENT").await);
}
