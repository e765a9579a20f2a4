//! A process that does not outlive us.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{Error, Result};

/// Becomes the program, after leaving a watcher behind that kills it once the pipe on standard
/// input ends, and then removes the directory and the rest of the process group. The other end of
/// the pipe is ours, and ends with us however that comes about. The watcher ignores the hang-up
/// that a group gets when it is left behind with a stopped member, and what a terminal sends.
const LEASH: &str = "\
exec 3<&0 </dev/null
(
    trap '' HUP INT TERM
    while read -r _ <&3; do :; done
    kill -s KILL $$
    rm -rf -- \"$1\"
    kill -s KILL -- -$$
) >/dev/null 2>&1 &
shift
exec \"$@\" 3<&-";

/// A running program in a process group of its own. Dropping it kills the group.
#[derive(Debug)]
pub(crate) struct Process {
    child: Mutex<Child>,
    group: Pid,
    _leash: Option<ChildStdin>,
    log: PathBuf,
}

impl Process {
    /// Starts `program` in `directory`; what it prints is appended to `log` there.
    pub(crate) fn spawn<A: AsRef<OsStr>>(
        program: &Path,
        arguments: &[A],
        directory: &TempDir,
    ) -> Result<Self> {
        let directory = directory.path();
        let log = directory.join("log");
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        let mut child = leashed(program, arguments, directory, output)
            .spawn()
            .map_err(|error| Error::new(format!("cannot start {}: {error}", program.display())))?;
        let group =
            Pid::from_raw(i32::try_from(child.id()).map_err(|e| Error::new(e.to_string()))?);
        let leash = child.stdin.take();
        Ok(Self { child: Mutex::new(child), group, _leash: leash, log })
    }

    pub(crate) fn id(&self) -> i32 {
        self.group.as_raw()
    }

    /// Whether it has ended on its own.
    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self.child().try_wait(), Ok(None))
    }

    /// Sends a signal to the program, not to its watcher.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let mut child = self.child();
        if !matches!(child.try_wait(), Ok(None)) {
            return Err(Error::of_start("the server has ended", &self.log()));
        }
        kill(self.group, signal).map_err(|error| Error::new(format!("cannot signal: {error}")))
    }

    /// What it has printed so far.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    /// The group cannot be another one by now: its watcher lives as long as we do.
    fn drop(&mut self) {
        let killed = killpg(self.group, Signal::SIGKILL);
        let ended = self.child().wait();
        drop((killed, ended));
    }
}

fn leashed<A: AsRef<OsStr>>(
    program: &Path,
    arguments: &[A],
    directory: &Path,
    output: File,
) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", LEASH, "leash"]).arg(directory).arg(program).args(arguments);
    command.current_dir(directory).process_group(0).stdin(Stdio::piped());
    if let Ok(copy) = output.try_clone() {
        command.stderr(copy);
    }
    command.stdout(output);
    command
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{directory, until};

    const LIMIT: Duration = Duration::from_secs(10);

    fn shell(script: &str, directory: &TempDir) -> Process {
        Process::spawn(Path::new("/bin/sh"), &["-c", script], directory).unwrap()
    }

    #[tokio::test]
    async fn output_is_kept_and_the_end_is_seen() {
        let directory = directory::fresh().unwrap();
        let process = shell("echo one; echo two >&2; exit 3", &directory);
        until("the end", LIMIT, || async { Ok(process.has_ended().then_some(())) }).await.unwrap();
        assert_eq!(process.log(), "one\ntwo\n");
        let refused = process.signal(Signal::SIGSTOP).unwrap_err().to_string();
        assert!(refused.contains("has ended"), "{refused}");
    }

    #[tokio::test]
    async fn the_whole_group_ends_with_the_handle() {
        let directory = directory::fresh().unwrap();
        let process = shell("sleep 1000 & echo $!; exec sleep 1000", &directory);
        let look = || async { Ok(process.log().lines().next().map(str::to_owned)) };
        let inner = until("the inner process", LIMIT, look).await.unwrap();
        let ids = [process.id(), inner.parse().unwrap()];
        assert!(ids.iter().all(|id| kill(Pid::from_raw(*id), None).is_ok()));
        drop(process);
        let gone = || async { Ok(ids.iter().all(|id| is_gone(*id)).then_some(())) };
        until("the end of both", LIMIT, gone).await.unwrap();
    }

    /// Gone, or dead and waiting for somebody to take note.
    fn is_gone(id: i32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z "))
    }
}
