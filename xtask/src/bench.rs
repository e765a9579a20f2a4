//! The benchmarks, which are a workspace of their own.

use std::{io, process::Command};

use crate::{process, workspace::Workspace};

/// Builds the harness and runs it with these arguments; whether it succeeded. It writes to the
/// terminal itself, as it shows how far it is.
pub(crate) fn run(arguments: &[&str]) -> io::Result<bool> {
    let workspace = Workspace::read()?;
    let mut command = Command::new(process::cargo());
    command
        .args(["run", "--release", "--locked", "--quiet", "--manifest-path"])
        .arg(workspace.root.join("benches/Cargo.toml"));
    if wants_all_peers(arguments) {
        command.args(["--features", "dynamodb-peer"]);
    }
    let status = command
        .arg("--")
        .args(arguments)
        .arg("--out")
        .arg(workspace.target.join("bench"))
        .status()?;
    Ok(status.success())
}

/// Whether every library is compared: one of them takes long to build, and is left out of short runs.
fn wants_all_peers(arguments: &[&str]) -> bool {
    let compares_stores = arguments.first().is_none_or(|it| it.starts_with('-') || *it == "stores");
    compares_stores && !arguments.contains(&"--quick")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_runs_and_single_backends_do_without_what_takes_long_to_build() {
        assert!(wants_all_peers(&[]) && wants_all_peers(&["--rounds", "5"]));
        assert!(!wants_all_peers(&["--quick"]) && !wants_all_peers(&["redis"]));
    }
}
