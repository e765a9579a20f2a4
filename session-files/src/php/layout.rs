//! Where PHP's `files` handler keeps which session.

use std::{path::PathBuf, time::Duration};

use session_core::{Capabilities, Error, ErrorKind, Key, Operation, Result, SessionId};

use crate::BACKEND;

/// What every session's file is named after; PHP removes files by it.
pub(super) const PREFIX: &str = "sess_";
/// What a new session's file is named after until all of it is there.
pub(super) const DRAFT: &str = ".sess-draft-";
/// With [`PREFIX`] before it, no longer name has room in a directory.
const LONGEST_ID: usize = 250;

/// Where PHP's `files` handler keeps sessions, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhpLayout {
    /// The directory. It must be there, and below it the directories that `depth` asks for: PHP
    /// makes none either.
    pub directory: PathBuf,
    /// For how many of its first characters an id has a directory each. Default: 0.
    pub depth: usize,
    /// The permissions of new files, which the process's umask cuts. Default: 0600.
    pub mode: u32,
    /// How long a session lives after the last write or touch; PHP's side must have the same.
    /// Default: 24 minutes.
    pub lifetime: Duration,
    /// How many threads do the blocking calls. Default: 4.
    pub threads: usize,
    /// How many operations may wait for a thread. Default: 1,024.
    pub queue: usize,
    /// How long one operation may take, waiting for a session's lock not included. Default: 5 s.
    pub timeout: Duration,
    /// The largest payload in bytes. Default: 1 MiB.
    pub max_payload: usize,
    /// The most waiters for one lock in one process. Default: 64.
    pub max_waiters: usize,
}

impl PhpLayout {
    /// PHP's defaults in `directory`.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let defaults = Capabilities::new(BACKEND);
        Self {
            directory: directory.into(),
            depth: 0,
            mode: 0o600,
            lifetime: Duration::from_secs(1_440),
            threads: 4,
            queue: 1_024,
            timeout: Duration::from_secs(5),
            max_payload: defaults.max_payload,
            max_waiters: defaults.max_waiters,
        }
    }

    /// See [`depth`](Self::depth).
    #[must_use]
    pub const fn with_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// See [`mode`](Self::mode).
    #[must_use]
    pub const fn with_mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// See [`lifetime`](Self::lifetime).
    #[must_use]
    pub const fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The file of a session, and the directory it is in.
    pub(super) fn file(&self, key: &Key, operation: Operation) -> Result<PathBuf> {
        let refuse = |kind| Error::new(kind, BACKEND, operation);
        let secret = key.secret().ok_or_else(|| {
            refuse(ErrorKind::Unsupported).with_detail("PHP's files are named after the id itself")
        })?;
        let id = secret.expose();
        if id.len() > LONGEST_ID || id.len() <= self.depth || !id.bytes().all(is_valid) {
            return Err(refuse(ErrorKind::InvalidId));
        }
        let mut path = self.directory.clone();
        path.extend(id.get(..self.depth).into_iter().flat_map(|levels| levels.split("")));
        path.push(format!("{PREFIX}{id}"));
        Ok(path)
    }

    /// The id of a session whose file has this name.
    pub(super) fn id(name: &str) -> Option<SessionId> {
        let id = name.strip_prefix(PREFIX).filter(|id| id.bytes().all(is_valid))?;
        SessionId::parse(id).ok()
    }
}

/// What PHP takes for a character of an id.
const fn is_valid(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b',' | b'-')
}

#[cfg(test)]
mod tests {
    use session_core::KeyHasher;

    use super::*;

    fn file(layout: &PhpLayout, id: &str) -> Result<PathBuf> {
        layout.file(&KeyHasher::plain().key(&SessionId::parse(id).unwrap()), Operation::Load)
    }

    #[test]
    fn a_file_is_named_after_the_id_below_directories_of_its_characters() {
        let layout = PhpLayout::new("/s");
        assert_eq!(file(&layout, "abcd").unwrap(), PathBuf::from("/s/sess_abcd"));
        let deep = layout.with_depth(2);
        assert_eq!(file(&deep, "abcd").unwrap(), PathBuf::from("/s/a/b/sess_abcd"));
        assert_eq!(file(&deep, "ab").unwrap_err().kind(), ErrorKind::InvalidId);
    }

    #[test]
    fn ids_are_those_that_php_takes() {
        let layout = PhpLayout::new("/s");
        assert!(file(&layout, &"a".repeat(250)).is_ok());
        for id in ["a_b", &"a".repeat(251)] {
            assert_eq!(file(&layout, id).unwrap_err().kind(), ErrorKind::InvalidId, "{id}");
        }
        let digest = Key::from_digest(session_core::KeyDigest::from_bytes([1; 32]));
        let refused = layout.file(&digest, Operation::Load).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
    }
}
