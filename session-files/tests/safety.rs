//! What is on the disk: who may read it, and what happens to what does not belong there.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use session_core::{
    Error, ErrorKind, Expected, Incarnation, Key, KeyHasher, LockRequest, OpToken, ReadOptions,
    Result, Revision, SessionId, SessionStore, SweepBudget, Write,
};
use session_files::FilesStore;
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3_600);

struct Fixture {
    directory: TempDir,
    store: FilesStore,
}

impl Fixture {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let builder = FilesStore::builder(directory.path().join("sessions"));
        let store = builder.timeout(Duration::from_secs(60)).open().await.unwrap();
        Self { directory, store }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("sessions")
    }

    /// The path of the key's record.
    fn record(&self, key: &Key) -> PathBuf {
        let hex = hex(key);
        self.root().join(&hex[..3]).join(hex)
    }

    async fn created(&self) -> (Key, Revision) {
        let key = KeyHasher::plain().key(&SessionId::generate().unwrap());
        let revision = self.store.create(&key, write("first"), op(), None).await.unwrap();
        (key, revision)
    }
}

fn hex(key: &Key) -> String {
    key.digest().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn op() -> OpToken {
    OpToken::generate().unwrap()
}

fn write(payload: &'static str) -> Write {
    Write::new(payload, HOUR)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn kind<T: std::fmt::Debug>(outcome: Result<T>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

/// Every operation that would have to read or replace the record.
async fn everything(store: &FilesStore, key: &Key, revision: Revision) -> Vec<Error> {
    let request = LockRequest::new(op(), HOUR, Duration::ZERO);
    let expected = Expected::Revision(revision);
    vec![
        store.load(key, ReadOptions::latest()).await.unwrap_err(),
        store.create(key, write("other"), op(), None).await.unwrap_err(),
        store.save(key, write("other"), expected, op()).await.unwrap_err(),
        store.save(key, write("other"), Expected::Any, op()).await.unwrap_err(),
        store.touch(key, HOUR.into(), revision.incarnation(), op()).await.unwrap_err(),
        store.delete(key, expected, op()).await.unwrap_err(),
        store.lock(key, request).await.unwrap_err(),
    ]
}

/// The record at `path` is refused by everything and stays as it is, until it is deleted.
async fn assert_refused(fixture: &Fixture, key: &Key, revision: Revision) {
    for error in everything(&fixture.store, key, revision).await {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(!format!("{error} {error:?}").contains(&hex(key)[8..16]), "{error:?}");
    }
    fixture.store.sweep(None, SweepBudget::default()).await.unwrap();
    assert!(fixture.record(key).symlink_metadata().is_ok());
}

async fn assert_deletable(fixture: &Fixture, key: &Key) {
    fixture.store.delete(key, Expected::Any, op()).await.unwrap();
    assert!(fixture.record(key).symlink_metadata().is_err());
    fixture.store.create(key, write("second"), op(), None).await.unwrap();
}

/// SEC-50.
#[tokio::test]
async fn sec_50_directories_are_for_the_owner_and_so_are_files() {
    let fixture = Fixture::new().await;
    let (key, _) = fixture.created().await;
    fixture.store.lock(&key, LockRequest::new(op(), HOUR, Duration::ZERO)).await.unwrap();
    let mut rest = vec![fixture.root()];
    let mut files = 0;
    while let Some(path) = rest.pop() {
        if path.is_dir() {
            assert_eq!(mode(&path), 0o700, "{path:?}");
            rest.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            assert_eq!(mode(&path), 0o600, "{path:?}");
            files += 1;
        }
    }
    // The record, its lease, one lock file, the clock.
    assert_eq!(files, 4);
}

/// SEC-50.
#[tokio::test]
async fn sec_50_a_parent_that_everybody_may_write_is_refused_unless_it_is_sticky() {
    let directory = TempDir::new().unwrap();
    let below = directory.path().join("below");
    fs::create_dir(&below).unwrap();
    for (path, at) in [(directory.path(), "sessions"), (directory.path(), "below/sessions")] {
        set_mode(path, 0o777);
        assert_eq!(kind(FilesStore::open(path.join(at)).await), ErrorKind::Config);
        set_mode(path, 0o1777);
        FilesStore::open(path.join(at)).await.unwrap();
    }
}

#[tokio::test]
async fn sec_50_a_directory_that_others_may_write_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("sessions");
    fs::create_dir(&path).unwrap();
    for mode in [0o770, 0o707, 0o1777, 0o702] {
        set_mode(&path, mode);
        assert_eq!(kind(FilesStore::open(&path).await), ErrorKind::Config, "{mode:o}");
    }
    set_mode(&path, 0o755);
    FilesStore::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_link_or_a_file_in_the_place_of_the_directory_is_refused() {
    let directory = TempDir::new().unwrap();
    let real = directory.path().join("real");
    fs::create_dir(&real).unwrap();
    let link = directory.path().join("link");
    symlink(&real, &link).unwrap();
    assert_eq!(kind(FilesStore::open(&link).await), ErrorKind::Config);
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(kind(FilesStore::open(&file).await), ErrorKind::Config);
    assert_eq!(kind(FilesStore::open(file.join("below")).await), ErrorKind::Config);
}

/// SEC-50.
#[tokio::test]
async fn sec_50_a_planted_link_is_neither_followed_nor_replaced() {
    let fixture = Fixture::new().await;
    let (key, revision) = fixture.created().await;
    let (path, target) = (fixture.record(&key), fixture.directory.path().join("target"));
    fs::rename(&path, &target).unwrap();
    let bytes = fs::read(&target).unwrap();
    symlink(&target, &path).unwrap();
    assert_refused(&fixture, &key, revision).await;
    assert_deletable(&fixture, &key).await;
    assert_eq!(fs::read(&target).unwrap(), bytes);
}

#[tokio::test]
async fn a_planted_pipe_or_directory_is_refused_and_nobody_waits_for_it() {
    let fixture = Fixture::new().await;
    let (key, revision) = fixture.created().await;
    let path = fixture.record(&key);
    fs::remove_file(&path).unwrap();
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    assert_refused(&fixture, &key, revision).await;
    assert_deletable(&fixture, &key).await;
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_refused(&fixture, &key, revision).await;
}

#[tokio::test]
async fn a_planted_link_in_the_place_of_a_lease_is_not_followed() {
    let fixture = Fixture::new().await;
    let (key, _) = fixture.created().await;
    let target = fixture.directory.path().join("target");
    fs::write(&target, "").unwrap();
    symlink(&target, fixture.record(&key).with_extension("lease")).unwrap();
    let locked = fixture.store.lock(&key, LockRequest::new(op(), HOUR, Duration::ZERO)).await;
    assert_eq!(kind(locked), ErrorKind::Corrupt);
    assert_eq!(fs::read(&target).unwrap(), b"");
}

/// C20, C21.
#[tokio::test]
async fn a_damaged_record_stays_for_inspection_until_it_is_deleted() {
    let fixture = Fixture::new().await;
    let (key, revision) = fixture.created().await;
    let path = fixture.record(&key);
    let mtime = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, &bytes).unwrap();
    fs::File::open(&path).unwrap().set_modified(mtime).unwrap();
    assert_refused(&fixture, &key, revision).await;
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_deletable(&fixture, &key).await;
}

/// C23.
#[tokio::test]
async fn a_record_of_a_newer_format_is_refused_and_never_overwritten() {
    let fixture = Fixture::new().await;
    let (key, revision) = fixture.created().await;
    let path = fixture.record(&key);
    let mtime = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] += 1;
    fs::write(&path, &bytes).unwrap();
    fs::File::open(&path).unwrap().set_modified(mtime).unwrap();
    assert_refused(&fixture, &key, revision).await;
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn a_damaged_record_is_absent_after_its_deadline() {
    let fixture = Fixture::new().await;
    let (key, _) = fixture.created().await;
    // Written just now, so its time says that its deadline is now.
    fs::write(fixture.record(&key), "damaged").unwrap();
    assert_eq!(fixture.store.load(&key, ReadOptions::latest()).await.unwrap(), None);
    let touched = fixture.store.touch(&key, HOUR.into(), Incarnation::NONE, op()).await;
    assert_eq!(kind(touched), ErrorKind::NotFound);
    fixture.store.create(&key, write("second"), op(), None).await.unwrap();
}

#[tokio::test]
async fn a_torn_lease_counts_as_none() {
    let fixture = Fixture::new().await;
    let (key, _) = fixture.created().await;
    let path = fixture.record(&key).with_extension("lease");
    for torn in ["", "SESSLEA\n\x01\0"] {
        fs::write(&path, torn).unwrap();
        let request = LockRequest::new(op(), HOUR, Duration::ZERO);
        let lease = fixture.store.lock(&key, request).await.unwrap().lease.unwrap();
        fixture.store.renew(&key, &lease, HOUR).await.unwrap();
        fixture.store.release(&key, &lease).await.unwrap();
    }
    fixture.store.delete(&key, Expected::Any, op()).await.unwrap();
    fs::write(&path, "").unwrap();
    fixture.store.sweep(None, SweepBudget::default()).await.unwrap();
    assert!(!path.exists());
}

/// A cleaner of temporary directories removes files that nobody has used for days.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_lock_files_are_noticed() {
    let fixture = Fixture::new().await;
    let (key, _) = fixture.created().await;
    fs::remove_dir_all(fixture.root().join(".locks")).unwrap();
    let other = FilesStore::open(fixture.root()).await.unwrap();
    other.touch(&key, HOUR.into(), Incarnation::NONE, op()).await.unwrap_err();
    let tasks = [fixture.store.clone(), other].map(|store| {
        let key = key.clone();
        tokio::spawn(async move {
            let mut saved: u32 = 0;
            while saved < 500 {
                let record = store.load(&key, ReadOptions::latest()).await.unwrap().unwrap();
                let expected = Expected::Revision(record.revision);
                let next = vec![b'x'; record.payload.len() + 1];
                let write = Write::new(next, HOUR);
                saved += u32::from(store.save(&key, write, expected, op()).await.is_ok());
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    let record = fixture.store.load(&key, ReadOptions::latest()).await.unwrap().unwrap();
    assert_eq!(record.payload.len(), "first".len() + 1_000);
}

/// What is locked and what is written stay in one tree.
#[tokio::test]
async fn a_store_stays_with_its_directory_when_the_path_changes() {
    let fixture = Fixture::new().await;
    let (key, revision) = fixture.created().await;
    let moved = fixture.directory.path().join("moved");
    fs::rename(fixture.root(), &moved).unwrap();
    fs::create_dir(fixture.root()).unwrap();
    let expected = Expected::Revision(revision);
    fixture.store.save(&key, write("second"), expected, op()).await.unwrap();
    let other = FilesStore::open(moved).await.unwrap();
    let record = other.load(&key, ReadOptions::latest()).await.unwrap().unwrap();
    assert_eq!(&record.payload[..], b"second");
}

/// L07, L08.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_whose_caller_has_gone_away_is_given_back() {
    let fixture = Fixture::new().await;
    let (key, _) = fixture.created().await;
    let (mut won_some, mut left_some) = (0, 0);
    for _ in 0..1_000 {
        let request = LockRequest::new(op(), HOUR, HOUR);
        // Timers are too coarse to stop the call in its middle.
        let patience = async {
            for _ in 0..fastrand::u32(..600) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            won = fixture.store.lock(&key, request) => {
                let lease = won.unwrap().lease.unwrap();
                fixture.store.release(&key, &lease).await.unwrap();
                won_some += 1;
            }
            () = patience => left_some += 1,
        }
    }
    assert!(won_some > 0 && left_some > 0, "{won_some} {left_some}");
    let request = LockRequest::new(op(), HOUR, Duration::from_secs(30));
    fixture.store.lock(&key, request).await.unwrap();
}
