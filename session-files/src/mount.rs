//! Whether a directory is on a disk of this machine or on a network mount, and on one that keeps
//! what the store relies on.

use std::{fs, os::fd::OwnedFd};

use nix::{
    libc::dev_t,
    sys::{
        stat::{major, minor},
        statfs::{self, FsType, fstatfs},
    },
};

use crate::{config::Commit, fault::Outcome};

/// File systems that nobody else can have mounted at the same time. What is not listed is taken
/// for shared, which is slower and right everywhere.
const LOCAL: &[FsType] = &[
    statfs::BTRFS_SUPER_MAGIC,
    statfs::EXT4_SUPER_MAGIC,
    statfs::OVERLAYFS_SUPER_MAGIC,
    statfs::TMPFS_MAGIC,
    statfs::XFS_SUPER_MAGIC,
    // Bcachefs, F2FS and ZFS.
    FsType(0xca45_1a4e),
    FsType(0xf2f5_2010),
    FsType(0x2fc1_2fc1),
];

pub(crate) fn is_local(directory: &OwnedFd) -> Outcome<bool> {
    Ok(LOCAL.contains(&fstatfs(directory)?.filesystem_type()))
}

/// Why the mount of a device cannot hold sessions that other machines share.
pub(crate) fn complaint(device: dev_t, commit: Commit) -> Option<&'static str> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    complaint_in(&mounts, &format!("{}:{}", major(device), minor(device)), commit)
}

/// Whether the mount of a device tells changes by their times only, and so takes two within a tick of
/// the server's clock for one.
pub(crate) fn tells_changes_by_time(device: dev_t) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    kind_in(&mounts, &format!("{}:{}", major(device), minor(device)))
        .is_some_and(|it| it.0 == "nfs")
}

/// The kind of the mount of a device, and its options.
fn kind_in<'a>(mounts: &'a str, device: &str) -> Option<(&'a str, &'a str)> {
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some(device))?;
    let (_, mount) = mount.split_once(" - ")?;
    let mut words = mount.split(' ');
    Some((words.next()?, words.nth(1)?))
}

fn complaint_in(mounts: &str, device: &str, commit: Commit) -> Option<&'static str> {
    let (kind, options) = kind_in(mounts, device)?;
    let has = |wanted: &[&str]| options.split(',').any(|option| wanted.contains(&option));
    let relies_on_locks = commit == Commit::Lock;
    match kind {
        "nfs" | "nfs4"
            if relies_on_locks && has(&["nolock", "local_lock=all", "local_lock=posix"]) =>
        {
            Some(
                "the mount keeps locks on this machine only; mount it without nolock and local_lock",
            )
        }
        "nfs" | "nfs4" if has(&["nosharecache"]) => Some(
            "the mount does not show what is changed through another one of the same machine; \
             mount it without nosharecache",
        ),
        "nfs" | "nfs4" if has(&["nocto"]) => {
            Some("the mount shows what other machines write late; mount it without nocto")
        }
        "nfs" if !relies_on_locks && has(&["lookupcache=pos", "lookupcache=none"]) => None,
        "nfs" if !relies_on_locks => Some(
            "by NFS before version 4 a client misses that a session was created; mount it with \
             lookupcache=positive, or with vers=4.1",
        ),
        "nfs" => Some(
            "by NFS before version 4 a client misses changes that follow one another quickly; \
             mount it with vers=4.1",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint_of(kind: &str, options: &str, commit: Commit) -> Option<&'static str> {
        let mounts = format!(
            "22 1 0:20 / /proc rw - proc proc rw\n\
             41 22 0:33 / /srv rw,relatime shared:7 - {kind} 10.9.1.1:/ rw,{options},addr=1\n"
        );
        complaint_in(&mounts, "0:33", commit)
    }

    #[test]
    fn what_efs_recommends_is_taken() {
        assert_eq!(
            complaint_of("nfs4", "vers=4.1,hard,noresvport,local_lock=none", Commit::Lock),
            None
        );
        assert_eq!(complaint_of("nfs4", "vers=4.0,local_lock=flock", Commit::Lock), None);
        assert_eq!(complaint_of("ext4", "nolock", Commit::Lock), None);
        assert_eq!(complaint_in("", "0:33", Commit::Lock), None);
    }

    #[test]
    fn mounts_that_keep_locks_or_news_to_themselves_are_refused() {
        for (kind, options, word) in [
            ("nfs", "vers=3,nolock,local_lock=all", "nolock"),
            ("nfs4", "vers=4.1,local_lock=posix", "local_lock"),
            ("nfs4", "vers=4.1,nocto,local_lock=none", "nocto"),
            ("nfs4", "vers=4.1,nosharecache,local_lock=none", "nosharecache"),
            ("nfs", "vers=3,local_lock=none", "vers=4.1"),
        ] {
            let complaint = complaint_of(kind, options, Commit::Lock).unwrap();
            assert!(complaint.contains(word), "{options}: {complaint}");
        }
    }
    #[test]
    fn who_commits_by_links_needs_no_locks_but_news() {
        let complaint_of = |kind, options| complaint_of(kind, options, Commit::HardLink);
        assert_eq!(complaint_of("nfs4", "vers=4.1,local_lock=all"), None);
        assert_eq!(complaint_of("nfs", "vers=3,nolock,local_lock=all,lookupcache=pos"), None);
        for (kind, options, word) in [
            ("nfs", "vers=3,nolock", "lookupcache=positive"),
            ("nfs4", "vers=4.1,nocto", "nocto"),
            ("nfs", "vers=3,lookupcache=none,nosharecache", "nosharecache"),
        ] {
            let complaint = complaint_of(kind, options).unwrap();
            assert!(complaint.contains(word), "{options}: {complaint}");
        }
    }
}
