//! Licences, duplicates, sources and advisories of what we depend on, by `cargo-deny`.

use std::{
    io,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{counts::Outcome, process, workspace::Workspace};

const VERSION: &str = "0.20.2";

/// Installs cargo-deny into the target folder, unless it is there.
///
/// Unoptimised it takes a fifth of the time to build, and still runs in under a second.
pub(crate) fn install(workspace: &Workspace) -> io::Result<()> {
    if find(workspace).is_some() {
        return Ok(());
    }
    println!("installing cargo-deny {VERSION}");
    let mut command = process::command(process::cargo());
    command
        .args(["install", "cargo-deny", "--locked", "--no-default-features", "--quiet"])
        .args(["--version", VERSION, "--root"])
        .arg(tools(workspace))
        .env("CARGO_TARGET_DIR", tools(workspace).join("build"))
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    let installed = process::run(&mut command)?.success;
    if installed { Ok(()) } else { Err(io::Error::other("cargo-deny could not be installed")) }
}

/// The checks that need no network.
pub(crate) fn offline(workspace: &Workspace) -> io::Result<Outcome> {
    let Some(mut command) = checker(workspace) else { return Ok(missing()) };
    let checked = process::run(command.args(["check", "licenses", "bans", "sources"]))?;
    Ok(Outcome::of(checked.success, "cargo deny check licenses bans sources"))
}

/// The advisories. Their database is a git repository, which not every network reaches.
pub(crate) fn advisories(workspace: &Workspace) -> io::Result<Outcome> {
    let Some(mut fetch) = checker(workspace) else { return Ok(missing()) };
    let fetched = process::run(fetch.args(["fetch", "db"]))?;
    if !fetched.success {
        let reason = fetched.output.lines().rfind(|line| line.starts_with("fatal:"));
        let reason = reason.unwrap_or("the advisory database cannot be fetched");
        println!("WARNING: dependencies were NOT checked for known vulnerabilities: {reason}");
        return Ok(Outcome::skipped(format!("no advisory database: {reason}")));
    }
    let Some(mut command) = checker(workspace) else { return Ok(missing()) };
    let checked = process::run(command.args(["check", "advisories"]))?;
    Ok(Outcome::of(checked.success, "cargo deny check advisories"))
}

fn checker(workspace: &Workspace) -> Option<Command> {
    let mut command = process::command(find(workspace)?);
    command
        .args(["--workspace", "--all-features", "--manifest-path"])
        .arg(workspace.root.join("Cargo.toml"))
        .env("GIT_TERMINAL_PROMPT", "0");
    Some(command)
}

fn missing() -> Outcome {
    let note = "cargo-deny is not installed";
    if process::unattended() { Outcome::failed(note) } else { Outcome::skipped(note) }
}

fn tools(workspace: &Workspace) -> PathBuf {
    workspace.target.join("tools")
}

/// Ours, or the user's own if it is of the same version.
fn find(workspace: &Workspace) -> Option<PathBuf> {
    let ours = tools(workspace).join("bin/cargo-deny");
    [Some(ours), process::find("cargo-deny")].into_iter().flatten().find(|program| {
        let mut command = Command::new(program);
        let output = command.arg("--version").stderr(Stdio::null()).output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(VERSION))
    })
}
