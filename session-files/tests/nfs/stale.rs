//! What is removed and made again on the server, or goes by a name of the client's own.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use session_core::{
    Enumeration, ErrorKind, Expected, Key, LockRequest, SessionStore, SweepBudget, Then,
};
use session_files::FilesStore;
use test_servers::nfs::{CLIENTS, SERVER};

use crate::{
    common::{HOUR, PATIENCE, both, load, new_key, op, text, write},
    lane::Lane,
};

/// A client keeps the names of a directory for 30 s, which is too long for an operation to wait.
const PATIENCE_WITH_OLD_NAMES: Duration = Duration::from_secs(20);

pub(crate) fn trials(lane: &Lane) -> Vec<Trial> {
    vec![
        lane.role("what_is_replaced_on_the_server_is_found_again_by_both_clients", "stale"),
        lane.role("names_that_a_client_gives_to_removed_files_are_no_sessions", "silly"),
    ]
}

/// Where a session's file is, below the folder of the store.
fn path(key: &Key) -> PathBuf {
    let digits = key.digest().as_bytes().iter().map(|byte| format!("{byte:02x}"));
    let hex = digits.collect::<String>();
    PathBuf::from(&hex[..3]).join(&hex)
}

pub(crate) async fn replaced() {
    let [one, two] = CLIENTS.map(|client| format!("{client}/stale"));
    let open = |root| FilesStore::builder(root).timeout(PATIENCE_WITH_OLD_NAMES).open();
    let stores = [open(one).await.unwrap(), open(two).await.unwrap()];
    let [a, b] = &stores;
    let (key, server) = (new_key(), PathBuf::from(SERVER).join("stale"));
    let revision = a.create(&key, write("first"), op(), None).await.unwrap();
    assert!(load(b, &key).await.unwrap().is_some());

    copy_over(&server.join(path(&key)));
    for store in &stores {
        let record = load(store, &key).await.unwrap().unwrap();
        assert_eq!((text(&record), record.revision), ("first", revision));
    }
    b.save(&key, write("second"), Expected::Revision(revision), op()).await.unwrap();
    assert_eq!(text(&load(a, &key).await.unwrap().unwrap()), "second");

    // A cleaner: locks and clock are made anew, and exclude as before.
    fs::remove_dir_all(server.join(".locks")).unwrap();
    fs::remove_file(server.join(".clock")).unwrap();
    for (holder, other) in [(a, b), (b, a)] {
        excludes(holder, other, &key).await;
    }
    for store in &stores {
        store.ping().await.unwrap();
    }

    fs::remove_dir_all(server.join(path(&key)).parent().unwrap()).unwrap();
    for store in &stores {
        assert!(load(store, &key).await.unwrap().is_none());
    }
    a.create(&key, write("again"), op(), None).await.unwrap();
    assert_eq!(text(&load(b, &key).await.unwrap().unwrap()), "again");
}

/// The same content in another file under the same name.
fn copy_over(file: &Path) {
    let (kept, new) = (fs::metadata(file).unwrap().modified().unwrap(), file.with_extension("x"));
    fs::copy(file, &new).unwrap();
    fs::File::open(&new).unwrap().set_modified(kept).unwrap();
    fs::remove_file(file).unwrap();
    fs::rename(new, file).unwrap();
}

async fn excludes(holder: &FilesStore, other: &FilesStore, key: &Key) {
    let request = |wait| LockRequest::new(op(), HOUR, wait);
    let locked = holder.lock(key, request(HOUR)).await.unwrap();
    let refused = other.lock(key, request(Duration::ZERO)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockTimeout);
    let (lease, revision) = (locked.lease.unwrap(), locked.record.unwrap().revision);
    let expected = Expected::Lease { lease: &lease, revision, then: Then::Release };
    holder.save(key, write("held"), expected, op()).await.unwrap();
}

pub(crate) async fn silly() {
    let stores = both("silly").await;
    let key = new_key();
    stores[0].create(&key, write("open"), op(), None).await.unwrap();
    let there = PathBuf::from(CLIENTS[0]).join("silly").join(path(&key));
    let held = fs::File::open(&there).unwrap();
    stores[0].delete(&key, Expected::Any, op()).await.unwrap();
    let hidden = || {
        let names = fs::read_dir(there.parent().unwrap()).unwrap();
        names.filter(|name| {
            name.as_ref().unwrap().file_name().as_encoded_bytes().starts_with(b".nfs")
        })
    };
    assert_eq!(hidden().count(), 1, "the file was not renamed");
    for store in &stores {
        assert!(load(store, &key).await.unwrap().is_none());
        assert_eq!(store.keys(None, 10).await.unwrap().keys, []);
        let swept = store.sweep(None, SweepBudget::new(10, HOUR)).await.unwrap();
        assert_eq!((swept.scanned, swept.deleted, swept.skipped), (0, 0, 0));
    }
    assert_eq!(hidden().count(), 1, "the file was removed under its reader");
    drop(held);
    let deadline = Instant::now() + PATIENCE;
    while hidden().count() > 0 {
        assert!(Instant::now() < deadline, "the file stays without a reader");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("a deleted session that somebody had open was neither seen nor swept");
}
