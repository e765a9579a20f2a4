//! The benchmarks, which are a workspace of their own.

use std::{io, process::Command};

use crate::{process, workspace::Workspace};

/// Builds the harness and runs it with these arguments; whether it succeeded. It writes to the
/// terminal itself, as it shows how far it is.
pub(crate) fn run(arguments: &[&str]) -> io::Result<bool> {
    let workspace = Workspace::read()?;
    let status = Command::new(process::cargo())
        .current_dir(workspace.root.join("benches"))
        .args(["run", "--release", "--locked", "--quiet", "--"])
        .args(arguments)
        .arg("--out")
        .arg(workspace.target.join("bench"))
        .status()?;
    Ok(status.success())
}
