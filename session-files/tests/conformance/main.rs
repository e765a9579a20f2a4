//! The files store keeps the contract: by a clock that the cases move, and, in real time by the
//! clock of the file server, between two processes; and so, in what it declares, does the store in the
//! files of PHP's handler. `tests/nfs` has the first kept between two clients of a file server.

#[expect(dead_code, reason = "the suite between two clients uses the rest")]
mod directory;
#[cfg(feature = "php")]
mod php;
mod remote;
mod served;
mod wire;

use std::{process::ExitCode, sync::Arc};

use session_conformance::Suite;
use tempfile::TempDir;

use session_files::Commit;

use crate::{
    directory::{Directory, Kind},
    remote::Other,
};

fn main() -> ExitCode {
    if served::is_asked_for() {
        return served::serve();
    }
    let directories = [TempDir::new(), TempDir::new(), TempDir::new(), TempDir::new()];
    let [Ok(one), Ok(two), Ok(three), Ok(four)] = &directories else { return ExitCode::FAILURE };
    let suite = Suite::new()
        .backend(Directory::new("files", one.path(), Kind::MovableClock))
        .backend(Directory::new(
            "files-two-processes",
            two.path(),
            Kind::TwoProcesses(Arc::new(Other::default())),
        ))
        .backend(
            Directory::new("files-hard-links", four.path(), Kind::MovableClock)
                .by(Commit::HardLink),
        );
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
