//! A PHP that answers questions, and one that answers HTTP.

mod site;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

pub use self::site::Site;
use crate::{Error, Result, programs};

/// An answer that takes longer does not come.
const LIMIT: Duration = Duration::from_secs(60);

/// Why tests that need PHP with these extensions are ignored.
#[must_use]
pub fn missing(extensions: &[&str]) -> Option<String> {
    static LOADED: OnceLock<Result<Vec<String>>> = OnceLock::new();
    let loaded = match LOADED.get_or_init(loaded) {
        Ok(loaded) => loaded,
        Err(reason) => return Some(reason.to_string()),
    };
    let lacks = extensions.iter().find(|name| !loaded.iter().any(|it| it == *name))?;
    Some(format!("PHP's extension {lacks} is not installed; `cargo xtask setup` installs it"))
}

fn loaded() -> Result<Vec<String>> {
    let output = Command::new(programs::find("php")?).arg("-m").output()?;
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(list.lines().map(ToOwned::to_owned).collect())
}

/// A script that answers each line on its standard input with one line. It ends when this is
/// dropped, or we are killed, since its input ends then.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
}

impl Worker {
    /// Starts a script.
    ///
    /// # Errors
    /// When there is no PHP.
    pub fn start(script: &Path) -> Result<Self> {
        let mut child = Command::new(programs::find("php")?)
            .args(["-d", "display_errors=stderr", "-d", "memory_limit=512M"])
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipe = || Error::new("PHP has no standard input or output");
        let questions = child.stdin.take().ok_or_else(pipe)?;
        let output = child.stdout.take().ok_or_else(pipe)?;
        let (sender, answers) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines();
            lines.map_while(|line| line.ok()).try_for_each(|line| sender.send(line))
        });
        Ok(Self { child, questions, answers })
    }

    /// Asks a question of one line.
    ///
    /// # Errors
    /// When it has ended, or says nothing for a minute.
    pub fn ask(&mut self, question: &str) -> Result<String> {
        self.questions.write_all(format!("{question}\n").as_bytes())?;
        self.questions.flush()?;
        let silent = |error| Error::new(format!("PHP does not answer: {error}"));
        self.answers.recv_timeout(LIMIT).map_err(silent)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}
