//! PHP's `files` handler and our store at the same sessions.

use std::{
    fs::File,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use session_core::SessionStore;
use session_files::php::{PhpLayout, PhpStore};
use tempfile::TempDir;
use test_php::{Layout, Lock, Php, Place, Promises, Result};

/// For one operation beside others that flush.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    test_php::main(
        |place| Box::pin(open(place)),
        vec![Arc::new(Files { depth: 0 }), Arc::new(Files { depth: 1 })],
    )
}

/// A place is a depth and a directory, as in `save_path`.
async fn open(place: String) -> Result<Arc<dyn SessionStore>> {
    let (depth, directory) = place.split_once(';').ok_or("no depth")?;
    let mut layout = PhpLayout::new(directory).with_depth(depth.parse()?);
    layout.timeout = PATIENCE;
    Ok(Arc::new(PhpStore::open(layout).await?))
}

#[derive(Debug)]
struct Files {
    depth: usize,
}

#[async_trait]
impl Layout for Files {
    fn name(&self) -> &str {
        if self.depth == 0 { "files" } else { "files-deep" }
    }

    fn words(&self) -> &'static [&'static str] {
        &["php", "files"]
    }

    fn missing(&self) -> Option<String> {
        None
    }

    fn promises(&self) -> Promises {
        let promises = Promises::new(Lock::Process);
        if self.depth == 0 { promises } else { promises.without_gc() }
    }

    async fn place(&self) -> Result<Arc<dyn Place>> {
        let directory = tempfile::tempdir()?;
        for digit in "0123456789abcdefghijklmnopqrstuvwxyz".chars().filter(|_| self.depth > 0) {
            std::fs::create_dir(directory.path().join(digit.to_string()))?;
        }
        Ok(Arc::new(Directory { directory, depth: self.depth }))
    }
}

#[derive(Debug)]
struct Directory {
    directory: TempDir,
    depth: usize,
}

impl Directory {
    fn file(&self, id: &str) -> PathBuf {
        let level = id.get(..self.depth).unwrap_or_default();
        self.directory.path().join(level).join(format!("sess_{id}"))
    }
}

#[async_trait]
impl Place for Directory {
    fn php(&self) -> Php {
        Php::default().ini("session.save_path", self.peer())
    }

    fn peer(&self) -> String {
        format!("{};{}", self.depth, self.directory.path().display())
    }

    async fn age(&self, id: &str, by: Duration) -> Result<bool> {
        let file = File::options().write(true).open(self.file(id))?;
        let since: SystemTime = file.metadata()?.modified()?;
        file.set_modified(since - by)?;
        Ok(true)
    }
}
