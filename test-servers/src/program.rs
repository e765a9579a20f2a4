//! A program of the caller's.

use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{Error, Result, directory, process::Process};

/// A program of the caller's that can be killed and started again.
///
/// Dropping it kills it. What it prints goes to a log in its directory, which goes away with it.
#[derive(Debug)]
pub struct Program {
    process: Mutex<Option<Process>>,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    directory: TempDir,
}

impl Program {
    /// A program that is not started yet.
    ///
    /// # Errors
    /// When there is no room for its directory.
    pub fn new(program: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self {
            process: Mutex::default(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: directory::fresh()?,
        })
    }

    /// With one more argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With a variable besides those that we have.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it, in the place of the one that ran before. When it is ready is for the caller to
    /// find out.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start(&self) -> Result<()> {
        self.kill();
        let (program, arguments) = (&self.program, &self.arguments);
        let process = Process::spawn_in(&self.environment, program, arguments, &self.directory)?;
        *self.process() = Some(process);
        Ok(())
    }

    /// `kill -9`, and waits for its end.
    pub fn kill(&self) {
        self.process().take();
    }

    /// `SIGTERM`: it may finish what it does.
    ///
    /// # Errors
    /// When it does not run.
    pub fn terminate(&self) -> Result<()> {
        let process = self.process();
        let process = process.as_ref().ok_or_else(|| Error::new("the program does not run"))?;
        process.signal(Signal::SIGTERM)
    }

    /// The id of its process while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<i32> {
        self.process().as_ref().filter(|process| !process.has_ended()).map(Process::id)
    }

    /// What it has printed, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        let log = fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
