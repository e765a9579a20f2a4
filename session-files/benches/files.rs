//! The store beside the bare file operations that it consists of, in memory (`/dev/shm`) and on the
//! disk of the build, for one task and for sixteen with a session each.

#![expect(clippy::unwrap_used, reason = "in a benchmark a panic is the report")]

use std::{
    fs::{self, File, OpenOptions},
    future::Future,
    io::{Read, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant, SystemTime},
};

use criterion::{Criterion, criterion_group, criterion_main};
use session_core::{
    Expected, Key, KeyHasher, LockRequest, OpToken, ReadOptions, Revision, SessionId, SessionStore,
    Then, Write,
};
use session_files::{Durability, FilesStore};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::oneshot};

const HOUR: Duration = Duration::from_secs(3_600);
const SIZE: usize = 1_024;

fn bench(c: &mut Criterion) {
    let disk = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for (place, path) in [("memory", Path::new("/dev/shm")), ("disk", &disk)] {
        let directory = TempDir::new_in(path).unwrap();
        bare(c, place, directory.path());
        for (grade, durability) in [
            ("none", Durability::None),
            ("data", Durability::Data),
            ("directory", Durability::DataAndDirectory),
        ] {
            if place == "disk" || durability == Durability::None {
                store(c, &format!("{place}/{grade}"), directory.path(), durability);
            }
        }
    }
}

/// The operations as a plain program would do them.
fn bare(c: &mut Criterion, place: &str, directory: &Path) {
    let path = directory.join("bare");
    fs::write(&path, [b'x'; SIZE]).unwrap();
    let mut group = c.benchmark_group(format!("bare/{place}"));
    group.bench_function("read", |b| b.iter(|| read(&path)));
    group.bench_function("write", |b| b.iter(|| replace(&path, false)));
    group.bench_function("write_synced", |b| b.iter(|| replace(&path, true)));
    let runtime = runtime();
    let threads = Threads::start();
    for tasks in [1, 16] {
        for (name, work) in [("read", read as fn(&Path)), ("write", |path| replace(path, false))] {
            group.bench_function(format!("threads/{name}/{tasks}"), |b| {
                b.iter_custom(|rounds| {
                    runtime.block_on(spread(tasks, rounds, |task, rounds| {
                        let path = directory.join(format!("bare{task}"));
                        fs::write(&path, [b'x'; SIZE]).unwrap();
                        let threads = threads.clone();
                        async move {
                            for _ in 0..rounds {
                                let path = path.clone();
                                threads.run(move || work(&path)).await;
                            }
                        }
                    }))
                });
            });
        }
    }
}

fn read(path: &Path) {
    let mut bytes = Vec::with_capacity(SIZE);
    File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
}

fn replace(path: &Path, sync: bool) {
    let temp = path.with_extension("tmp");
    let mut file = OpenOptions::new().write(true).create_new(true).open(&temp).unwrap();
    file.write_all(&[b'x'; SIZE]).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    if sync {
        file.sync_all().unwrap();
    }
    drop(file);
    fs::rename(temp, path).unwrap();
}

fn store(c: &mut Criterion, place: &str, directory: &Path, durability: Durability) {
    let runtime = runtime();
    let path = directory.join(place.replace('/', "-"));
    let store = runtime.block_on(FilesStore::builder(path).durability(durability).open()).unwrap();
    let mut group = c.benchmark_group(format!("store/{place}"));
    for tasks in [1, 16] {
        let mut run = |name: &str, work: fn(FilesStore, Session, u64) -> Work| {
            group.bench_function(format!("{name}/{tasks}"), |b| {
                b.iter_custom(|rounds| {
                    runtime.block_on(spread(tasks, rounds, |_, rounds| {
                        let store = store.clone();
                        async move {
                            let session = Session::create(&store).await;
                            work(store, session, rounds).await;
                        }
                    }))
                });
            });
        };
        run("load", |store, session, rounds| Box::pin(loads(store, session, rounds)));
        run("save", |store, session, rounds| Box::pin(saves(store, session, rounds)));
        run("touch", |store, session, rounds| Box::pin(touches(store, session, rounds)));
        run("locked_cycle", |store, session, rounds| Box::pin(cycles(store, session, rounds)));
        run("create_delete", |store, session, rounds| Box::pin(lives(store, session, rounds)));
    }
}

type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

struct Session {
    key: Key,
    revision: Revision,
}

impl Session {
    async fn create(store: &FilesStore) -> Self {
        let key = KeyHasher::plain().key(&SessionId::generate().unwrap());
        let revision = store.create(&key, write(), op(), None).await.unwrap();
        Self { key, revision }
    }
}

fn op() -> OpToken {
    OpToken::generate().unwrap()
}

fn write() -> Write {
    Write::new(vec![b'x'; SIZE], HOUR)
}

async fn loads(store: FilesStore, session: Session, rounds: u64) {
    for _ in 0..rounds {
        store.load(&session.key, ReadOptions::latest()).await.unwrap().unwrap();
    }
}

async fn saves(store: FilesStore, mut session: Session, rounds: u64) {
    for _ in 0..rounds {
        let expected = Expected::Revision(session.revision);
        session.revision = store.save(&session.key, write(), expected, op()).await.unwrap();
    }
}

async fn touches(store: FilesStore, session: Session, rounds: u64) {
    for round in 0..rounds {
        let ttl = HOUR + Duration::from_millis(round);
        store.touch(&session.key, ttl.into(), session.revision.incarnation(), op()).await.unwrap();
    }
}

async fn cycles(store: FilesStore, session: Session, rounds: u64) {
    for _ in 0..rounds {
        let locked = store.lock(&session.key, LockRequest::new(op(), HOUR, HOUR)).await.unwrap();
        let (lease, revision) = (locked.lease.unwrap(), locked.record.unwrap().revision);
        let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
        store.save(&session.key, write(), expected, op()).await.unwrap();
    }
}

async fn lives(store: FilesStore, session: Session, rounds: u64) {
    store.delete(&session.key, Expected::Any, op()).await.unwrap();
    for _ in 0..rounds {
        let revision = store.create(&session.key, write(), op(), None).await.unwrap();
        store.delete(&session.key, Expected::Revision(revision), op()).await.unwrap();
    }
}

/// Spreads `rounds` over `tasks`; the time that all took together, so that its inverse is the
/// throughput.
async fn spread<F: Future<Output = ()> + Send + 'static>(
    tasks: u64,
    rounds: u64,
    work: impl Fn(u64, u64) -> F,
) -> Duration {
    let each = rounds.div_ceil(tasks);
    let started = Instant::now();
    let tasks: Vec<_> = (0..tasks).map(|task| tokio::spawn(work(task, each))).collect();
    let spread = u32::try_from(tasks.len()).unwrap();
    for task in tasks {
        task.await.unwrap();
    }
    // More rounds than asked for were made when they do not divide.
    let made = each * u64::from(spread);
    started.elapsed().mul_f64(1.0_f64.min(as_f64(rounds) / as_f64(made)))
}

fn as_f64(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

type Job = Box<dyn FnOnce() + Send>;

/// Four threads and a channel: what it costs at least to take a call off the async threads.
#[derive(Clone)]
struct Threads(mpsc::Sender<Job>);

impl Threads {
    fn start() -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..4 {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                loop {
                    let job = queue.lock().unwrap().recv();
                    match job {
                        Ok(job) => job(),
                        Err(_) => return,
                    }
                }
            });
        }
        Self(jobs)
    }

    async fn run(&self, work: impl FnOnce() + Send + 'static) {
        let (reply, done) = oneshot::channel();
        self.0
            .send(Box::new(move || {
                work();
                reply.send(()).unwrap();
            }))
            .unwrap();
        done.await.unwrap();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    targets = bench
}
criterion_main!(benches);
