//! The settings of a files store, and their form as a URL.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    time::Duration,
};

use percent_encoding::percent_decode_str;
use session_core::{
    Capabilities, Error, ErrorKind, Operation, Result,
    settings::{self, Setting, duration},
};

use crate::BACKEND;

/// The largest `max_payload`: a record is read and written in one piece.
const PAYLOAD_LIMIT: usize = 1 << 30;

/// The settings of a [`FilesStore`](crate::FilesStore).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilesConfig {
    /// The directory. It is created with mode 0700; the directories above it must not be writable
    /// by everybody, unless they have the sticky bit.
    pub path: PathBuf,
    /// How many threads do the blocking calls. Default: 4, which serves 150,000 reads a second on
    /// a local disk; on a network mount each thread waits for the server, so use 32 or more.
    pub threads: usize,
    /// How many operations may wait for a thread. Default: 1,024; beyond that something is wrong,
    /// and a quick refusal is better than a long line.
    pub queue: usize,
    /// How long one operation may take, waiting for a thread included. Default: 5 s. Time spent
    /// waiting for a session's lock does not count.
    pub timeout: Duration,
    /// What survives a power failure. Default: [`Durability::Data`].
    pub durability: Durability,
    /// What a commit relies on. Default: [`Commit::Lock`]. All who share a directory must agree.
    pub commit: Commit,
    /// The largest payload in bytes. Default: 1 MiB.
    pub max_payload: usize,
    /// The most waiters for one lock in one process. Default: 64.
    pub max_waiters: usize,
}

/// What a committed write survives. A crash or kill of the program loses nothing with either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Durability {
    /// After a power failure the last seconds of commits may be gone, and records written in them
    /// may be empty, which reads as corrupt until their deadline. PHP's files handler works so.
    None,
    /// A power failure never leaves half a record. Commits of the last seconds may be undone, as
    /// a whole each.
    #[default]
    Data,
    /// What was acknowledged survives a power failure.
    DataAndDirectory,
}

/// What a commit relies on, so that nobody else's is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Commit {
    /// Locks of the file system, which every local disk and every NFS mount with `vers=4.1` keeps.
    #[default]
    Lock,
    /// Hard links: each commit links the next state of a session to the next number, which only
    /// one can. For mounts whose locks exclude nobody (`nolock`, `local_lock`), and for those who
    /// cannot rule out that a client is cut off in the middle of an operation for longer than the
    /// server keeps its locks. Costs half as much again.
    HardLink,
}

impl FilesConfig {
    /// The schemes that [`from_url`](Self::from_url) takes.
    pub const URL_SCHEMES: &'static [&'static str] = &["files"];

    /// The default settings for the directory `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let defaults = Capabilities::new(BACKEND);
        Self {
            path: path.into(),
            threads: 4,
            queue: 1_024,
            timeout: Duration::from_secs(5),
            durability: Durability::default(),
            commit: Commit::default(),
            max_payload: defaults.max_payload,
            max_waiters: defaults.max_waiters,
        }
    }

    /// Reads a URL like `files:///var/lib/app/sessions?session.threads=8&session.durability=none`.
    ///
    /// | key | value | default |
    /// | --- | --- | --- |
    /// | `session.threads` | number of threads | `4` |
    /// | `session.queue` | operations that may wait for a thread | `1024` |
    /// | `session.timeout` | time for one operation, like `500ms` or `5s` | `5s` |
    /// | `session.durability` | `none`, `data` or `data-and-directory` | `data` |
    /// | `session.commit` | `lock` or `hard-link` | `lock` |
    /// | `session.max_payload` | bytes | `1048576` |
    /// | `session.max_waiters` | waiters for one lock | `64` |
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config), which names the key at fault but never a value.
    pub fn from_url(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("files://").ok_or_else(|| wrong("the URL is not files://"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = OsString::from_vec(percent_decode_str(path).collect());
        if !Path::new(&path).is_absolute() {
            return Err(wrong("the URL needs an absolute path and no host, as in files:///path"));
        }
        let mut config = Self::new(path);
        settings::read(BACKEND, SETTINGS, query, &mut config)?;
        config.check()?;
        Ok(config)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let demands = [
            (self.threads >= 1 && self.threads <= 1_024, "1 to 1024 threads are needed"),
            (self.queue >= 1, "the queue needs room for one operation at least"),
            (!self.timeout.is_zero(), "the timeout must not be zero"),
            (self.max_payload <= PAYLOAD_LIMIT, "payloads are limited to 1 GiB"),
            (self.max_waiters >= 1, "one waiter at least must be allowed"),
        ];
        demands.iter().find(|(met, _)| !met).map_or(Ok(()), |(_, demand)| Err(wrong(demand)))
    }
}

const SETTINGS: &[Setting<FilesConfig>] = &[
    Setting::new("session.threads", "a number", |config, value| {
        value.parse().ok().map(|number| config.threads = number)
    }),
    Setting::new("session.queue", "a number", |config, value| {
        value.parse().ok().map(|number| config.queue = number)
    }),
    Setting::new("session.timeout", "a time like 500ms or 5s", |config, value| {
        duration(value).map(|time| config.timeout = time)
    }),
    Setting::new("session.durability", "none, data or data-and-directory", |config, value| {
        durability(value).map(|grade| config.durability = grade)
    }),
    Setting::new("session.commit", "lock or hard-link", |config, value| {
        commit(value).map(|commit| config.commit = commit)
    }),
    Setting::new("session.max_payload", "a number of bytes", |config, value| {
        value.parse().ok().map(|bytes| config.max_payload = bytes)
    }),
    Setting::new("session.max_waiters", "a number", |config, value| {
        value.parse().ok().map(|number| config.max_waiters = number)
    }),
];

fn commit(text: &str) -> Option<Commit> {
    match text {
        "lock" => Some(Commit::Lock),
        "hard-link" => Some(Commit::HardLink),
        _ => None,
    }
}

fn durability(text: &str) -> Option<Durability> {
    match text {
        "none" => Some(Durability::None),
        "data" => Some(Durability::Data),
        "data-and-directory" => Some(Durability::DataAndDirectory),
        _ => None,
    }
}

fn wrong(detail: &str) -> Error {
    Error::new(ErrorKind::Config, BACKEND, Operation::Open).with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_sets_every_setting() {
        let config = FilesConfig::from_url(
            "files:///var/lib/my%20app?session.threads=8&session.queue=9&session.timeout=250ms\
             &session.durability=data-and-directory&session.commit=hard-link&session.max_payload=10&session.max_waiters=3",
        )
        .unwrap();
        let expected = FilesConfig {
            path: "/var/lib/my app".into(),
            threads: 8,
            queue: 9,
            timeout: Duration::from_millis(250),
            durability: Durability::DataAndDirectory,
            commit: Commit::HardLink,
            max_payload: 10,
            max_waiters: 3,
        };
        assert_eq!(config, expected);
        assert_eq!(FilesConfig::from_url("files:///x").unwrap(), FilesConfig::new("/x"));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_nearest_match() {
        let error = FilesConfig::from_url("files:///x?session.thread=s3cret").unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(text.contains("session.thread;"), "{text}");
        assert!(text.contains("did you mean session.threads?"), "{text}");
        assert!(text.contains("session.durability"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }

    #[test]
    fn wrong_values_are_refused_and_not_repeated() {
        for url in [
            "redis:///x",
            "files://host/x",
            "files://x",
            "files:///x?session.threads=s3cret",
            "files:///x?session.threads=0",
            "files:///x?session.timeout=3",
            "files:///x?session.timeout=0s",
            "files:///x?session.durability=s3cret",
            "files:///x?session.commit=s3cret",
            "files:///x?session.max_payload=99999999999",
            "files:///x?threads=4",
        ] {
            let error = FilesConfig::from_url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_readme_and_the_documentation_list_every_key() {
        let (readme, source) = (include_str!("../README.md"), include_str!("config.rs"));
        for setting in SETTINGS {
            let row = format!("| `{}` |", setting.name());
            assert!(readme.contains(&row), "README: {row}");
            assert!(source.contains(&format!("/// {row}")), "documentation: {row}");
        }
    }
}
