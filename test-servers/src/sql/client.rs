//! SQL by the server's own command line client.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use crate::{
    Error, Result,
    sql::{
        ADMINISTRATOR, ADMINISTRATOR_PASSWORD, APPLICATION, APPLICATION_PASSWORD, Flavor, mysql,
        postgres,
    },
};

/// No script of a test takes longer, except on a server that is paused.
const LIMIT: Duration = Duration::from_secs(60);

/// How to speak to one server, over its Unix socket.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) flavor: Flavor,
    pub(crate) program: PathBuf,
    pub(crate) directory: PathBuf,
    pub(crate) port: u16,
}

impl Client {
    /// Runs statements one by one up to the first that fails, as somebody who may do everything.
    pub(crate) async fn run(&self, database: &str, sql: &str) -> Result<String> {
        let user = if self.flavor.is_mysql() { "root" } else { ADMINISTRATOR };
        self.run_as(user, database, sql).await
    }

    /// Logs those in who have a password. From then on MySQL knows it well enough to let them in
    /// without TLS.
    pub(crate) async fn greet(&self) -> Result<()> {
        for user in [ADMINISTRATOR, APPLICATION] {
            self.run_as(user, APPLICATION, "").await?;
        }
        Ok(())
    }

    async fn run_as(&self, user: &str, database: &str, sql: &str) -> Result<String> {
        let mut command = Command::new(&self.program);
        if self.flavor.is_mysql() {
            command.args(mysql::client(&self.directory, user, database));
        } else {
            command.args(postgres::client(&self.directory, self.port, user, database));
        }
        match user {
            ADMINISTRATOR => command.env("MYSQL_PWD", ADMINISTRATOR_PASSWORD),
            APPLICATION => command.env("MYSQL_PWD", APPLICATION_PASSWORD),
            _ => &mut command,
        };
        timeout(LIMIT, output(command, sql))
            .await
            .map_err(|_error| Error::new(format!("no reply after {LIMIT:?}")))?
    }

    /// The database that is always there.
    pub(crate) fn home(&self) -> &'static str {
        if self.flavor.is_mysql() { "mysql" } else { "postgres" }
    }
}

/// What the program prints for this input, without the last newline.
async fn output(mut command: Command, input: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let stdin = child.stdin.take();
    let write = async move {
        // A program that fails leaves its input unread, and says why.
        if let Some(mut stdin) = stdin {
            drop(stdin.write_all(input.as_bytes()).await);
        }
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let output = output?;
    let printed = String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned();
    if output.status.success() {
        return Ok(printed);
    }
    Err(Error::new(format!("{printed}{}", String::from_utf8_lossy(&output.stderr)).trim()))
}
