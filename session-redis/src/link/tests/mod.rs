//! The link on real servers, while they are broken.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use test_servers::redis::{Options, Server};

use super::{Answer, Command, Fault, Link, OnMessage, Request, Script, Value};
use crate::{Endpoint, RedisConfig, Servers};

mod cluster;
mod sentinel;
mod single;
mod subscriptions;

/// More than any step takes: a hang is a failure, slowness is not.
const SOON: Duration = Duration::from_secs(90);
/// How long what is told at once, or by a short deadline, may take on a busy machine.
const SLACK: Duration = Duration::from_secs(30);

/// Counts calls under the key, and says how often it was called.
const COUNT: &str = "return redis.call('INCR', KEYS[1])";

fn endpoint(port: u16) -> Endpoint {
    Endpoint::new("127.0.0.1", port)
}

fn one(port: u16) -> RedisConfig {
    patient(Servers::One(endpoint(port)))
}

/// Nothing is sent again because an answer is slow, so that counts are exact.
fn patient(servers: Servers) -> RedisConfig {
    let mut config = RedisConfig::new(servers);
    (config.response_timeout, config.timeout) = (SOON, SOON);
    config
}

async fn start() -> Server {
    Server::start(&Options::redis()).await.unwrap()
}

async fn open(config: &RedisConfig) -> Link {
    Link::open(config, nobody()).await.unwrap()
}

/// Opens with times that a busy machine may exceed: again, until it works.
async fn open_impatient(config: &RedisConfig) -> Link {
    let mut link = None;
    until("a link", async || {
        let opened = Link::open(config, nobody()).await;
        assert!(opened.as_ref().err().is_none_or(Fault::passes), "{opened:?}");
        link = opened.ok();
        link.is_some()
    })
    .await;
    link.unwrap()
}

fn nobody() -> OnMessage {
    Arc::new(|_| ())
}

fn get(key: &str) -> Request {
    request(key, Command::new("GET", &[key.as_bytes()]))
}

fn set(key: &str, value: &str) -> Request {
    request(key, Command::new("SET", &[key.as_bytes(), value.as_bytes()]))
}

fn count(key: &str) -> Request {
    request(key, Command::script(&Script::new(COUNT), &[key.as_bytes()], &[]))
}

fn request(key: &str, command: Command) -> Request {
    Request { key: key.as_bytes().to_vec(), commands: vec![command], replica: false }
}

fn number(answer: &Answer) -> i64 {
    match answer.values.as_slice() {
        [Value::Int(number)] => *number,
        other => panic!("not a number: {other:?}"),
    }
}

/// What was asked, and how long it took.
async fn timed(link: &Link, request: Request) -> (Result<Answer, Fault>, Duration) {
    let began = Instant::now();
    let answer = tokio::time::timeout(SOON, link.ask(request)).await.expect("it hangs");
    (answer, began.elapsed())
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds().await {
        assert!(Instant::now() < deadline, "not seen: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Remembers the channels that it was told of.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn on_message(&self) -> OnMessage {
        let heard = self.clone();
        Arc::new(move |channel| {
            heard.0.lock().unwrap().push(String::from_utf8(channel.to_vec()).unwrap());
        })
    }

    fn count(&self, channel: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|heard| *heard == channel).count()
    }
}
