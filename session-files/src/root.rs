//! Opening the root directory, and refusing one that is not safe.

use std::{
    fs::{DirBuilder, symlink_metadata},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, MetadataExt},
    },
    path::Path,
};

use nix::{
    fcntl::{OFlag, open, openat},
    sys::{
        stat::{Mode, fstat, futimens},
        time::TimeSpec,
    },
    unistd::{UnlinkatFlags, unlinkat},
};
use session_core::{Error, ErrorKind, Operation, Result};

use crate::{
    BACKEND,
    config::{Commit, Durability},
    fault::{Fault, Outcome},
    layout::{NEVER_SECS, PROBE},
    mount,
    tree::{Status, Tree, directory_flags, random},
};

/// Who else may write: group and others.
const OTHERS_WRITE: u32 = 0o022;
const WORLD_WRITES: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Opens the tree at `path`, creating the directory (mode 0700) if need be.
pub(crate) fn open_tree(path: &Path, durability: Durability, commit: Commit) -> Result<Tree> {
    let path = std::path::absolute(path).map_err(fault)?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(config("the root of the file system cannot hold sessions"));
    };
    make(parent)?;
    let parent = parent.canonicalize().map_err(fault)?;
    check_above(&parent)?;
    let path = parent.join(name);
    if symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
        return Err(config("the directory is a symbolic link"));
    }
    make(&path)?;
    let root =
        open(&path, directory_flags(), Mode::empty()).map_err(|errno| fault(errno.into()))?;
    let granularity = check_root(&root, commit)?;
    Tree::new(root, durability, granularity).map_err(|fault| fault.into_error(Operation::Open))
}

fn make(path: &Path) -> Result<()> {
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(config("the path is not a directory"))
        }
        made => made.map_err(fault),
    }
}

/// Whoever may write a directory without the sticky bit may put another in the place of ours.
fn check_above(parent: &Path) -> Result<()> {
    for directory in parent.ancestors() {
        let mode = symlink_metadata(directory).map_err(fault)?.mode();
        if mode & WORLD_WRITES != 0 && mode & STICKY == 0 {
            let detail = "is writable by everybody and has no sticky bit";
            return Err(config(&format!("{} {detail}", directory.display())));
        }
    }
    Ok(())
}

/// Returns the granularity of the file system's times in milliseconds.
fn check_root(root: &OwnedFd, commit: Commit) -> Result<u64> {
    let told = |fault: Fault| fault.into_error(Operation::Open);
    let stat = fstat(root).map_err(|errno| told(errno.into()))?;
    if stat.st_mode & OTHERS_WRITE != 0 {
        return Err(config("others may write the directory; it needs mode 0700"));
    }
    if let Some(complaint) = mount::complaint(stat.st_dev, commit) {
        return Err(config(complaint));
    }
    let (probe, owner) = probe(root).map_err(told)?;
    // Compared with a file of our own, because a network mount may map user ids.
    if owner != stat.st_uid {
        return Err(config("the directory belongs to another user"));
    }
    match (probe.tv_sec(), probe.tv_nsec()) {
        (NEVER_SECS, PROBE_NANOS) => Ok(1),
        (NEVER_SECS, 0) => Ok(1_000),
        _ => Err(config("the file system keeps no times beyond 2038, or not to the second")),
    }
}

const PROBE_NANOS: i64 = 123_000_000;

/// The latest time that this store uses, as the file system keeps it; and whose our files are.
fn probe(root: &OwnedFd) -> Outcome<(TimeSpec, u32)> {
    let path = format!("{PROBE}.{:016x}", random()?);
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let file = openat(root, &*path, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let set = futimens(&file, &TimeSpec::UTIME_OMIT, &TimeSpec::new(NEVER_SECS, PROBE_NANOS));
    let stat = set.and_then(|()| fstat(&file));
    // A network mount would give a file that is open another name first, and remove that later.
    drop(file);
    unlinkat(root, &*path, UnlinkatFlags::NoRemoveDir)?;
    let stat = stat?;
    Ok((Status::from(&stat).mtime, stat.st_uid))
}

fn config(detail: &str) -> Error {
    Error::new(ErrorKind::Config, BACKEND, Operation::Open).with_detail(detail)
}

fn fault(error: io::Error) -> Error {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    if matches!(error.kind(), NotFound | PermissionDenied | NotADirectory) {
        return config("the directory cannot be opened").with_source(error);
    }
    Fault::Io(error).into_error(Operation::Open)
}
