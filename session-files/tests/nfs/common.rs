//! Small things that the roles share.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use session_core::{
    Error, Key, KeyDigest, KeyHasher, OpToken, ReadOptions, Record, SessionId, SessionStore, Write,
};
use session_files::{Commit, FilesStore};
use test_servers::nfs::CLIENTS;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
/// A system call takes ten times as long in the guest, which has one processor.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The server's folder as both clients have it mounted without locks.
pub(crate) const WITHOUT_LOCKS: [&str; 2] = ["/mnt/n1", "/mnt/n2"];
/// The options of these mounts. Version 4.1 cannot do without locks.
pub(crate) const NO_LOCKS: &str = "vers=3,nolock,lookupcache=positive /srv/x";

/// How commits are made in a folder.
pub(crate) fn commit(root: &str) -> Commit {
    let without = WITHOUT_LOCKS.iter().any(|mount| root.starts_with(mount));
    if without { Commit::HardLink } else { Commit::Lock }
}

pub(crate) async fn open(root: &str) -> FilesStore {
    let builder = FilesStore::builder(root).timeout(PATIENCE).commit(commit(root));
    builder.open().await.unwrap()
}

/// A key that nobody has used.
pub(crate) fn new_key() -> Key {
    KeyHasher::plain().key(&SessionId::generate().unwrap())
}

/// A key that several processes know.
pub(crate) fn key(number: u8) -> Key {
    Key::from_digest(KeyDigest::from_bytes([number; 32]))
}

pub(crate) fn op() -> OpToken {
    OpToken::generate().unwrap()
}

pub(crate) fn write(payload: impl Into<String>) -> Write {
    Write::new(payload.into(), HOUR)
}

pub(crate) async fn load(store: &FilesStore, key: &Key) -> Result<Option<Record>, Error> {
    store.load(key, ReadOptions::latest()).await
}

/// The stores of both clients in a folder of this name, which is made.
pub(crate) async fn both(name: &str) -> [FilesStore; 2] {
    let [one, two] = CLIENTS.map(|client| format!("{client}/{name}"));
    [open(&one).await, open(&two).await]
}

/// The payload as a text.
pub(crate) fn text(record: &Record) -> &str {
    std::str::from_utf8(&record.payload).unwrap()
}

/// Waits for a file that another program makes.
pub(crate) async fn exists(path: &str) {
    let deadline = Instant::now() + PATIENCE * 3;
    while !Path::new(path).exists() {
        assert!(Instant::now() < deadline, "there is no {path}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
