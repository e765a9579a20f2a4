//! The benchmarks, which are a workspace of their own.

use std::{io, process::Command};

use crate::{process, workspace::Workspace};

/// Builds the harness and runs it with these arguments; whether it succeeded. It writes to the
/// terminal itself, as it shows how far it is.
pub(crate) fn run(arguments: &[&str]) -> io::Result<bool> {
    let workspace = Workspace::read()?;
    let status = Command::new(process::cargo())
        .args(["run", "--release", "--locked", "--quiet", "--manifest-path"])
        .arg(workspace.root.join("benches/Cargo.toml"))
        .arg("--")
        .args(arguments)
        .arg("--out")
        .arg(workspace.target.join("bench"))
        .status()?;
    Ok(status.success())
}
