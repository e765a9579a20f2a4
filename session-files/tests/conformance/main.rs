//! The files store keeps the contract: by a clock that the cases move, and, in real time by the
//! clock of the file server, between two processes.

mod directory;
mod remote;
mod served;
mod wire;

use std::process::ExitCode;

use session_conformance::Suite;
use tempfile::TempDir;

use crate::directory::{Directory, Kind};

fn main() -> ExitCode {
    if served::is_asked_for() {
        return served::serve();
    }
    let (one, two) = (TempDir::new(), TempDir::new());
    let (Ok(one), Ok(two)) = (&one, &two) else { return ExitCode::FAILURE };
    Suite::new()
        .backend(Directory::new("files", one, Kind::MovableClock))
        .backend(Directory::new("files-two-processes", two, Kind::TwoProcesses))
        .run()
}
