//! The balancer: takes turns, goes on elsewhere, and keeps to one server when it is told to.

use std::{collections::BTreeSet, net::SocketAddr};

use libtest_mimic::Trial;
use test_servers::{
    Result, TestResult,
    haproxy::{Haproxy, Options},
    trial, until,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use crate::LIMIT;

pub(crate) fn trials() -> Vec<Trial> {
    macro_rules! trials {
        ($($test:ident)*) => {
            vec![$(trial(
                concat!("haproxy::", stringify!($test)), &["haproxy"], Haproxy::missing(), $test,
            )),*]
        };
    }
    trials![
        servers_take_turns_and_only_those_that_were_admitted
        what_a_dead_server_would_get_goes_to_another
        a_request_that_broke_off_is_sent_again_only_if_it_is_a_get
        a_sticky_balancer_keeps_to_one_server
    ]
}

/// A server that answers anything, or hangs up on what begins with a word.
async fn server(port: u16, hang_up_on: &'static str) -> Result<JoinHandle<()>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(tokio::spawn(async move {
        // Aborted with the server.
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut request = [0; 4096];
                let read = stream.read(&mut request).await.unwrap_or_default();
                let refused =
                    !hang_up_on.is_empty() && request[..read].starts_with(hang_up_on.as_bytes());
                if !refused {
                    let reply =
                        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                    let _sent = stream.write_all(reply).await;
                }
            });
        }
    }))
}

async fn ask(to: SocketAddr, request: &str, cookie: &str) -> Result<String> {
    let mut stream = TcpStream::connect(to).await?;
    let head = format!("{request} HTTP/1.0\r\n{cookie}\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    Ok(reply)
}

fn header<'a>(reply: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = reply.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Who answers ten requests.
async fn answering(balancer: &Haproxy) -> Result<BTreeSet<String>> {
    let mut seen = BTreeSet::new();
    for _ in 0..10 {
        let reply = ask(balancer.address(), "GET /", "").await?;
        seen.insert(header(&reply, "x-served-by").unwrap_or("nobody").to_owned());
    }
    Ok(seen)
}

async fn pair(
    options: Options,
    hang_up_on: &'static str,
) -> Result<(Haproxy, [JoinHandle<()>; 2])> {
    let balancer = Haproxy::start(&options).await?;
    let one = server(balancer.port_behind(0), hang_up_on).await?;
    let two = server(balancer.port_behind(1), "").await?;
    balancer.admit(0).await?;
    balancer.admit(1).await?;
    Ok((balancer, [one, two]))
}

async fn servers_take_turns_and_only_those_that_were_admitted() -> TestResult {
    let (balancer, _servers) = pair(Options::new(["one", "two", "three"]), "").await?;
    assert_eq!(answering(&balancer).await?, BTreeSet::from(["one".into(), "two".into()]));
    balancer.dismiss(0).await?;
    assert_eq!(answering(&balancer).await?, BTreeSet::from(["two".into()]));
    let told = balancer.servers().await?;
    let names: Vec<_> = told.iter().map(|server| (server.name.as_str(), server.requests)).collect();
    assert_eq!(names, [("one", 5), ("two", 15), ("three", 0)]);
    assert!(balancer.admit(3).await.is_err());
    Ok(())
}

async fn what_a_dead_server_would_get_goes_to_another() -> TestResult {
    let (balancer, [one, _two]) = pair(Options::new(["one", "two"]), "").await?;
    one.abort();
    assert!(one.await.is_err());
    assert_eq!(answering(&balancer).await?, BTreeSet::from(["two".into()]));
    let down = || async {
        Ok(balancer.servers().await?.first().is_some_and(|one| one.status == "DOWN").then_some(()))
    };
    until("note of the end", LIMIT, down).await?;
    Ok(())
}

async fn a_request_that_broke_off_is_sent_again_only_if_it_is_a_get() -> TestResult {
    let (balancer, _servers) = pair(Options::new(["one", "two"]), "POST /").await?;
    let mut broken = 0;
    for _ in 0..10 {
        let reply = ask(balancer.address(), "POST /", "").await?;
        broken += u32::from(header(&reply, "x-served-by").is_none());
    }
    assert_eq!(broken, 5, "every other POST met the server that hangs up");

    // Health checks are a GET of another path, which this server answers.
    let (balancer, _servers) = pair(Options::new(["one", "two"]), "GET /page").await?;
    for _ in 0..10 {
        let reply = ask(balancer.address(), "GET /page", "").await?;
        assert_eq!(header(&reply, "x-served-by"), Some("two"), "{reply}");
    }
    assert!(balancer.servers().await?.iter().any(|server| server.redispatched > 0));
    Ok(())
}

async fn a_sticky_balancer_keeps_to_one_server() -> TestResult {
    let (balancer, [one, two]) = pair(Options::new(["one", "two"]).sticky(), "").await?;
    let first = ask(balancer.address(), "GET /", "").await?;
    let bound = header(&first, "x-served-by").unwrap().to_owned();
    let cookie = header(&first, "set-cookie").unwrap().split(';').next().unwrap();
    let cookie = format!("cookie: {cookie}\r\n");
    for _ in 0..5 {
        let reply = ask(balancer.address(), "GET /", &cookie).await?;
        assert_eq!(header(&reply, "x-served-by"), Some(bound.as_str()));
    }
    let gone = if bound == "one" { one } else { two };
    gone.abort();
    assert!(gone.await.is_err());
    let reply = ask(balancer.address(), "GET /", &cookie).await?;
    assert!(header(&reply, "x-served-by").is_some_and(|other| other != bound), "{reply}");
    Ok(())
}
