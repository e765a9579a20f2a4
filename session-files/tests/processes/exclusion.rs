//! Two processes at once.

use std::{path::Path, time::Duration};

use session_core::{CookieChange, ReadOptions, SessionManager, SessionStore, Write};
use session_files::{Durability, FilesStore};
use tempfile::TempDir;

use crate::worker::{self, HOUR, key, lines_of, number, numbered, op, start};

fn blocking<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}

async fn open(root: &Path) -> FilesStore {
    worker::open(root.as_os_str(), Durability::None).await
}

/// What two processes in one role print.
fn two(role: &str, root: &Path) -> [Vec<String>; 2] {
    let both = [start(role, root), start(role, root)];
    both.map(lines_of)
}

async fn count(store: &FilesStore) -> u64 {
    number(&store.load(&key(0), ReadOptions::latest()).await.unwrap().unwrap())
}

/// Cases L01 and L02, from two processes.
pub(crate) fn locked_counter() {
    let directory = TempDir::new().unwrap();
    blocking(async {
        let store = open(directory.path()).await;
        store.create(&key(0), numbered(0), op(), None).await.unwrap();
        let mut holds: Vec<(i64, i64)> = two("lock", directory.path())
            .concat()
            .iter()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(begin, end)| (begin.parse().unwrap(), end.parse().unwrap()))
            .collect();
        holds.sort_unstable();
        assert_eq!(holds.len(), 400);
        for pair in holds.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "{pair:?} overlap");
        }
        assert_eq!(count(&store).await, 400);
    });
}

/// Case L17, from two processes.
pub(crate) fn increments() {
    let directory = TempDir::new().unwrap();
    blocking(async {
        let store = open(directory.path()).await;
        store.create(&key(0), numbered(0), op(), None).await.unwrap();
        two("increment", directory.path());
        assert_eq!(count(&store).await, 1_000);
    });
}

/// The handle's read-modify-write, from two processes with 500 tasks each.
pub(crate) fn updates() {
    let directory = TempDir::new().unwrap();
    blocking(async {
        let sessions = SessionManager::new(open(directory.path()).await).unwrap();
        let session = sessions.open(None);
        session.insert("count", 0).await.unwrap();
        session.save().await.unwrap();
        let CookieChange::Set { id, .. } = session.cookie_change() else { panic!("no id") };
        two(&format!("{}{}", worker::UPDATE, id.expose()), directory.path());
        let count = sessions.open(Some(id)).get::<u64>("count").await.unwrap();
        assert_eq!(count, Some(1_000));
    });
}

/// Case C07, from two processes.
pub(crate) fn creators() {
    let directory = TempDir::new().unwrap();
    let mut created = two("create", directory.path()).concat();
    created.sort_unstable();
    let all = created.len();
    created.dedup();
    assert_eq!((all, created.len()), (200, 200));
}

/// Case E21, from two processes.
pub(crate) fn sweepers() {
    let directory = TempDir::new().unwrap();
    blocking(async {
        let store = open(directory.path()).await;
        for n in 0..200 {
            let ttl = if n % 2 == 0 { HOUR } else { Duration::from_millis(1) };
            store.create(&key(n), Write::new("x", ttl), op(), None).await.unwrap();
        }
        let mut last = store.load(&key(199), ReadOptions::latest()).await.unwrap();
        while last.is_some() {
            last = store.load(&key(199), ReadOptions::latest()).await.unwrap();
        }
        let removed = two("sweep", directory.path()).concat();
        let removed: usize = removed.iter().map(|line| line.parse::<usize>().unwrap()).sum();
        assert_eq!(removed, 100);
        for n in 0..200 {
            let there = store.load(&key(n), ReadOptions::latest()).await.unwrap().is_some();
            assert_eq!(there, n % 2 == 0, "{n}");
        }
    });
}
