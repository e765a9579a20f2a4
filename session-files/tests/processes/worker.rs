//! What the other processes do.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};
use session_core::{
    Error, ErrorKind, Expected, Key, KeyDigest, LockRequest, OpToken, ReadOptions, Record,
    SessionId, SessionManager, SessionStore, SweepBudget, Then, Under, Write,
};
use session_files::{Durability, FilesStore};

/// The environment variable that says what a process is to do.
pub(crate) const ROLE: &str = "SESSION_FILES_TEST_ROLE";
pub(crate) const ROOT: &str = "SESSION_FILES_TEST_ROOT";

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
/// For one operation beside others that flush.
const PATIENCE: Duration = Duration::from_secs(60);
/// The lease of the writers that are killed.
pub(crate) const SHORT_LEASE: Duration = Duration::from_millis(100);
/// The role of counting through the handle; the session's id follows.
pub(crate) const UPDATE: &str = "update ";

/// The keys of the writers that are killed.
pub(crate) const KEYS: u8 = 8;

/// Starts this program in another role.
pub(crate) fn start(role: &str, root: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .env(ROLE, role)
        .env(ROOT, root)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The lines that a process prints until it ends, which it must do well.
pub(crate) fn lines_of(mut child: Child) -> Vec<String> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success());
    lines
}

pub(crate) fn run(role: &str) {
    let root = std::env::var_os(ROOT).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match role {
            "lock" => together(&root, locked_increments).await,
            "increment" => together(&root, plain_increments).await,
            update if update.starts_with(UPDATE) => {
                updates(&open(&root, Durability::None).await, &update[UPDATE.len()..]).await;
            }
            "create" => creations(&open(&root, Durability::None).await).await,
            "sweep" => sweep(&open(&root, Durability::None).await).await,
            "write" => writes(&open(&root, Durability::Data).await).await,
            "write-unsynced" => writes(&open(&root, Durability::None).await).await,
            "full-disk" => crate::full_disk::on_a_small_disk(Path::new(&root)).await,
            _ => panic!("no such role: {role}"),
        }
    });
}

pub(crate) async fn open(root: &OsStr, durability: Durability) -> FilesStore {
    let builder = FilesStore::builder(root).durability(durability);
    builder.timeout(PATIENCE).open().await.unwrap()
}

pub(crate) fn key(number: u8) -> Key {
    // Spread over the directories, so that some share one and some do not.
    let mut digest = [number; 32];
    digest[0] = number % 2;
    Key::from_digest(KeyDigest::from_bytes(digest))
}

pub(crate) fn op() -> OpToken {
    OpToken::generate().unwrap()
}

/// The number in a record, whose filling is checked.
pub(crate) fn number(record: &Record) -> u64 {
    let text = std::str::from_utf8(&record.payload).unwrap();
    let (number, filling) = text.split_once(' ').unwrap();
    let number = number.parse().unwrap();
    assert_eq!(filling, filling_of(number));
    number
}

/// From 0 to 64 KiB, different for neighbours.
fn filling_of(number: u64) -> String {
    let letter = char::from(b'a' + u8::try_from(number % 26).unwrap());
    let length = usize::try_from(number % 7).unwrap() * 10_000;
    std::iter::repeat_n(letter, length).collect()
}

pub(crate) fn numbered(number: u64) -> Write {
    Write::new(format!("{number} {}", filling_of(number)), HOUR)
}

/// Nanoseconds on the clock that all processes of a machine share.
fn nanos() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    now.tv_sec() * 1_000_000_000 + now.tv_nsec()
}

/// Four tasks on one store, each with a handle.
async fn together<F: Future<Output = ()> + Send + 'static>(
    root: &OsStr,
    work: fn(FilesStore) -> F,
) {
    let store = open(root, Durability::None).await;
    let tasks: Vec<_> = (0..4).map(|_| tokio::spawn(work(store.clone()))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Prints when each hold began and ended.
async fn locked_increments(store: FilesStore) {
    for _ in 0..50 {
        let request = LockRequest::new(op(), HOUR, HOUR);
        let locked = store.lock(&key(0), request).await.unwrap();
        let begin = nanos();
        let (lease, record) = (locked.lease.unwrap(), locked.record.unwrap());
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..2_000))).await;
        let revision = record.revision;
        let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
        let next = numbered(number(&record) + 1);
        let end = nanos();
        store.save(&key(0), next, expected, op()).await.unwrap();
        println!("{begin} {end}");
    }
}

async fn plain_increments(store: FilesStore) {
    for _ in 0..125 {
        while increment(&store, &key(0)).await.is_err_and(|error| was_beaten(&error)) {}
    }
}

/// 500 updates of one session, all at once.
async fn updates(store: &FilesStore, id: &str) {
    let sessions = SessionManager::builder(store.clone()).commit_timeout(HOUR).build().unwrap();
    let id = SessionId::parse_native(id).unwrap();
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let session = sessions.open(Some(id.clone()));
            tokio::spawn(async move {
                session
                    .update(|data| {
                        let count = data.get::<u64>("count")?.unwrap_or_default();
                        data.insert("count", count + 1)
                    })
                    .await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

fn was_beaten(error: &Error) -> bool {
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    true
}

/// Reads and saves with one more; returns the number that was saved.
async fn increment(store: &FilesStore, key: &Key) -> Result<u64, Error> {
    let Some(record) = store.load(key, ReadOptions::latest()).await? else {
        return store.create(key, numbered(1), op(), None).await.map(|_| 1);
    };
    let next = number(&record) + 1;
    store.save(key, numbered(next), Expected::Revision(record.revision), op()).await?;
    Ok(next)
}

/// Prints the keys that this process created.
async fn creations(store: &FilesStore) {
    for n in 0..200 {
        match store.create(&key(n), numbered(1), op(), None).await {
            Ok(_) => println!("{n}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}"),
        }
    }
}

/// Prints how many records this process removed.
async fn sweep(store: &FilesStore) {
    let mut cursor = None;
    loop {
        let budget = SweepBudget::new(7, HOUR);
        let report = store.sweep(cursor.as_ref(), budget).await.unwrap();
        println!("{}", report.deleted);
        cursor = report.next;
        if cursor.is_none() {
            return;
        }
    }
}

/// Writes in all ways until it is killed; prints each write that was acknowledged.
async fn writes(store: &FilesStore) {
    loop {
        let n = fastrand::u8(..KEYS);
        let written = match fastrand::u8(..10) {
            0 => leave_a_lock(store).await,
            1 => touch(store, &key(n)).await,
            2..5 => locked_increment(store, &key(n)).await,
            _ => increment(store, &key(n)).await.map(Some),
        };
        match written {
            Ok(None) => {}
            Ok(Some(number)) => println!("{n} {number}"),
            Err(error) if is_refusal(&error) => {}
            Err(error) => println!("failed {error:?}"),
        }
        std::io::stdout().flush().unwrap();
    }
}

fn is_refusal(error: &Error) -> bool {
    use ErrorKind::{AlreadyExists, Conflict, LockHeld, LockLost, LockTimeout, NotFound};
    let kind = error.kind();
    [AlreadyExists, Conflict, LockHeld, LockLost, LockTimeout, NotFound].contains(&kind)
}

/// Locks a key that never has a record.
async fn leave_a_lock(store: &FilesStore) -> Result<Option<u64>, Error> {
    let absent = key(KEYS + fastrand::u8(..KEYS));
    store.lock(&absent, LockRequest::new(op(), SHORT_LEASE, Duration::ZERO)).await.map(|_| None)
}

async fn touch(store: &FilesStore, key: &Key) -> Result<Option<u64>, Error> {
    if let Some(record) = store.load(key, ReadOptions::latest()).await? {
        store.touch(key, (HOUR * 2).into(), record.revision.incarnation(), op()).await?;
    }
    Ok(None)
}

async fn locked_increment(store: &FilesStore, key: &Key) -> Result<Option<u64>, Error> {
    let locked = store.lock(key, LockRequest::new(op(), SHORT_LEASE, SHORT_LEASE)).await?;
    let lease = locked.lease.unwrap();
    let Some(record) = locked.record else {
        store.create(key, numbered(1), op(), Some(Under::new(&lease, Then::Release))).await?;
        return Ok(Some(1));
    };
    let next = number(&record) + 1;
    let revision = record.revision;
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
    store.save(key, numbered(next), expected, op()).await?;
    Ok(Some(next))
}
