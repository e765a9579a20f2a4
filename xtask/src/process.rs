//! Runs programs, shows what they print, and keeps it.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Mutex,
    thread,
};

/// The longest that one program may take when nobody watches.
const LIMIT_SECONDS: &str = "3000";

/// What a program printed, and whether it succeeded.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) success: bool,
    pub(crate) output: String,
}

/// Whether this is a run that nobody watches.
pub(crate) fn unattended() -> bool {
    env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// The cargo that runs us.
pub(crate) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// A command for `program`, bounded in time when nobody watches.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    if !unattended() || find("timeout").is_none() {
        return Command::new(program);
    }
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", LIMIT_SECONDS]).arg(program);
    command
}

/// Runs a command, copies what it prints to our output line by line, and returns it.
pub(crate) fn run(command: &mut Command) -> io::Result<Finished> {
    finish(command.stderr(Stdio::piped()), |line| println!("{line}"))
}

/// Runs a command and returns what it prints.
pub(crate) fn collect(command: &mut Command) -> io::Result<Finished> {
    finish(command.stderr(Stdio::piped()), |_| ())
}

/// Runs a command and returns what it prints to its standard output; its errors go to ours.
pub(crate) fn read(command: &mut Command) -> io::Result<Finished> {
    finish(command.stderr(Stdio::inherit()), |_| ())
}

fn finish(command: &mut Command, show: impl Fn(&str) + Sync) -> io::Result<Finished> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let output = Mutex::new(String::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(|| copy(stdout, &output, &show));
        scope.spawn(|| copy(stderr, &output, &show));
    });
    let success = child.wait()?.success();
    Ok(Finished { success, output: output.into_inner().unwrap_or_default() })
}

fn copy(from: Option<impl Read>, output: &Mutex<String>, show: impl Fn(&str)) {
    let Some(from) = from else { return };
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        if let Ok(mut output) = output.lock() {
            show(&line);
            output.push_str(&line);
            output.push('\n');
        }
    }
}

/// Where a program is, if it can be run by its name.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_both_streams_and_the_status_are_kept() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; exit 3"]);
        let finished = run(&mut command).unwrap();
        assert!(!finished.success);
        assert!(finished.output.contains("one\n") && finished.output.contains("two\n"));
    }

    #[test]
    fn programs_are_found_by_name() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
