//! The program as somebody starts it in a terminal.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use test_servers::{TestResult, until};

const LIMIT: Duration = Duration::from_secs(60);

/// A fleet that somebody started. Dropping it stops it.
pub(crate) struct Running {
    child: Child,
    /// As in `127.0.0.1:8080`.
    pub(crate) address: String,
    _output: BufReader<std::process::ChildStdout>,
}

impl Running {
    /// Starts it, and waits until it says where it is.
    pub(crate) fn start() -> std::io::Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_example-fleet"))
            .args(["--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address = line.trim_end().split_once("http://").map(|(_, rest)| rest);
        let address = address.and_then(|rest| rest.strip_suffix("/fleet")).unwrap_or_default();
        Ok(Self { address: address.to_owned(), child, _output: output })
    }

    fn signal(&mut self, name: &str) -> std::io::Result<()> {
        Command::new("kill").args([name, &self.child.id().to_string()]).status()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.signal("-TERM"));
        }
    }
}

/// A process and all that were started by it, and by those.
fn family(id: u32) -> BTreeSet<u32> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let children =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let children: String = children.collect::<Vec<_>>().join(" ");
    let children = children.split_whitespace().filter_map(|id| id.parse().ok());
    children.flat_map(family).chain([id]).collect()
}

fn is_gone(id: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{id}/stat"));
    state.map_or(true, |state| {
        state.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
    })
}

async fn leaves_nothing(signal: &str) -> TestResult {
    let mut fleet = Running::start()?;
    let family = family(fleet.child.id());
    // Itself; four instances, a balancer and a Redis; and who watches over each of those.
    assert_eq!(family.len(), 1 + 2 * (4 + 1 + 1), "{family:?}");
    assert!(fleet.child.try_wait()?.is_none(), "it ended by itself");
    fleet.signal(signal)?;
    let gone = || async { Ok(family.iter().all(|id| is_gone(*id)).then_some(())) };
    until("end of all processes", LIMIT, gone).await?;
    Ok(())
}

pub(crate) async fn a_killed_fleet_leaves_no_process_behind() -> TestResult {
    leaves_nothing("-KILL").await
}

pub(crate) async fn ctrl_c_ends_everything() -> TestResult {
    leaves_nothing("-INT").await
}
