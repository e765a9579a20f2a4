//! What a server was told to write, by its own log.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

/// The words with which a statement begins that writes.
const WRITES: &[&str] = &["INSERT", "UPDATE", "DELETE", "WITH"];
/// How much of a line is looked at: a table's name comes early.
const HEAD: usize = 400;

/// Reads a log as it grows.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    /// What comes before a statement that is carried out.
    marks: &'static [&'static str],
    read: Mutex<Counted>,
}

/// How far the log was read, and how many writes each namespace has had.
#[derive(Debug, Default)]
struct Counted {
    position: u64,
    writes: HashMap<String, u64>,
}

impl Log {
    pub(crate) fn new(path: PathBuf, marks: &'static [&'static str]) -> Self {
        Self { path, marks, read: Mutex::default() }
    }

    /// How many writes were sent for a namespace so far.
    pub(crate) fn writes(&self, namespace: &str) -> std::io::Result<u64> {
        let mut counted = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut log = File::open(&self.path)?;
        log.seek(SeekFrom::Start(counted.position))?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        // Half a line is left for the next time.
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        bytes.truncate(end);
        counted.position += u64::try_from(end).unwrap_or_default();
        for line in bytes.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line.get(..HEAD).unwrap_or(line));
            if let Some(namespace) = self.written(&line) {
                *counted.writes.entry(namespace).or_default() += 1;
            }
        }
        Ok(counted.writes.get(namespace).copied().unwrap_or_default())
    }

    /// The namespace that a line tells of a write to.
    fn written(&self, line: &str) -> Option<String> {
        let statement = self.marks.iter().find_map(|mark| Some(line.split_once(mark)?.1))?;
        let statement = statement.split_once(": ").map_or(statement, |(name, rest)| {
            if name.starts_with("sqlx") { rest } else { statement }
        });
        WRITES.iter().find(|word| statement.trim_start().starts_with(**word))?;
        let (_, name) = statement.split_once("conf")?;
        Some(format!("conf{}", name.get(..16)?))
    }
}
