//! The proxy, in front of a server whose counters tell what arrived.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use test_servers::{
    TestResult,
    proxy::{Direction, Proxy},
    redis::{Flavor, Options, Server},
    trial, until,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::LIMIT;

const SOON: Duration = Duration::from_millis(200);

pub(crate) fn trials() -> Vec<Trial> {
    macro_rules! trials {
        ($($test:ident)*) => {
            vec![$(trial(
                concat!("proxy::", stringify!($test)),
                &["redis"],
                Flavor::Redis.missing(),
                || async {
                    let server = Server::start(&Options::redis()).await?;
                    let proxy = Proxy::start(&server.address()).await?;
                    $test(server, proxy).await
                },
            )),*]
        };
    }
    trials![
        it_loses_exactly_one_reply
        it_waits_for_the_request_whose_reply_is_to_be_lost
        it_swallows_requests
        it_swallows_replies
        it_refuses_and_passes_again
        it_cuts_what_is_connected
        it_delays_without_lowering_the_throughput
    ]
}

/// A client that sends inline commands.
struct Client(TcpStream);

impl Client {
    async fn connect(proxy: &Proxy) -> std::io::Result<Self> {
        TcpStream::connect(proxy.address()).await.map(Self)
    }

    async fn send(&mut self, command: &str) -> std::io::Result<()> {
        self.0.write_all(format!("{command}\r\n").as_bytes()).await
    }

    /// What comes next; nothing at the end.
    async fn receive(&mut self) -> std::io::Result<String> {
        let mut buffer = [0; 1024];
        let length = self.0.read(&mut buffer).await?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    async fn ask(&mut self, command: &str) -> std::io::Result<String> {
        self.send(command).await?;
        self.receive().await
    }

    async fn is_cut(&mut self) -> bool {
        let received = timeout(LIMIT, self.receive()).await.expect("the connection stays");
        received.map_or(true, |text| text.is_empty())
    }
}

async fn it_loses_exactly_one_reply(server: Server, proxy: Proxy) -> TestResult {
    let mut client = Client::connect(&proxy).await?;
    assert_eq!(client.ask("INCR key").await?, ":1\r\n");
    proxy.lose_reply_to(b"");
    client.send("INCR key").await?;
    assert!(client.is_cut().await);
    assert_eq!(server.command(&["GET", "key"]).await?, "2");
    assert_eq!(proxy.lost(), 1);
    let mut client = Client::connect(&proxy).await?;
    assert_eq!(client.ask("INCR key").await?, ":3\r\n");
    assert_eq!(proxy.lost(), 1);
    Ok(())
}

async fn it_waits_for_the_request_whose_reply_is_to_be_lost(
    server: Server,
    proxy: Proxy,
) -> TestResult {
    let mut other = Client::connect(&proxy).await?;
    let mut client = Client::connect(&proxy).await?;
    proxy.lose_reply_to(b"INCR");
    assert_eq!(client.ask("GET key").await?, "$-1\r\n");
    client.send("INCR key").await?;
    assert!(client.is_cut().await);
    assert_eq!(other.ask("INCR key").await?, ":2\r\n");
    assert_eq!(server.command(&["GET", "key"]).await?, "2");
    Ok(())
}

async fn it_swallows_requests(server: Server, proxy: Proxy) -> TestResult {
    let mut client = Client::connect(&proxy).await?;
    assert_eq!(client.ask("INCR key").await?, ":1\r\n");
    proxy.swallow(Direction::Requests);
    client.send("INCR key").await?;
    assert!(timeout(SOON, client.receive()).await.is_err(), "it got through");
    proxy.pass().await;
    assert!(client.is_cut().await);
    assert_eq!(server.command(&["GET", "key"]).await?, "1");
    Ok(())
}

async fn it_swallows_replies(server: Server, proxy: Proxy) -> TestResult {
    let mut client = Client::connect(&proxy).await?;
    let mut idle = Client::connect(&proxy).await?;
    assert_eq!(idle.ask("PING").await?, "+PONG\r\n");
    proxy.swallow(Direction::Replies);
    client.send("INCR key").await?;
    until("its effect", LIMIT, || async {
        Ok((server.command(&["GET", "key"]).await? == "1").then_some(()))
    })
    .await?;
    assert!(timeout(SOON, client.receive()).await.is_err(), "it got through");
    proxy.pass().await;
    assert!(client.is_cut().await);
    assert_eq!(idle.ask("PING").await?, "+PONG\r\n");
    Ok(())
}

async fn it_refuses_and_passes_again(_server: Server, proxy: Proxy) -> TestResult {
    let mut client = Client::connect(&proxy).await?;
    assert_eq!(client.ask("PING").await?, "+PONG\r\n");
    proxy.refuse().await;
    let refused = Client::connect(&proxy).await.err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::ConnectionRefused));
    assert_eq!(client.ask("PING").await?, "+PONG\r\n");
    proxy.pass().await;
    assert_eq!(Client::connect(&proxy).await?.ask("PING").await?, "+PONG\r\n");
    assert_eq!(proxy.accepted(), 2);
    Ok(())
}

async fn it_cuts_what_is_connected(_server: Server, proxy: Proxy) -> TestResult {
    let mut clients = [Client::connect(&proxy).await?, Client::connect(&proxy).await?];
    for client in &mut clients {
        assert_eq!(client.ask("PING").await?, "+PONG\r\n");
    }
    proxy.cut();
    for client in &mut clients {
        assert!(client.is_cut().await);
    }
    assert_eq!(Client::connect(&proxy).await?.ask("PING").await?, "+PONG\r\n");
    Ok(())
}

async fn it_delays_without_lowering_the_throughput(_server: Server, proxy: Proxy) -> TestResult {
    let latency = Duration::from_secs(5);
    let mut client = Client::connect(&proxy).await?;
    assert_eq!(client.ask("PING").await?, "+PONG\r\n");
    proxy.latency(Direction::Requests, latency);
    let start = Instant::now();
    client.send("ECHO 1").await?;
    // Time for the proxy to take the first request alone.
    tokio::time::sleep(SOON).await;
    client.send("ECHO 2").await?;
    assert_eq!(client.receive().await?, "$1\r\n1\r\n");
    assert!(start.elapsed() >= latency);
    let start = Instant::now();
    assert_eq!(client.receive().await?, "$1\r\n2\r\n");
    assert!(start.elapsed() < latency, "the second waited for the first");
    Ok(())
}
