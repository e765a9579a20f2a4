//! A disk without room, and a user without any left to him.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
};

use libtest_mimic::Trial;
use nix::{
    sys::quota::{Dqblk, QuotaType, QuotaValidFlags, quotactl_set},
    unistd::{Gid, Uid, setresgid, setresuid},
};
use session_core::{Error, ErrorKind, Expected, SessionStore};
use session_files::{Durability, FilesStore};
use test_servers::{
    TestResult,
    nfs::{Guest, SERVER, SMALL_DISK},
};

use crate::{
    common::{HOUR, exists, load, new_key, op, text, write},
    lane::{Lane, command},
};

/// Somebody whom quotas bind.
const USER: u32 = 1000;
/// There once nothing can be written any more, and once something can be again.
const SIGNS: [&str; 2] = ["/run/squeezed", "/run/relieved"];

/// A file takes the room that there is, and small ones what is given back of it.
const FILL: &str = "cd /srv/x/small
    for n in 1 2 3; do cat /dev/zero >>filler; sync; done
    n=0; while echo x >filler.$n && sync -f filler.$n; do n=$((n + 1)); done; sync";

pub(crate) fn trials(lane: &Lane) -> Vec<Trial> {
    vec![
        lane.trial("a_full_disk_of_the_server_leaves_the_old_session_whole", |guest| async move {
            let relieve = format!("rm {SERVER}/small/filler*; sync");
            squeeze(&guest, "full 0 no space is left", FILL, &relieve).await
        }),
        lane.trial("a_used_up_quota_leaves_the_old_session_whole", |guest| async move {
            let bound = |kib: u64| command(&format!("quota {kib}"));
            let role = format!("full {USER} the disk quota is used up");
            squeeze(&guest, &role, &bound(1), &bound(0)).await
        }),
    ]
}

/// Plays a role, for a while under conditions that end again.
async fn squeeze(guest: &Guest, role: &str, squeeze: &str, relieve: &str) -> TestResult {
    let running = guest.start(&command(role))?;
    running.says("created").await?;
    guest.run(&format!("{squeeze}\ntouch {}", SIGNS[0])).await?;
    let refused = running.says("refused").await;
    guest.run(&format!("{relieve}\ntouch {}", SIGNS[1])).await?;
    let done = running.wait().await?;
    guest.run(&format!("rm {}", SIGNS.join(" "))).await?;
    refused?;
    println!("{}", done.output.trim_end());
    assert_eq!(done.status, 0, "{}", done.output);
    Ok(())
}

/// Becomes a user, and saves where nothing can be written for a while.
pub(crate) async fn save(user: u32, complaint: &str) {
    let root = own_folder(user);
    let mut sessions = Vec::new();
    for durability in [Durability::Data, Durability::None] {
        let store = FilesStore::builder(&root).durability(durability).open().await.unwrap();
        let key = new_key();
        let revision = store.create(&key, write("old"), op(), None).await.unwrap();
        sessions.push((store, key, revision));
    }
    println!("created");
    exists(SIGNS[0]).await;
    let before = names(&root);
    for (store, key, revision) in &sessions {
        let expected = Expected::Revision(*revision);
        for length in [3, 100_000] {
            let new = write("x".repeat(length));
            check(&store.save(key, new, expected, op()).await.unwrap_err(), complaint);
        }
        let created = store.create(&new_key(), write("new"), op(), None).await;
        check(&created.unwrap_err(), complaint);
        let record = load(store, key).await.unwrap().unwrap();
        assert_eq!((text(&record), record.revision), ("old", *revision));
        // What takes no room goes on.
        store.touch(key, HOUR.into(), revision.incarnation(), op()).await.unwrap();
    }
    // Directories may have been made, which stay.
    assert_eq!(names(&root), before, "something was left behind");
    println!("refused");
    exists(SIGNS[1]).await;
    for (store, key, revision) in &sessions {
        let expected = Expected::Revision(*revision);
        store.save(key, write("x".repeat(100_000)), expected, op()).await.unwrap();
        store.delete(key, Expected::Any, op()).await.unwrap();
    }
}

fn check(error: &Error, complaint: &str) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains(complaint), "{error}");
    assert!(error.is_retryable() && !error.maybe_applied(), "{error}");
}

/// A folder of a user on the small disk; from here on the program is his.
fn own_folder(user: u32) -> String {
    let root = format!("/mnt/c1/small/{user}");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
    chown(&root, Some(user), Some(user)).unwrap();
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    setresgid(gid, gid, gid).unwrap();
    setresuid(uid, uid, uid).unwrap();
    root
}

/// The names of all files of sessions.
fn names(root: &str) -> Vec<String> {
    let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let leaves = folders.filter(|path| path.is_dir() && !path.ends_with(".locks"));
    let mut names: Vec<_> = leaves
        .flat_map(|leaf| fs::read_dir(leaf).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

/// Bounds what the user's files may take: zero for no bound.
pub(crate) fn bound(kib: u64) {
    let mut limits = Dqblk::default();
    limits.set_blocks_hard_limit(kib);
    let fields = QuotaValidFlags::QIF_BLIMITS;
    let user = i32::try_from(USER).unwrap();
    quotactl_set(QuotaType::USRQUOTA, SMALL_DISK, user, &limits, fields).unwrap();
}
