//! One server, a pair under Sentinel, a cluster; each of Redis and of Valkey.

use libtest_mimic::Trial;
use test_servers::{
    TestResult,
    redis::{Cluster, Flavor, Options, Persistence, Sentinels, Server},
    trial, until,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::LIMIT;

pub(crate) fn trials() -> Vec<Trial> {
    macro_rules! of_both {
        ($($test:ident)*) => {
            vec![$(
                of(Flavor::Redis, &["redis"], stringify!($test), $test),
                of(Flavor::Valkey, &["valkey"], stringify!($test), $test),
            )*]
        };
    }
    of_both![
        a_server_answers_on_tcp_and_on_its_socket
        what_is_acknowledged_is_there_after_a_kill
        without_persistence_a_kill_forgets_everything
        a_stopped_server_is_silent_until_it_goes_on
        a_full_server_refuses_writes
        users_and_tls_are_enforced
        traffic_counts_what_clients_did_and_not_the_looks
        killed_clients_are_counted_and_cut
        a_start_that_fails_quotes_the_log
        a_taken_port_is_told_by_the_words_that_lead_to_another
        another_primary_is_announced_after_a_kill
        a_replica_takes_over_in_the_cluster
        a_stopped_primary_of_the_cluster_is_replaced
        slots_move_with_their_keys
    ]
}

fn of<F: Future<Output = TestResult> + 'static>(
    flavor: Flavor,
    words: &'static [&'static str],
    name: &str,
    test: fn(Flavor) -> F,
) -> Trial {
    let missing = Server::missing(&Options::new(flavor).tls());
    trial(format!("{}::{name}", flavor.name()), words, missing, move || test(flavor))
}

async fn a_server_answers_on_tcp_and_on_its_socket(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor).databases(3)).await?;
    assert_eq!(server.command(&["SET", "key", "value"]).await?, "OK");
    assert_eq!(server.command(&["GET", "key"]).await?, "value");
    assert_eq!(server.command(&["CONFIG", "GET", "databases"]).await?, "databases\n3");
    assert!(TcpStream::connect(server.address()).await.is_ok());
    assert!(server.url().starts_with("redis://127.0.0.1:"));
    let refused = server.command(&["GET"]).await.unwrap_err().to_string();
    assert!(refused.contains("wrong number of arguments"), "{refused}");

    let info = server.info().await?;
    let version = ["valkey_version", "redis_version"].iter().find_map(|name| info.get(*name));
    assert_eq!(version, Some(&flavor.version()?));
    Ok(())
}

async fn what_is_acknowledged_is_there_after_a_kill(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor).persistence(Persistence::Always)).await?;
    server.command(&["SET", "key", "value"]).await?;
    let port = server.port();
    server.kill();
    assert!(!server.is_up());
    assert!(server.command(&["PING"]).await.is_err());
    server.start_again().await?;
    assert_eq!(server.command(&["GET", "key"]).await?, "value");
    assert_eq!(server.port(), port);
    Ok(())
}

async fn without_persistence_a_kill_forgets_everything(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    server.command(&["SET", "key", "value"]).await?;
    server.kill();
    server.start_again().await?;
    assert_eq!(server.command(&["EXISTS", "key"]).await?, "0");
    Ok(())
}

async fn a_stopped_server_is_silent_until_it_goes_on(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    server.stop()?;
    assert!(!server.is_up() && server.process_id().is_some());
    let mut ping = std::pin::pin!(server.command(&["PING"]));
    let soon = std::time::Duration::from_millis(200);
    assert!(tokio::time::timeout(soon, &mut ping).await.is_err(), "it answered");
    server.resume()?;
    assert_eq!(ping.await?, "PONG");
    assert!(server.is_up());
    Ok(())
}

async fn a_full_server_refuses_writes(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor).max_memory("1kb", "noeviction")).await?;
    let refused = server.command(&["SET", "key", "value"]).await.unwrap_err().to_string();
    assert!(refused.contains("OOM"), "{refused}");
    server.configure("maxmemory", "0").await?;
    assert_eq!(server.command(&["SET", "key", "value"]).await?, "OK");
    Ok(())
}

async fn users_and_tls_are_enforced(flavor: Flavor) -> TestResult {
    let rules = "~session:* &session:* +@read +@write +@connection -@dangerous";
    let options = Options::new(flavor).tls().user("app", "secret", rules);
    let server = Server::start(&options).await?;
    assert!(server.url().starts_with("rediss://app:secret@127.0.0.1:"));

    let cli = |user: [&str; 4], command: &[&str]| {
        let authority = &server.certificates().unwrap().authority;
        let output = std::process::Command::new(format!("{}-cli", flavor.name()))
            .args(["-p", &server.port().to_string(), "--tls", "--cacert"])
            .arg(authority)
            .args(user)
            .arg("--no-auth-warning")
            .args(command)
            .output();
        let output = output.unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let right = ["--user", "app", "--pass", "secret"];
    assert_eq!(cli(right, &["SET", "session:1", "value"]), "OK\n");
    assert!(cli(right, &["SET", "other", "value"]).contains("NOPERM"));
    assert!(cli(right, &["FLUSHALL"]).contains("NOPERM"));
    assert!(cli(["--user", "app", "--pass", "wrong"], &["PING"]).contains("WRONGPASS"));
    assert!(cli(["-n", "0", "-r", "1"], &["PING"]).contains("NOAUTH"));
    assert_eq!(server.command(&["GET", "session:1"]).await?, "value");
    Ok(())
}

async fn traffic_counts_what_clients_did_and_not_the_looks(flavor: Flavor) -> TestResult {
    let plain = Options::new(flavor);
    for options in [plain.clone(), plain.user("app", "secret", "~* +@all")] {
        let server = Server::start(&options).await?;
        let before = server.traffic().await?;
        let nothing = server.traffic().await?.since(&before);
        assert_eq!((nothing.all_calls().len(), nothing.reads()), (0, 0), "{nothing:?}");

        let before = server.traffic().await?;
        server.command(&["SET", "key", "value"]).await?;
        server.command(&["EVAL", "return redis.call('GET', KEYS[1])", "1", "key"]).await?;
        server.forget_scripts().await?;
        let traffic = server.traffic().await?.since(&before);
        assert_eq!(["set", "eval", "get"].map(|name| traffic.calls(name)), [1, 1, 1]);
        assert_eq!(traffic.calls("script|flush"), 1, "{traffic:?}");
        assert!((3..=9).contains(&traffic.reads()), "{traffic:?}");
    }
    Ok(())
}

async fn killed_clients_are_counted_and_cut(flavor: Flavor) -> TestResult {
    let server = Server::start(&Options::new(flavor)).await?;
    let mut clients = Vec::new();
    for command in ["PING\r\n", "SUBSCRIBE channel\r\n"] {
        let mut client = TcpStream::connect(server.address()).await?;
        client.write_all(command.as_bytes()).await?;
        assert!(client.read(&mut [0; 100]).await? > 0);
        clients.push(client);
    }
    assert_eq!(server.kill_clients().await?, 2);
    for mut client in clients {
        let read = tokio::time::timeout(LIMIT, client.read(&mut [0; 100])).await?;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    Ok(())
}

async fn a_taken_port_is_told_by_the_words_that_lead_to_another(flavor: Flavor) -> TestResult {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port().to_string();
    let refused = Server::start(&Options::new(flavor).argument("port", &port)).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("Address already in use"), "{refused}");
    Ok(())
}

async fn a_start_that_fails_quotes_the_log(flavor: Flavor) -> TestResult {
    let options = Options::new(flavor).argument("no-such-directive", "1");
    let error = Server::start(&options).await.unwrap_err().to_string();
    assert!(error.starts_with("the server ended at its start"), "{error}");
    assert!(error.contains("no-such-directive"), "{error}");
    Ok(())
}

async fn another_primary_is_announced_after_a_kill(flavor: Flavor) -> TestResult {
    let pair = Sentinels::start(&Options::new(flavor)).await?;
    let first = pair.primary().await?;
    first.command(&["SET", "key", "value"]).await?;
    first.wait_for_replicas(1, LIMIT).await?;
    first.kill();
    let second = pair.wait_for_another(first, LIMIT).await?;
    assert_ne!(first.port(), second.port());
    assert_eq!(second.command(&["GET", "key"]).await?, "value");

    first.start_again().await?;
    pair.wait_until_whole().await?;
    // On a busy machine the Sentinels may have replaced the second as well.
    assert_eq!(pair.primary().await?.command(&["GET", "key"]).await?, "value");
    until("the data again", LIMIT, || async {
        Ok((first.command(&["GET", "key"]).await? == "value").then_some(()))
    })
    .await?;
    Ok(())
}

async fn a_replica_takes_over_in_the_cluster(flavor: Flavor) -> TestResult {
    let cluster = Cluster::start(&Options::new(flavor)).await?;
    let slot = cluster.slot("key").await?;
    let first = cluster.owner(slot).await?;
    let replicas = cluster.replicas(first).await?;
    first.command(&["SET", "key", "value"]).await?;
    first.wait_for_replicas(1, LIMIT).await?;
    first.kill();
    let second = cluster.wait_for_another(slot, first, LIMIT).await?;
    assert_eq!(second.port(), replicas[0].port());
    assert_eq!(second.command(&["GET", "key"]).await?, "value");

    first.start_again().await?;
    cluster.wait_until_whole().await?;
    assert_eq!(cluster.owner(slot).await?.port(), second.port());
    Ok(())
}

async fn a_stopped_primary_of_the_cluster_is_replaced(flavor: Flavor) -> TestResult {
    let cluster = Cluster::start(&Options::new(flavor)).await?;
    let first = cluster.owner(0).await?;
    first.stop()?;
    let second = cluster.wait_for_another(0, first, LIMIT).await?;
    assert_ne!(first.port(), second.port());
    first.resume()?;
    cluster.wait_until_whole().await?;
    Ok(())
}

async fn slots_move_with_their_keys(flavor: Flavor) -> TestResult {
    let cluster = Cluster::start(&Options::new(flavor)).await?;
    let slot = cluster.slot("{tag}").await?;
    let from = cluster.owner(slot).await?;
    let names = (0..250).map(|number| format!("{{tag}}{number}")).collect::<Vec<_>>();
    let pairs = names.iter().flat_map(|name| [&**name, "value"]);
    let command: Vec<&str> = ["MSET"].into_iter().chain(pairs).collect();
    from.command(&command).await?;
    let primaries = cluster.primaries().await?;
    let to = *primaries.iter().find(|node| node.port() != from.port()).unwrap();

    cluster.begin_move(slot, to).await?;
    assert_eq!(cluster.move_keys(slot, to, 1).await?, 1);
    let asked = from.command(&["GET", "{tag}new"]).await.unwrap_err().to_string();
    assert!(asked.starts_with("ASK "), "{asked}");
    cluster.move_slot(slot, to).await?;
    assert_eq!(cluster.owner(slot).await?.port(), to.port());
    assert_eq!(to.command(&["GET", "{tag}249"]).await?, "value");
    assert_eq!(to.command(&["DBSIZE"]).await?, "250");
    let moved = from.command(&["GET", "{tag}1"]).await.unwrap_err().to_string();
    assert!(moved.starts_with("MOVED "), "{moved}");

    cluster.reshard(to, from, 100).await?;
    cluster.wait_until_ok(LIMIT).await?;
    Ok(())
}
