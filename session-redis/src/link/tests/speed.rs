//! How fast the link is beside the bare client. Not a test: run it by name, optimised, alone:
//! `cargo test --profile bench -p session-redis --lib speed -- --ignored --nocapture`

use redis::aio::MultiplexedConnection;
use session_core::{
    Expected, Key, KeyHasher, LockRequest, OpToken, ReadOptions, SessionId, SessionStore, Write,
};

use super::*;
use crate::RedisStore;

const KEYS: usize = 1_000;
const LIFE: Duration = Duration::from_secs(3_600);
const RUN: Duration = Duration::from_millis(700);
const ROUNDS: usize = 5;

#[derive(Clone)]
struct Bench {
    wire: MultiplexedConnection,
    link: Link,
    store: RedisStore,
    keys: Arc<Vec<Key>>,
    script: Script,
    sha: Arc<str>,
}

#[derive(Clone, Copy, Debug)]
enum Work {
    BareGet,
    LinkGet,
    StoreLoad,
    BareSet,
    LinkSet,
    StoreSave,
    BareScript,
    LinkScript,
    StoreLock,
}

const ALL: [Work; 9] = [
    Work::BareGet,
    Work::LinkGet,
    Work::StoreLoad,
    Work::BareSet,
    Work::LinkSet,
    Work::StoreSave,
    Work::BareScript,
    Work::LinkScript,
    Work::StoreLock,
];

const TEXT: &str =
    "local v = redis.call('GET', KEYS[1]) redis.call('PEXPIRE', KEYS[1], ARGV[1]) return v";

impl Bench {
    async fn start(url: &str, config: &RedisConfig) -> Self {
        let client = redis::Client::open(format!("{url}/?protocol=resp3")).unwrap();
        let settings =
            redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(1)));
        let mut wire =
            client.get_multiplexed_async_connection_with_config(&settings).await.unwrap();
        let sha: String =
            redis::cmd("SCRIPT").arg("LOAD").arg(TEXT).query_async(&mut wire).await.unwrap();
        let link = open(config).await;
        let store = RedisStore::connect(config.clone()).await.unwrap();
        let key = || KeyHasher::plain().key(&SessionId::generate().unwrap());
        let keys: Vec<Key> = (0..KEYS).map(|_| key()).collect();
        for (number, key) in keys.iter().enumerate() {
            let write = Write::new(vec![7; 1024], LIFE);
            store.create(key, write, OpToken::generate().unwrap(), None).await.unwrap();
            link.ask(set(&format!("plain:{number}"), &"x".repeat(1210))).await.unwrap();
        }
        Self { wire, link, store, keys: Arc::new(keys), script: Script::new(TEXT), sha: sha.into() }
    }

    async fn once(&mut self, work: Work) {
        let number = fastrand::usize(..KEYS);
        let name = format!("plain:{number}");
        let key = &self.keys[number];
        let op = OpToken::generate().unwrap();
        match work {
            Work::BareGet => {
                let mut cmd = redis::cmd("GET");
                cmd.arg(&name);
                self.wire.send_packed_command(&cmd).await.unwrap();
            }
            Work::BareSet => {
                let mut cmd = redis::cmd("SET");
                cmd.arg(&name).arg(&[7_u8; 1024][..]).arg("EX").arg(3_600);
                self.wire.send_packed_command(&cmd).await.unwrap();
            }
            Work::BareScript => {
                let mut cmd = redis::cmd("EVALSHA");
                cmd.arg(&*self.sha).arg(1).arg(&name).arg(3_600_000);
                self.wire.send_packed_command(&cmd).await.unwrap();
            }
            Work::LinkGet => drop(self.link.ask(get(&name)).await.unwrap()),
            Work::LinkSet => {
                let arguments: [&[u8]; 4] = [name.as_bytes(), &[7_u8; 1024], b"EX", b"3600"];
                let request = request(&name, Command::new("SET", &arguments));
                drop(self.link.ask(request).await.unwrap());
            }
            Work::LinkScript => {
                let command = Command::script(&self.script, name.as_bytes(), &[b"3600000"]);
                drop(self.link.ask(request(&name, command)).await.unwrap());
            }
            Work::StoreLoad => {
                self.store.load(key, ReadOptions::latest()).await.unwrap().unwrap();
            }
            Work::StoreSave => {
                let write = Write::new(vec![7; 1024], LIFE);
                self.store.save(key, write, Expected::Any, op).await.unwrap();
            }
            Work::StoreLock => {
                let lock = LockRequest::new(op, LIFE, LIFE);
                let lease = self.store.lock(key, lock).await.unwrap().lease.unwrap();
                self.store.release(key, &lease).await.unwrap();
            }
        }
    }

    /// How often `work` was done in a second by so many tasks, and the processor's time for one.
    async fn run(&self, work: Work, tasks: usize) -> (f64, f64) {
        let done = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let (began, before) = (Instant::now(), cpu());
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..tasks {
            let (mut bench, done) = (self.clone(), Arc::clone(&done));
            crowd.spawn(async move {
                while began.elapsed() < RUN {
                    bench.once(work).await;
                    done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
        crowd.join_all().await;
        let (time, cpu) = (began.elapsed().as_secs_f64(), cpu() - before);
        let done = done.load(std::sync::atomic::Ordering::Relaxed) as f64;
        (done / time, cpu * 1e6 / done)
    }
}

/// Seconds of processor time of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute and wants the machine for itself"]
#[expect(clippy::print_stdout, reason = "prints figures")]
async fn speed() {
    let server = start().await;
    let bench = Bench::start(&server.url(), &one(server.port())).await;
    for tasks in [1, 16, 128] {
        let mut figures: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); ALL.len()];
        for _ in 0..ROUNDS {
            for (work, figures) in ALL.into_iter().zip(&mut figures) {
                let (rate, cpu) = bench.run(work, tasks).await;
                figures.0.push(rate);
                figures.1.push(cpu);
            }
        }
        for (group, works) in figures.chunks(3).zip(ALL.chunks(3)) {
            let bare = median(group[0].0.clone());
            for ((rates, cpus), work) in group.iter().zip(works) {
                let rate = median(rates.clone());
                println!(
                    "{tasks:>4} tasks {:<11} {rate:>9.0}/s {:>5.0} % {:>6.2} us",
                    format!("{work:?}"),
                    100.0 * rate / bare,
                    median(cpus.clone()),
                );
            }
        }
    }
}
