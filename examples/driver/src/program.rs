//! Starts programs that listen on a port of their choice and say which.

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::Result;

/// The longest wait for anything; a bound against hanging, not an expectation.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A program that listens. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Program {
    /// Starts `command` and waits for the line that says where it listens, as `port` reads it.
    pub(crate) async fn start(
        command: &mut Command,
        log: &Path,
        port: fn(&str) -> Option<u16>,
    ) -> Result<Self> {
        let log = std::fs::File::create(log)?;
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.kill_on_drop(true).spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let port = timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await? {
                if let Some(port) = port(&line) {
                    return Ok(port);
                }
            }
            Err::<_, crate::Error>("it ended before it listened".into())
        })
        .await??;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }

    /// Ends the program at once, as a crash would.
    pub(crate) async fn kill(&mut self) -> Result {
        Ok(self.child.kill().await?)
    }
}

/// Where a program is, if it can be run by its name.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
