//! A process that does not outlive us.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{Error, Result, proc};

/// Becomes the program, after leaving a watcher behind that kills it once the pipe on standard
/// input ends, and then removes the directory and the rest of the process group. The other end of
/// the pipe is ours, and ends with us however that comes about. The watcher ignores the hang-up
/// that a group gets when it is left behind with a stopped member, and what a terminal sends.
///
/// Children may have left the group, as PostgreSQL's do: while their parent is stopped it can
/// have no more of them, so that all are found.
const LEASH: &str = "\
exec 3<&0 </dev/null
(
    trap '' HUP INT TERM
    while read -r _ <&3; do :; done
    kill -s STOP $$
    read -r self _ </proc/self/stat
    read -r children </proc/$$/task/$$/children
    kill -s KILL $$
    for child in $children; do
        [ \"$child\" = \"$self\" ] || kill -s KILL \"$child\"
    done
    cd \"$1\" && eval \"$2\"
    rm -rf -- \"$1\" || { sleep 1; rm -rf -- \"$1\"; }
    kill -s KILL -- -$$
) >/dev/null 2>&1 &
shift 2
exec \"$@\" 3<&-";

/// A child that was told to stop or to end does so within this.
const OBEYS: Duration = Duration::from_secs(5);

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
        Self::spawn_with(program, arguments, directory, "")
    }

    /// As [`Process::spawn`], with these variables besides our own.
    pub(crate) fn spawn_in(
        environment: &[(String, String)],
        program: &Path,
        arguments: &[String],
        directory: &TempDir,
    ) -> Result<Self> {
        Self::launch(program, arguments, directory, "", environment)
    }

    /// As [`Process::spawn`]. When we are killed, `farewell` is run by a shell in the directory
    /// after the end of the program.
    pub(crate) fn spawn_with<A: AsRef<OsStr>>(
        program: &Path,
        arguments: &[A],
        directory: &TempDir,
        farewell: &str,
    ) -> Result<Self> {
        Self::launch(program, arguments, directory, farewell, &[])
    }

    fn launch<A: AsRef<OsStr>>(
        program: &Path,
        arguments: &[A],
        directory: &TempDir,
        farewell: &str,
        environment: &[(String, String)],
    ) -> Result<Self> {
        let directory = directory.path();
        let log = directory.join("log");
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        let mut child = leashed(program, arguments, directory, farewell, output)
            .envs(environment.iter().cloned())
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

    /// Whether it has ended on its own, and with success.
    pub(crate) fn has_succeeded(&self) -> bool {
        matches!(self.child().try_wait(), Ok(Some(status)) if status.success())
    }

    /// Stops the program and those of its children that have left its group, and returns when none of
    /// its threads runs any more.
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        wait(|| proc::is_stopped(self.group));
        self.signal_strays(Signal::SIGSTOP);
        Ok(())
    }

    /// Lets them go on after [`Process::pause`].
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal_strays(Signal::SIGCONT);
        self.signal(Signal::SIGCONT)
    }

    /// Sends a signal to the children that have left the group, and says who they are.
    fn signal_strays(&self, signal: Signal) -> Vec<Pid> {
        let strays = proc::strays(self.group);
        // Who has ended meanwhile needs no signal.
        strays.into_iter().filter(|child| kill(*child, signal).is_ok()).collect()
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
        let paused = self.pause();
        let strays = self.signal_strays(Signal::SIGKILL);
        let killed = killpg(self.group, Signal::SIGKILL);
        let ended = self.child().wait();
        wait(|| strays.iter().all(|child| proc::is_gone(*child)));
        drop((paused, killed, ended));
    }
}

/// Waits for what is a matter of milliseconds.
#[expect(clippy::disallowed_methods, reason = "it is a wait for a state, where no runtime may be")]
fn wait(done: impl Fn() -> bool) {
    let deadline = Instant::now() + OBEYS;
    while !done() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
}

fn leashed<A: AsRef<OsStr>>(
    program: &Path,
    arguments: &[A],
    directory: &Path,
    farewell: &str,
    output: File,
) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", LEASH, "leash"]).arg(directory).arg(farewell).arg(program).args(arguments);
    command.current_dir(directory).process_group(0).stdin(Stdio::piped());
    if let Ok(copy) = output.try_clone() {
        command.stderr(copy);
    }
    command.stdout(output);
    command
}

#[cfg(test)]
mod tests {
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
        let gone =
            || async { Ok(ids.iter().all(|id| proc::is_gone(Pid::from_raw(*id))).then_some(())) };
        until("the end of both", LIMIT, gone).await.unwrap();
    }
}
