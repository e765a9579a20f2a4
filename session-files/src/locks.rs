//! Nobody else: the exclusion of one operation on one key.
//!
//! Among the tasks of a process by a mutex, among processes by a lock on one byte of a lock file.
//! It is an open-file-description lock, which ends with the process, does not end when somebody
//! closes another descriptor of the file, and excludes other stores of the same process too.

use std::{
    fs::File,
    sync::{Arc, Mutex, PoisonError},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
    sys::stat::fstat,
};
use session_core::KeyDigest;
use tokio::sync::OwnedMutexGuard;

use crate::{
    fault::{Fault, Outcome},
    layout::{LOCKS, lock_path, lock_place},
    tree::Tree,
};

/// The number of lock files.
const FILES: usize = 64;
/// The number of mutexes; keys that share one take turns for the length of one operation.
const STRIPES: usize = 1024;

/// How often a lock file is opened anew because it was removed.
const ATTEMPTS: usize = 10;

/// The mutexes and lock files of a store.
pub(crate) struct Locks {
    stripes: Vec<Arc<tokio::sync::Mutex<()>>>,
    files: Vec<Mutex<Option<Arc<File>>>>,
}

/// The right to be the only one of this process at a key.
pub(crate) type StripeGuard = OwnedMutexGuard<()>;

impl Locks {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Arc::default()).collect(),
            files: (0..FILES).map(|_| Mutex::default()).collect(),
        }
    }

    /// The mutex of a key. Keys with the same byte in the lock files have the same mutex, since a
    /// process cannot exclude itself by such a lock.
    pub(crate) fn stripe(&self, digest: &KeyDigest) -> Arc<tokio::sync::Mutex<()>> {
        let (_, offset) = lock_place(digest);
        let index = usize::try_from(offset % STRIPES as u64).unwrap_or_default();
        self.stripes.get(index).map(Arc::clone).unwrap_or_default()
    }

    /// Locks the key's byte, unless another process holds it. The caller holds the stripe.
    pub(crate) fn try_lock(&self, tree: &Tree, digest: &KeyDigest) -> Outcome<Option<ByteLock>> {
        let (number, offset) = lock_place(digest);
        for _ in 0..ATTEMPTS {
            let file = self.file(tree, number)?;
            // Cleaners of temporary directories remove lock files; who opens the file anew would
            // not see our lock. A file server does not even know what was removed.
            match ByteLock::take(file, offset) {
                Ok(None) => return Ok(None),
                Ok(Some(lock)) if lock.has_name()? => return Ok(Some(lock)),
                Ok(Some(_)) | Err(Errno::ESTALE) => self.forget(number),
                Err(errno) => return Err(errno.into()),
            }
            // Or a network mount would find the old file under its name for half a minute.
            tree.freshen(LOCKS)?;
        }
        Err(Errno::ESTALE.into())
    }

    /// Whether anybody has ever locked a key with this one's lock file.
    pub(crate) fn were_used(&self, tree: &Tree, digest: &KeyDigest) -> Outcome<bool> {
        let (number, _) = lock_place(digest);
        if self.slot(number).lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(true);
        }
        tree.freshen(LOCKS)?;
        Ok(tree.status(&lock_path(number))?.is_some())
    }

    fn file(&self, tree: &Tree, number: u8) -> Outcome<Arc<File>> {
        let mut slot = self.slot(number).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*slot {
            return Ok(Arc::clone(file));
        }
        let path = lock_path(number);
        let opened = match tree.open_lock(&path) {
            Err(Fault::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                tree.make_directory(LOCKS)?;
                tree.open_lock(&path)
            }
            opened => opened,
        };
        let file = Arc::new(opened?);
        *slot = Some(Arc::clone(&file));
        Ok(file)
    }

    fn forget(&self, number: u8) {
        *self.slot(number).lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    #[expect(clippy::indexing_slicing, reason = "the number has six bits and there are 64 files")]
    fn slot(&self, number: u8) -> &Mutex<Option<Arc<File>>> {
        &self.files[usize::from(number & 0x3f)]
    }
}

impl std::fmt::Debug for Locks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Locks").finish_non_exhaustive()
    }
}

/// A locked byte of a lock file.
#[derive(Debug)]
pub(crate) struct ByteLock {
    file: Arc<File>,
    offset: i64,
}

impl ByteLock {
    fn take(file: Arc<File>, offset: u64) -> Result<Option<Self>, Errno> {
        let offset = i64::try_from(offset).unwrap_or_default();
        match fcntl(&*file, FcntlArg::F_OFD_SETLK(&byte(libc::F_WRLCK, offset))) {
            Ok(_) => Ok(Some(Self { file, offset })),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn has_name(&self) -> Result<bool, Errno> {
        match fstat(&*self.file) {
            Ok(stat) => Ok(stat.st_nlink > 0),
            Err(Errno::ESTALE) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

impl Drop for ByteLock {
    fn drop(&mut self) {
        // Unlocking fails only when a network mount has lost the lock already.
        fcntl(&*self.file, FcntlArg::F_OFD_SETLK(&byte(libc::F_UNLCK, self.offset))).ok();
    }
}

/// A lock on one byte, of the kind `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
pub(crate) fn byte(kind: libc::c_int, offset: i64) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: offset,
        l_len: 1,
        l_pid: 0,
    }
}
