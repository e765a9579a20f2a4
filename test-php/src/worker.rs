//! A process that works at sessions.

use std::{env, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command as Program},
    time::timeout,
};

use crate::{Answer, Command, PEER, Place, Result};

/// A worker that says nothing for so long hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// Settings of every PHP worker, which do not depend on the layout.
const INI: [(&str, &str); 7] = [
    ("display_errors", "stderr"),
    ("session.use_cookies", "0"),
    ("session.cache_limiter", ""),
    ("session.gc_probability", "0"),
    ("session.gc_maxlifetime", "1440"),
    ("session.serialize_handler", "php"),
    ("session.sid_bits_per_character", "5"),
];

/// A process that does what it is told with one session at a time. It ends when this is dropped, or
/// when the test program ends.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// PHP, with the settings of a place and then these.
    ///
    /// # Errors
    /// When there is no PHP.
    pub fn php(place: &dyn Place, ini: &[(&str, &str)]) -> Result<Self> {
        let php = place.php();
        let mut program = Program::new("php");
        let own = php.ini.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in INI.into_iter().chain(own).chain(ini.iter().copied()) {
            program.arg("-d").arg(format!("{name}=\"{value}\""));
        }
        program.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/worker.php"));
        program.env("TEST_PHP_PRELUDE", php.prelude);
        Self::start(program)
    }

    /// Our store, in a copy of this test program.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn rust(place: &dyn Place) -> Result<Self> {
        let mut program = Program::new(env::current_exe()?);
        program.env(PEER, place.peer());
        Self::start(program)
    }

    fn start(mut program: Program) -> Result<Self> {
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = program.spawn()?;
        let commands = child.stdin.take().ok_or("no standard input")?;
        let answers = child.stdout.take().ok_or("no standard output")?;
        Ok(Self { child, commands, answers: BufReader::new(answers).lines() })
    }

    /// Tells it to do something, and does not wait.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn tell(&mut self, command: &Command) -> Result {
        let line = serde_json::to_string(command)? + "\n";
        self.commands.write_all(line.as_bytes()).await?;
        Ok(self.commands.flush().await?)
    }

    /// Its next answer.
    ///
    /// # Errors
    /// When it has ended, or says nothing for two minutes.
    pub async fn answer(&mut self) -> Result<Answer> {
        let line = timeout(LIMIT, self.answers.next_line()).await;
        let line = line.map_err(|_elapsed| "a worker hangs")??.ok_or("a worker has ended")?;
        serde_json::from_str(&line).map_err(|error| format!("{error}: {line}").into())
    }

    /// Tells it to do something, and waits for its answer, whatever that is.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub async fn ask(&mut self, command: &Command) -> Result<Answer> {
        self.tell(command).await?;
        self.answer().await
    }

    /// Tells it to do something that must succeed without a warning.
    ///
    /// # Errors
    /// When it does not.
    pub async fn must(&mut self, command: &Command) -> Result<Answer> {
        let answer = self.ask(command).await?;
        if answer.ok && answer.notes.is_empty() {
            return Ok(answer);
        }
        Err(format!("{command:?}: {answer:?}").into())
    }

    /// Kills it, as the kernel would, and waits for its end.
    ///
    /// # Errors
    /// When it has ended before.
    pub async fn die(mut self) -> Result {
        Ok(self.child.kill().await?)
    }
}
