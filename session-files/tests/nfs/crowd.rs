//! How many files a program has locked at once: Amazon's EFS allows 256 on a mount.

use std::{
    collections::BTreeSet,
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

use libtest_mimic::Trial;
use session_core::{Expected, SessionStore};
use session_files::FilesStore;

use crate::{
    common::{PATIENCE, new_key, op, write},
    lane::Lane,
};

const THREADS: usize = 32;
/// What the limit counts are files: a store has so many for its locks.
const FILES: usize = 64;
const TASKS: usize = 200;

pub(crate) fn trials(lane: &Lane) -> Vec<Trial> {
    vec![lane.role("a_store_never_locks_more_files_than_it_has_threads", "crowd /mnt/c1/crowd")]
}

/// Creates and saves many sessions at once, while it counts the locked files.
pub(crate) async fn crowd(root: &str) {
    let store =
        FilesStore::builder(root).threads(THREADS).timeout(PATIENCE * 2).open().await.unwrap();
    let done = AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        let counter = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(locked_files());
            }
            most
        });
        let tasks = async {
            let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(use_one(store.clone()))).collect();
            for task in tasks {
                task.await.unwrap();
            }
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(tasks));
        done.store(true, Ordering::Relaxed);
        counter.join().unwrap()
    });
    println!("{TASKS} tasks on {THREADS} threads had {most} files locked at once at most");
    assert!((2..=THREADS.min(FILES)).contains(&most), "{most}");
    assert_eq!(locked_files(), 0, "a lock outlived its operation");
}

async fn use_one(store: FilesStore) {
    let key = new_key();
    let revision = store.create(&key, write("0"), op(), None).await.unwrap();
    store.save(&key, write("1"), Expected::Revision(revision), op()).await.unwrap();
}

/// How many files are locked by the store's kind of lock; the server's own are of another.
fn locked_files() -> usize {
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let file = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words.get(1) == Some(&"OFDLCK")).then(|| words[5].to_owned())
    };
    locks.lines().filter_map(file).collect::<BTreeSet<_>>().len()
}
