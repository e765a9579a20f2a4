//! From what the file system reports to the errors of the contract.

use std::io;

use nix::errno::Errno;
use session_core::{Error, ErrorKind, Operation};

use crate::{BACKEND, pool::PoolError, record_file::Damage};

/// What can go wrong with a file.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The file system refused.
    Io(io::Error),
    /// A file is not what it should be.
    Damage(Damage),
}

pub(crate) type Outcome<T> = Result<T, Fault>;

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

impl Fault {
    pub(crate) fn into_error(self, operation: Operation) -> Error {
        match self {
            Self::Damage(damage) => {
                Error::new(ErrorKind::Corrupt, BACKEND, operation).with_detail(damage)
            }
            Self::Io(error) => {
                let (kind, detail) = classify(&error);
                let told = Error::new(kind, BACKEND, operation).with_source(error);
                if detail.is_empty() { told } else { told.with_detail(detail) }
            }
        }
    }
}

/// What passes by itself, or by an administrator's hand, is `Unavailable`: the same call may
/// succeed later, and no session was harmed.
fn classify(error: &io::Error) -> (ErrorKind, &'static str) {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC) => (ErrorKind::Unavailable, "no space is left"),
        Some(Errno::EDQUOT) => (ErrorKind::Unavailable, "the disk quota is used up"),
        Some(Errno::ENOLCK) => (ErrorKind::Unavailable, "no locks are left"),
        Some(Errno::EFBIG) => (ErrorKind::Unavailable, "the file size limit is reached"),
        Some(Errno::EROFS) => (ErrorKind::Unavailable, "the file system is read-only"),
        Some(Errno::EMFILE | Errno::ENFILE) => (ErrorKind::Unavailable, "too many files are open"),
        Some(Errno::ENOENT) => (ErrorKind::Unavailable, "the store's directory is gone"),
        Some(Errno::ESTALE | Errno::EIO | Errno::ETIMEDOUT | Errno::ENODEV) => {
            (ErrorKind::Unavailable, "")
        }
        _ => (ErrorKind::Backend, ""),
    }
}

/// The error of an operation that did not come back from the pool. `writes`: whether it could
/// have changed something.
pub(crate) fn pool_error(error: PoolError, operation: Operation, writes: bool) -> Error {
    let told = |kind, detail: &str| Error::new(kind, BACKEND, operation).with_detail(detail);
    match error {
        PoolError::Full => told(ErrorKind::Unavailable, "too many operations are queued"),
        PoolError::Stuck => told(ErrorKind::Unavailable, "the file system does not answer"),
        PoolError::Lost => maybe(told(ErrorKind::Backend, "the operation was abandoned"), writes),
        PoolError::TimedOut { started } => {
            let error = Error::new(ErrorKind::Timeout, BACKEND, operation);
            maybe(error, writes && started)
        }
    }
}

fn maybe(error: Error, applied: bool) -> Error {
    if applied { error.with_maybe_applied() } else { error }
}
