//! What the conformance suite does not ask: this store's own ways, on the file server's clock.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{sync::Arc, time::Duration};

use session_core::{
    ErrorKind, Expected, Key, KeyHasher, LockRequest, OffsetClock, OpToken, ReadOptions, Revision,
    SessionId, SessionStore, SweepBudget, SystemClock, Then, Under, Write,
};
use session_files::FilesStore;
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3_600);

fn key() -> Key {
    KeyHasher::plain().key(&SessionId::generate().unwrap())
}

fn op() -> OpToken {
    OpToken::generate().unwrap()
}

fn write(payload: &'static str) -> Write {
    Write::new(payload, HOUR)
}

fn request(lease: Duration, wait: Duration) -> LockRequest {
    LockRequest::new(op(), lease, wait)
}

async fn open(directory: &TempDir) -> FilesStore {
    let builder = FilesStore::builder(directory.path().join("sessions"));
    builder.timeout(Duration::from_secs(60)).open().await.unwrap()
}

async fn payload(store: &FilesStore, key: &Key) -> Option<String> {
    let record = store.load(key, ReadOptions::latest()).await.unwrap()?;
    Some(String::from_utf8(record.payload.to_vec()).unwrap())
}

async fn created(store: &FilesStore) -> (Key, Revision) {
    let key = key();
    let revision = store.create(&key, write("first"), op(), None).await.unwrap();
    (key, revision)
}

#[tokio::test]
async fn a_record_outlives_the_store_that_wrote_it() {
    let directory = TempDir::new().unwrap();
    let (key, revision) = created(&open(&directory).await).await;
    let again = open(&directory).await;
    let record = again.load(&key, ReadOptions::latest()).await.unwrap().unwrap();
    assert_eq!((&record.payload[..], record.revision), (&b"first"[..], revision));
    let revision = Expected::Revision(revision);
    again.save(&key, write("second"), revision, op()).await.unwrap();
    assert_eq!(payload(&again, &key).await.as_deref(), Some("second"));
}

#[tokio::test]
async fn a_lease_excludes_another_store_until_it_is_released_there() {
    let directory = TempDir::new().unwrap();
    let (one, two) = (open(&directory).await, open(&directory).await);
    let (key, _) = created(&one).await;
    let lease = one.lock(&key, request(HOUR, Duration::ZERO)).await.unwrap().lease.unwrap();
    let refused = two.lock(&key, request(HOUR, Duration::ZERO)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockTimeout);
    assert!(refused.retry_after().unwrap() > HOUR - Duration::from_secs(60));
    let (waiter, theirs) = (two.clone(), key.clone());
    let waiting = tokio::spawn(async move { waiter.lock(&theirs, request(HOUR, HOUR)).await });
    one.release(&key, &lease).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap().unwrap();
    assert!(waited.unwrap().lease.is_some());
}

#[tokio::test]
async fn a_lapsed_lease_is_taken_over_and_its_holder_refused() {
    let directory = TempDir::new().unwrap();
    let (one, two) = (open(&directory).await, open(&directory).await);
    let (key, revision) = created(&one).await;
    let short = request(Duration::from_millis(50), Duration::ZERO);
    let lease = one.lock(&key, short).await.unwrap().lease.unwrap();
    let taken = two.lock(&key, request(HOUR, Duration::from_secs(60))).await.unwrap();
    assert!(taken.lease.is_some());
    let stale = Expected::Lease { lease: &lease, revision, then: Then::Release };
    let refused = one.save(&key, write("stale"), stale, op()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockLost);
    assert_eq!(one.renew(&key, &lease, HOUR).await.unwrap_err().kind(), ErrorKind::LockLost);
}

#[tokio::test]
async fn a_wrong_local_clock_changes_neither_leases_nor_deadlines() {
    let directory = TempDir::new().unwrap();
    let ahead = Arc::new(OffsetClock::new(SystemClock::default()));
    ahead.advance(10 * HOUR);
    let one = open(&directory).await;
    let path = directory.path().join("sessions");
    let two = FilesStore::builder(path).local_clock(Arc::clone(&ahead)).open().await.unwrap();
    let (key, _) = created(&one).await;
    one.lock(&key, request(HOUR, Duration::ZERO)).await.unwrap();
    let refused = two.lock(&key, request(HOUR, Duration::ZERO)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockTimeout);
    assert_eq!(payload(&two, &key).await.as_deref(), Some("first"));
    // A clock that is set while the store runs is noticed too.
    ahead.step_back(30 * HOUR);
    assert_eq!(payload(&two, &key).await.as_deref(), Some("first"));
    ahead.advance(60 * HOUR);
    assert_eq!(payload(&two, &key).await.as_deref(), Some("first"));
}

#[tokio::test]
async fn a_lease_stamped_in_the_future_ends_after_its_duration_all_the_same() {
    let directory = TempDir::new().unwrap();
    let clock = Arc::new(OffsetClock::new(SystemClock::default()));
    let path = directory.path().join("sessions");
    let store = FilesStore::builder(path).clock(Arc::clone(&clock)).open().await.unwrap();
    let (key, _) = created(&store).await;
    store.lock(&key, request(HOUR, Duration::ZERO)).await.unwrap();
    clock.step_back(100 * HOUR);
    let refused = store.lock(&key, request(HOUR, Duration::ZERO)).await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(HOUR));
    clock.advance(HOUR);
    store.lock(&key, request(HOUR, Duration::ZERO)).await.unwrap();
}

#[tokio::test]
async fn a_sweep_without_time_gets_to_the_end_all_the_same() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory).await;
    for _ in 0..20 {
        created(&store).await;
    }
    let (mut cursor, mut scanned) = (None, 0);
    // At most one step for each key and one for each end of a directory.
    for _ in 0..=40 {
        let budget = SweepBudget::new(1_000, Duration::ZERO);
        let report = store.sweep(cursor.as_ref(), budget).await.unwrap();
        scanned += report.scanned;
        cursor = report.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((scanned, cursor), (20, None));
}

#[tokio::test]
async fn a_lock_without_a_record_becomes_one_and_a_lapsed_one_is_swept() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory).await;
    let (kept, left) = (key(), key());
    let lease = store.lock(&kept, request(HOUR, Duration::ZERO)).await.unwrap().lease.unwrap();
    store.lock(&left, request(Duration::ZERO, Duration::ZERO)).await.unwrap();
    assert_eq!(payload(&store, &kept).await, None);
    let under = Under::new(&lease, Then::Keep);
    store.create(&kept, write("first"), op(), Some(under)).await.unwrap();
    store.sweep(None, SweepBudget::default()).await.unwrap();
    let mut names = names_below(&directory.path().join("sessions"));
    names.retain(|name| !name.starts_with(".locks/"));
    assert_eq!(names.iter().filter(|name| name.ends_with(".lease")).count(), 1, "{names:?}");
    store.renew(&kept, &lease, HOUR).await.unwrap();
}

fn names_below(root: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = vec![root.to_path_buf()];
    while let Some(directory) = rest.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rest.push(path);
            } else {
                names.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    names
}
