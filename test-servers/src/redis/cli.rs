//! Commands by `redis-cli` or `valkey-cli`.

use std::{ffi::OsStr, path::PathBuf, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::{Error, Result};

/// No single command takes longer, except on a server that is stopped.
const LIMIT: Duration = Duration::from_secs(60);
/// Moving slots is many commands.
const CLUSTER_LIMIT: Duration = Duration::from_secs(60);

/// How to speak to one server.
#[derive(Debug, Clone)]
pub(crate) struct Cli {
    pub(crate) program: PathBuf,
    pub(crate) socket: PathBuf,
    /// The administrator's password, where there are users.
    pub(crate) password: Option<String>,
}

impl Cli {
    /// Runs one command, and returns what the program prints for it, without the last newline.
    pub(crate) async fn run<A: AsRef<OsStr> + Sync>(&self, arguments: &[A]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.arg("-e").arg("-s").arg(&self.socket);
        if let Some(password) = &self.password {
            command.args(["--no-auth-warning", "--user", ADMIN, "--pass", password]);
        }
        command.args(arguments);
        output(command, LIMIT).await
    }

    /// Runs `--cluster` with its arguments.
    pub(crate) async fn cluster(&self, arguments: &[String]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.arg("--cluster").args(arguments).arg("--cluster-yes");
        output(command, CLUSTER_LIMIT).await
    }
}

/// The user that this crate's own commands are made by, where there are users.
pub(crate) const ADMIN: &str = "admin";

async fn output(mut command: Command, limit: Duration) -> Result<String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(limit, command.output())
        .await
        .map_err(|_error| Error::new(format!("no reply after {limit:?}")))??;
    let printed = String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned();
    if output.status.success() {
        return Ok(printed);
    }
    Err(Error::new(format!("{printed}{}", String::from_utf8_lossy(&output.stderr)).trim()))
}
