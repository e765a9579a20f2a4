//! The directory tree of a store: the calls into the file system.
//!
//! Everything goes through one descriptor of the root directory, opened once. So what this store
//! locks and what it writes are always in the same tree, even when the path is renamed, mounted
//! over or replaced by a link meanwhile.

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    os::fd::OwnedFd,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AtFlags, OFlag, openat, renameat},
    sys::{
        stat::{
            FileStat, Mode, SFlag, UtimensatFlags, fstat, fstatat, futimens, mkdirat, utimensat,
        },
        time::TimeSpec,
    },
    unistd::{UnlinkatFlags, close, fsync, linkat, unlinkat},
};
use session_core::{OpToken, Timestamp};

use crate::{
    config::Durability,
    fault::{Fault, Outcome},
    layout::{CLOCK, Place, timestamp_of},
    mount,
};

/// How often a read is tried when the file was replaced under it on a network mount.
const ATTEMPTS: usize = 3;

/// An opened root directory.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
    clock: RwLock<File>,
    /// The next name of a temporary file; starts at random, so that no two processes share one.
    nonce: AtomicU64,
    durability: Durability,
    /// Milliseconds that a file's time is exact to: 1, or 1,000.
    pub(crate) granularity: u64,
    /// Whether other machines may have it mounted too, so that what this one knows of names and
    /// times may be old.
    pub(crate) is_shared: bool,
    /// Whether two changes of a directory within a tick of a clock look like one.
    pub(crate) tells_changes_by_time: bool,
}

/// What a file's status tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    pub(crate) is_file: bool,
    pub(crate) mtime: TimeSpec,
}

impl From<&FileStat> for Status {
    fn from(stat: &FileStat) -> Self {
        let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
        Self {
            is_file: kind == SFlag::S_IFREG,
            mtime: TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec),
        }
    }
}

impl Tree {
    /// A tree below `root`, whose checks have been made.
    pub(crate) fn new(root: OwnedFd, durability: Durability, granularity: u64) -> Outcome<Self> {
        let clock = open_private(&root, CLOCK)?.into();
        let nonce = AtomicU64::new(random()?);
        let is_shared = !mount::is_local(&root)?;
        let tells_changes_by_time = mount::tells_changes_by_time(fstat(&root)?.st_dev);
        Ok(Self { root, clock, nonce, durability, granularity, is_shared, tells_changes_by_time })
    }

    /// Asks the server of a network mount whether a directory has changed, so that names in it are
    /// looked up as they are now. A client keeps names, and that there is none, for up to a minute,
    /// and opening a directory is what makes it ask.
    pub(crate) fn freshen(&self, directory: &str) -> Outcome<()> {
        if !self.is_shared {
            return Ok(());
        }
        let ask = |path| openat(&self.root, path, directory_flags(), Mode::empty()).map(drop);
        match ask(directory).or_else(|_missing| ask(".").and_then(|()| ask(directory))) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// All of a file, and its modification time; `None` without a file.
    ///
    /// Never follows a link at the file's name, and never waits for the other end of a pipe.
    pub(crate) fn read(&self, path: &str) -> Outcome<Option<(Vec<u8>, TimeSpec)>> {
        let mut attempt = 1;
        loop {
            match self.read_once(path) {
                Err(Fault::Io(error)) if attempt < ATTEMPTS && was_replaced(&error) => attempt += 1,
                outcome => return outcome,
            }
            self.freshen(directory_of(path))?;
        }
    }

    fn read_once(&self, path: &str) -> Outcome<Option<(Vec<u8>, TimeSpec)>> {
        let mut file = match openat(&self.root, path, READ, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT) => return Ok(None),
            // A link, a socket.
            Err(Errno::ELOOP | Errno::ENXIO) => return Err(Fault::Damage(NOT_A_FILE)),
            Err(errno) => return Err(errno.into()),
        };
        let stat = fstat(&file)?;
        let status = Status::from(&stat);
        if !status.is_file {
            return Err(Fault::Damage(NOT_A_FILE));
        }
        // The server keeps a removed file for as long as any client has it open.
        if self.is_shared && stat.st_nlink == 0 {
            return Err(Errno::ESTALE.into());
        }
        let mut bytes = vec![0; usize::try_from(stat.st_size).unwrap_or_default()];
        file.read_exact(&mut bytes)?;
        Ok(Some((bytes, status.mtime)))
    }

    /// The status of a name, of the link itself if it is one.
    pub(crate) fn status(&self, path: &str) -> Outcome<Option<Status>> {
        match fstatat(&self.root, path, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Status::from(&stat))),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The status of a name as it is now, which a network mount tells only of a file that is
    /// opened.
    pub(crate) fn status_now(&self, path: &str) -> Outcome<Option<Status>> {
        let status = self.status(path)?;
        if !self.is_shared || status.is_some_and(|status| !status.is_file) {
            return Ok(status);
        }
        self.freshen(directory_of(path))?;
        let mut attempt = 1;
        loop {
            match openat(&self.root, path, READ, Mode::empty()) {
                Ok(file) => return Ok(Some(Status::from(&fstat(&file)?))),
                Err(Errno::ENOENT) => return Ok(None),
                Err(Errno::ESTALE) if attempt < ATTEMPTS => attempt += 1,
                Err(errno) => return Err(errno.into()),
            }
            self.freshen(directory_of(path))?;
        }
    }

    /// The names in a directory in no order, without `.` and `..`; `None` without the directory.
    pub(crate) fn names(&self, path: &str) -> Outcome<Option<Vec<Vec<u8>>>> {
        let mut directory = match Dir::openat(&self.root, path, directory_flags(), Mode::empty()) {
            Ok(directory) => directory,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let mut names = Vec::new();
        for entry in directory.iter() {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        Ok(Some(names))
    }

    /// Puts a file in the place of the key's record in one step: whatever happens, the name shows
    /// the whole old file or the whole new one.
    pub(crate) fn replace_record(
        &self,
        place: &Place,
        bytes: &[u8],
        mtime: TimeSpec,
    ) -> Outcome<()> {
        // Nobody else makes this name, so it need not be new: that would cost a network mount a call.
        let temp = place.temp(self.next_nonce());
        let written = self
            .create(place, &temp, OFlag::O_TRUNC)
            .and_then(|file| fill(file, bytes, mtime, self.durability))
            .and_then(|()| Ok(renameat(&self.root, &*temp, &self.root, &*place.record())?));
        if let Err(fault) = written {
            // The sweep removes what cannot be removed now.
            self.remove(&temp).ok();
            return Err(fault);
        }
        Ok(())
    }

    /// A number for the name of a temporary file.
    pub(crate) fn next_nonce(&self) -> u64 {
        self.nonce.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) const fn durability(&self) -> Durability {
        self.durability
    }

    /// Makes changes to a directory survive a power failure, where that is asked for.
    pub(crate) fn settle(&self, directory: &str) -> Outcome<()> {
        if self.durability == Durability::DataAndDirectory {
            fsync(openat(&self.root, directory, directory_flags(), Mode::empty())?)?;
        }
        Ok(())
    }

    /// Creates a file that must not exist, with the directories above it.
    pub(crate) fn create_new(&self, place: &Place, path: &str) -> Outcome<File> {
        self.create(place, path, OFlag::O_EXCL)
    }

    fn create(&self, place: &Place, path: &str, how: OFlag) -> Outcome<File> {
        match self.try_create(path, how) {
            Err(Errno::ENOENT) => {
                self.make_directories(place)?;
                Ok(self.try_create(path, how)?)
            }
            created => Ok(created?),
        }
    }

    fn try_create(&self, path: &str, how: OFlag) -> Result<File, Errno> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | how;
        openat(&self.root, path, flags, private()).map(File::from)
    }

    /// Creates a file in the directory of a key's own, with the directories above it.
    pub(crate) fn create_in_directory(&self, place: &Place, path: &str) -> Outcome<File> {
        match self.create_file(path) {
            Err(Errno::ENOENT) => {
                if let Err(Fault::Io(_)) = self.make_directory(&place.record()) {
                    self.make_directories(place)?;
                    self.make_directory(&place.record())?;
                }
                self.settle(place.directory())?;
                Ok(self.create_file(path)?)
            }
            created => Ok(created?),
        }
    }

    /// Creates a file whose name nobody else makes.
    pub(crate) fn create_file(&self, path: &str) -> Result<File, Errno> {
        self.try_create(path, OFlag::O_TRUNC)
    }

    /// Gives a file a second name, unless that is taken; whether it did.
    pub(crate) fn link(&self, path: &str, second: &str) -> Outcome<bool> {
        match linkat(&self.root, path, &self.root, second, AtFlags::empty()) {
            Ok(()) => Ok(true),
            // A network mount sends again what was not answered, and may be told of its own success.
            Err(Errno::EEXIST) => self.has_two_names(path),
            Err(Errno::ENOENT | Errno::ESTALE) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    fn has_two_names(&self, path: &str) -> Outcome<bool> {
        match openat(&self.root, path, READ, Mode::empty()) {
            // Who was quicker may remove the file while this looks at it.
            Ok(file) => match fstat(&file) {
                Err(Errno::ESTALE) => Ok(false),
                stat => Ok(stat?.st_nlink > 1),
            },
            Err(Errno::ENOENT | Errno::ESTALE) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Removes a directory if it is empty.
    pub(crate) fn remove_directory(&self, path: &str) {
        // Who needs it makes it again, or has something in it.
        unlinkat(&self.root, path, UnlinkatFlags::RemoveDir).ok();
    }

    /// Opens a file that exists, to overwrite it.
    pub(crate) fn open_existing(&self, path: &str) -> Outcome<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(openat(&self.root, path, flags, Mode::empty())?.into())
    }

    /// Opens a file for locking, and creates it if need be.
    pub(crate) fn open_lock(&self, path: &str) -> Outcome<File> {
        open_private(&self.root, path)
    }

    fn make_directories(&self, place: &Place) -> Outcome<()> {
        self.make_directory(place.directory())?;
        self.settle(".")
    }

    pub(crate) fn make_directory(&self, path: &str) -> Outcome<()> {
        match mkdirat(&self.root, path, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Removes a name; whether it was there.
    pub(crate) fn remove(&self, path: &str) -> Outcome<bool> {
        match unlinkat(&self.root, path, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sets the modification time of a name, of the link itself if it is one.
    pub(crate) fn set_mtime(&self, path: &str, mtime: TimeSpec) -> Outcome<()> {
        let flag = UtimensatFlags::NoFollowSymlink;
        Ok(utimensat(&self.root, path, &TimeSpec::UTIME_OMIT, &mtime, flag)?)
    }

    /// The time by the clock of the file server, which for a local disk is this machine's. Fails
    /// when nothing can be written.
    pub(crate) fn server_time(&self) -> Outcome<Timestamp> {
        let told = time_told_by(&self.clock.read().unwrap_or_else(PoisonError::into_inner));
        match told {
            // Somebody removed the file.
            Err(Errno::ESTALE) => {
                let new = open_private(&self.root, CLOCK)?;
                let mut clock = self.clock.write().unwrap_or_else(PoisonError::into_inner);
                *clock = new;
                Ok(time_told_by(&clock)?)
            }
            told => Ok(told?),
        }
    }
}

/// Touches a file to learn the time of its file system.
fn time_told_by(clock: &File) -> Result<Timestamp, Errno> {
    futimens(clock, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW)?;
    Ok(timestamp_of(Status::from(&fstat(clock)?).mtime))
}

/// How a file is opened to look at it.
const READ: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_NOFOLLOW).union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);

fn directory_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(directory, _)| directory)
}

const NOT_A_FILE: &str = "what is stored under its name is not a regular file";

/// Mode 0600.
fn private() -> Mode {
    Mode::S_IRUSR | Mode::S_IWUSR
}

pub(crate) fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

/// A number for a name that nobody else makes. Not from a generator that seeds itself from the
/// clock, which processes that start together share.
pub(crate) fn random() -> Outcome<u64> {
    let token = OpToken::generate().map_err(std::io::Error::other)?;
    Ok(token.as_bytes().iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

/// Opens a file of the store's own, and creates it if need be.
fn open_private(root: &OwnedFd, path: &str) -> Outcome<File> {
    let flags =
        OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    Ok(openat(root, path, flags, private())?.into())
}

/// Writes a new file. Errors of `close` count: network mounts and quotas report there.
pub(crate) fn fill(
    mut file: File,
    bytes: &[u8],
    mtime: TimeSpec,
    durability: Durability,
) -> Outcome<()> {
    file.write_all(bytes)?;
    if mtime != TimeSpec::UTIME_NOW {
        futimens(&file, &TimeSpec::UTIME_OMIT, &mtime)?;
    }
    if durability != Durability::None {
        file.sync_all()?;
    }
    Ok(close(file)?)
}

/// Whether another client of a network mount replaced or removed the file that was being read.
pub(crate) fn was_replaced(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::UnexpectedEof || error.kind() == ErrorKind::StaleNetworkFileHandle
}
