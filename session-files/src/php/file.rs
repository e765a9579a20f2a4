//! A session's file: opened, checked and locked as PHP does it.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, Flock, FlockArg, OFlag, fcntl},
    libc,
    sys::{stat::futimens, time::TimeSpec},
    unistd::{Uid, geteuid, getuid},
};
use session_core::{Deadline, Meta, Record, Revision, Timestamp, Ttl};

use super::layout::DRAFT;
use crate::{fault::Outcome, layout::NEVER_SECS, locks::byte, tree::random};

/// A file that is unlinked and made anew again and again is given up after so many times.
const CHASES: usize = 16;
/// Which byte is locked by a program of ours while it writes; no session is so long.
const MARK: i64 = i64::MAX - 1;
/// A write of PHP's that has begun is over after this. More than a tick of the kernel's clock.
pub(super) const QUIET: Duration = Duration::from_millis(20);
/// The kernel stamps a file with a time that is up to a tick old.
const TICK: Duration = Duration::from_millis(10);

/// Who may have the lock besides us.
#[derive(Debug, Clone, Copy)]
pub(super) enum Share {
    /// Nobody.
    Exclusive,
    /// Who only reads.
    Shared,
}

/// What came of asking for the lock of a session's file.
#[derive(Debug)]
pub(super) enum Found {
    /// It is ours.
    Locked(SessionFile),
    /// Somebody else has it; here is the file without a lock.
    Busy(File),
    /// There is no file.
    Absent,
}

/// A session's file, and the lock on it, which ends with this.
#[derive(Debug)]
pub(super) struct SessionFile(Flock<File>);

impl SessionFile {
    /// Asks for the lock once.
    ///
    /// Whoever waited for it may have got that of a file that was unlinked meanwhile, or replaced.
    /// PHP would go on with that; we look again.
    pub(super) fn lock(path: &Path, share: Share) -> io::Result<Found> {
        let how = match share {
            Share::Exclusive => FlockArg::LockExclusiveNonblock,
            Share::Shared => FlockArg::LockSharedNonblock,
        };
        for _ in 0..CHASES {
            let Some(file) = open(path)? else { return Ok(Found::Absent) };
            let locked = match Flock::lock(file, how) {
                Ok(locked) => Self(locked),
                Err((file, Errno::EWOULDBLOCK | Errno::EINTR)) => return Ok(Found::Busy(file)),
                Err((_, errno)) => return Err(errno.into()),
            };
            if locked.is_at(path)? {
                return Ok(Found::Locked(locked));
            }
        }
        Err(io::Error::other("the file is replaced over and over"))
    }

    /// Whether the path still leads to this file.
    pub(super) fn is_at(&self, path: &Path) -> io::Result<bool> {
        is_at(&self.0, path)
    }

    /// The file without its lock, for those who only look.
    pub(super) fn file(&self) -> &File {
        &self.0
    }
}

/// Whether a path leads to this file.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a session's file, if there is one.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlag::O_NOFOLLOW.bits();
    let file = match OpenOptions::new().read(true).write(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && parent_is_there(path) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let owner = Uid::from_raw(file.metadata()?.uid());
    let known = owner.is_root() || owner == getuid() || owner == geteuid() || getuid().is_root();
    if known { Ok(Some(file)) } else { Err(io::Error::other("the file is another user's")) }
}

fn parent_is_there(path: &Path) -> bool {
    path.parent().is_some_and(Path::is_dir)
}

/// Makes a session's file with all that is in it, unless there is one. Says whether it did.
pub(super) fn create(path: &Path, mode: u32, payload: &[u8], stamp: Stamp) -> Outcome<bool> {
    let name = format!("{DRAFT}{:016x}", random()?);
    let draft = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    let linked =
        file.write_all(payload).and_then(|()| stamp.put(&file)).and_then(|()| match fs::hard_link(
            &draft, path,
        ) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        });
    fs::remove_file(&draft)?;
    Ok(linked?)
}

/// Writes in place, as PHP does, since who waits for the lock has this very file open. Where there
/// was more, the file is cut off first.
pub(super) fn write(file: &File, payload: &[u8]) -> io::Result<()> {
    let length = u64::try_from(payload.len()).map_err(io::Error::other)?;
    let _mark = Mark::set(file);
    if length < file.metadata()?.len() {
        file.set_len(0)?;
    }
    file.write_all_at(payload, 0)
}

/// Removes a session's file, if somebody else has not.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Says to readers of ours that a write is under way, while it lives: a lock of the other kind, which
/// on a local disk PHP's kind knows nothing of. Where the two are one, it may fail, and readers go by
/// the time of the last change alone.
struct Mark<'a>(&'a File);

impl<'a> Mark<'a> {
    fn set(file: &'a File) -> Self {
        fcntl(file, FcntlArg::F_OFD_SETLK(&byte(libc::F_WRLCK, MARK))).ok();
        Self(file)
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        fcntl(self.0, FcntlArg::F_OFD_SETLK(&byte(libc::F_UNLCK, MARK))).ok();
    }
}

/// Whether a program of ours is writing.
fn is_marked(file: &File) -> bool {
    let mut found = byte(libc::F_RDLCK, MARK);
    let asked = fcntl(file, FcntlArg::F_OFD_GETLK(&mut found));
    asked.is_ok() && i32::from(found.l_type) != libc::F_UNLCK
}

/// What a file holds, unless it may be changing: without any lock, which would keep writers away. The
/// time of the last change says when the last write began.
pub(super) fn read_unless_changing<T>(
    file: &File,
    now: Timestamp,
    read: impl FnOnce(&File) -> io::Result<T>,
) -> io::Result<Option<T>> {
    let before = changed(file)?;
    if now < before.after(QUIET) || is_marked(file) {
        return Ok(None);
    }
    let seen = read(file)?;
    Ok((!is_marked(file) && changed(file)? == before).then_some(seen))
}

/// What a file holds that was changed just now, unless somebody has the lock: the same twice, and
/// nobody had it before, between and after, so that no write was under way both times.
pub(super) fn read_between_writers<T>(
    file: File,
    read: impl Fn(&File) -> io::Result<T>,
    same: impl FnOnce(&T, &T) -> bool,
) -> io::Result<Option<T>> {
    let Some(file) = if_free(file)? else { return Ok(None) };
    let one = read(&file)?;
    let Some(file) = if_free(file)? else { return Ok(None) };
    let other = read(&file)?;
    Ok((same(&one, &other) && if_free(file)?.is_some()).then_some(other))
}

/// The file again, if nobody has its lock.
fn if_free(file: File) -> io::Result<Option<File>> {
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(locked) => locked.unlock().map(Some).map_err(|(_, errno)| errno.into()),
        Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// All that is in a file.
pub(super) fn read(file: &File) -> io::Result<Bytes> {
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut payload = vec![0; length];
    let mut done = 0;
    while let Some(rest) = payload.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, u64::try_from(done).map_err(io::Error::other)?) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    payload.truncate(done);
    Ok(payload.into())
}

/// The record that a file holds.
pub(super) fn record(payload: Bytes, deadline: Deadline, now: Timestamp) -> Record {
    let revision = Revision::of_bytes(&payload);
    Record::new(payload, Meta::new(), revision, deadline.remaining(now))
}

/// When a file was written or touched last, whatever time that has set.
pub(super) fn changed(file: &File) -> io::Result<Timestamp> {
    let metadata = file.metadata()?;
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    let millis = part(metadata.ctime()) * 1_000 + part(metadata.ctime_nsec()) / 1_000_000;
    Ok(Timestamp::from_millis(millis))
}

/// Until when a session lives: so long after the time of its file.
pub(super) fn deadline(metadata: &Metadata, lifetime: Duration) -> Deadline {
    let seconds = u64::try_from(metadata.mtime()).unwrap_or_default();
    if metadata.mtime() >= NEVER_SECS {
        return Deadline::NEVER;
    }
    let nanos = u32::try_from(metadata.mtime_nsec()).unwrap_or_default();
    let since = Timestamp::from_millis(0).after(Duration::new(seconds, nanos));
    Deadline::at(since.after(lifetime).after(TICK))
}

/// The time that a file is to have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stamp {
    /// The present, as the file server sees it; who may write to the file may set it.
    Now,
    /// Another one, which only its owner may set.
    At(Duration),
    /// So late that the session never expires.
    Never,
}

impl Stamp {
    /// So that a session of a layout with this `lifetime` lives for `ttl` from `now` on.
    pub(super) fn of(ttl: Ttl, lifetime: Duration, now: Timestamp) -> Self {
        let Some(left) = ttl.duration() else { return Self::Never };
        if ttl == Ttl::from(lifetime) {
            return Self::Now;
        }
        let end = Duration::from_millis(now.after(left).as_millis());
        Self::At(end.saturating_sub(lifetime))
    }

    pub(super) fn put(self, file: &File) -> io::Result<()> {
        let time = match self {
            Self::Now => TimeSpec::UTIME_NOW,
            Self::At(since) => TimeSpec::from_duration(since),
            Self::Never => TimeSpec::new(NEVER_SECS, 0),
        };
        Ok(futimens(file, &TimeSpec::UTIME_OMIT, &time)?)
    }
}
