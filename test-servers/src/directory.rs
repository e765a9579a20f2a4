//! Directories that go away with the handle.

use tempfile::TempDir;

use crate::Result;

/// A new empty directory. Its path is short, because a Unix socket's must be.
pub(crate) fn fresh() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("ts-").tempdir()?)
}
