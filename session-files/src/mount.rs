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

use crate::fault::Outcome;

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
pub(crate) fn complaint(device: dev_t) -> Option<&'static str> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    complaint_in(&mounts, &format!("{}:{}", major(device), minor(device)))
}

fn complaint_in(mounts: &str, device: &str) -> Option<&'static str> {
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some(device))?;
    let (_, mount) = mount.split_once(" - ")?;
    let mut words = mount.split(' ');
    let (kind, options) = (words.next()?, words.nth(1)?);
    let has = |wanted: &[&str]| options.split(',').any(|option| wanted.contains(&option));
    match kind {
        "nfs" | "nfs4" if has(&["nolock", "local_lock=all", "local_lock=posix"]) => Some(
            "the mount keeps locks on this machine only; mount it without nolock and local_lock",
        ),
        "nfs" | "nfs4" if has(&["nosharecache"]) => Some(
            "the mount does not show what is changed through another one of the same machine; \
             mount it without nosharecache",
        ),
        "nfs" | "nfs4" if has(&["nocto"]) => {
            Some("the mount shows what other machines write late; mount it without nocto")
        }
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

    fn complaint_of(kind: &str, options: &str) -> Option<&'static str> {
        let mounts = format!(
            "22 1 0:20 / /proc rw - proc proc rw\n\
             41 22 0:33 / /srv rw,relatime shared:7 - {kind} 10.9.1.1:/ rw,{options},addr=1\n"
        );
        complaint_in(&mounts, "0:33")
    }

    #[test]
    fn what_efs_recommends_is_taken() {
        assert_eq!(complaint_of("nfs4", "vers=4.1,hard,noresvport,local_lock=none"), None);
        assert_eq!(complaint_of("nfs4", "vers=4.0,local_lock=flock"), None);
        assert_eq!(complaint_of("ext4", "nolock"), None);
        assert_eq!(complaint_in("", "0:33"), None);
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
            let complaint = complaint_of(kind, options).unwrap();
            assert!(complaint.contains(word), "{options}: {complaint}");
        }
    }
}
