//! The files store keeps the contract: by a clock that the cases move, and, in real time by the
//! clock of the file server, between two processes; and so, in what it declares, does the store in the
//! files of PHP's handler.

mod directory;
#[cfg(feature = "php")]
mod php;
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
    let (one, two, three) = (TempDir::new(), TempDir::new(), TempDir::new());
    let (Ok(one), Ok(two), Ok(three)) = (&one, &two, &three) else { return ExitCode::FAILURE };
    let suite = Suite::new()
        .backend(Directory::new("files", one, Kind::MovableClock))
        .backend(Directory::new("files-two-processes", two, Kind::TwoProcesses));
    with_php(suite, three).run()
}

#[cfg(feature = "php")]
fn with_php(suite: Suite, directory: &TempDir) -> Suite {
    suite.backend(php::PhpDirectory::new(directory))
}

#[cfg(not(feature = "php"))]
fn with_php(suite: Suite, _directory: &TempDir) -> Suite {
    suite
}
