//! PgBouncer in front of a PostgreSQL.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use crate::{
    Error, Result, directory,
    ports::{Ports, with_ports},
    process::Process,
    programs,
    sql::{
        ADMINISTRATOR, ADMINISTRATOR_PASSWORD, APPLICATION, APPLICATION_PASSWORD, Flavor, Server,
        data, postgres,
    },
    until,
};

const LIMIT: Duration = Duration::from_secs(90);
const PROGRAM: &str = "pgbouncer";

/// How a [`PgBouncer`] is set up.
#[derive(Debug, Clone)]
pub struct PgBouncerOptions {
    settings: Vec<(String, String)>,
}

impl PgBouncerOptions {
    /// Clients have a connection of the server for as long as they stay.
    #[must_use]
    pub fn session() -> Self {
        Self { settings: Vec::new() }.setting("pool_mode", "session")
    }

    /// Clients have a connection of the server for one transaction. Statements are kept track of as
    /// the program does by itself, which depends on its version.
    #[must_use]
    pub fn transaction() -> Self {
        Self { settings: Vec::new() }.setting("pool_mode", "transaction")
    }

    /// How many prepared statements are kept track of for a connection; of none if this is 0.
    #[must_use]
    pub fn max_prepared_statements(self, statements: u32) -> Self {
        self.setting("max_prepared_statements", &statements.to_string())
    }

    /// What clients may ask for at log-in without getting it.
    #[must_use]
    pub fn ignore_startup_parameters(self, names: &str) -> Self {
        self.setting("ignore_startup_parameters", names)
    }

    /// How many connections to the server there are at most, for a database and a user.
    #[must_use]
    pub fn pool_size(self, connections: u32) -> Self {
        self.setting("default_pool_size", &connections.to_string())
    }

    /// Any setting of the section `[pgbouncer]`. The last one of a name counts.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A pooler in front of a server, for all of its databases and the users that [`Server`] has.
///
/// Dropping it kills it. It goes on without its server, and knows it again when that is back.
#[derive(Debug)]
pub struct PgBouncer {
    process: Mutex<Option<Process>>,
    program: PathBuf,
    arguments: Vec<String>,
    port: u16,
    directory: TempDir,
    _ports: Arc<Ports>,
}

impl PgBouncer {
    /// Starts it, and waits until it answers.
    ///
    /// # Errors
    /// With its log when it does not.
    pub async fn start(server: &Server, options: &PgBouncerOptions) -> Result<Self> {
        let behind = server.port();
        with_ports(|ports| async move {
            let bouncer = Self::prepare(behind, options, ports)?;
            bouncer.spawn()?;
            bouncer.wait_until_it_answers().await?;
            Ok(bouncer)
        })
        .await
    }

    /// Why none can be started here, if none can.
    #[must_use]
    pub fn missing() -> Option<String> {
        let reason = || program().err().map(|error| error.to_string());
        Flavor::Postgres.missing().or_else(reason)
    }

    fn prepare(behind: u16, options: &PgBouncerOptions, ports: Arc<Ports>) -> Result<Self> {
        let directory = directory::fresh()?;
        let (place, port) = (directory.path(), ports.port(0));
        let (configuration, users) = (place.join("pgbouncer.ini"), place.join("users"));
        fs::write(&configuration, ini(options, behind, port, &users))?;
        fs::write(&users, known_users())?;
        for file in [place, &configuration, &users] {
            data::hand_over(Flavor::Postgres, file)?;
        }
        let mut arguments = vec![configuration.display().to_string()];
        // It takes another user by itself, once its program is loaded.
        if postgres::substitute()?.is_some() {
            arguments.splice(0..0, ["-u".to_owned(), postgres::USER.to_owned()]);
        }
        let program = program()?;
        Ok(Self { process: Mutex::default(), program, arguments, port, directory, _ports: ports })
    }

    fn spawn(&self) -> Result<()> {
        *self.process() = Some(Process::spawn(&self.program, &self.arguments, &self.directory)?);
        Ok(())
    }

    async fn wait_until_it_answers(&self) -> Result<()> {
        let answers = until("answer", LIMIT, || async {
            if self.process_id().is_none() {
                return Ok(Some(false));
            }
            self.console("SHOW VERSION").await.map(|_version| Some(true))
        });
        match answers.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::of_start("the pooler ended at its start", &self.log())),
            Err(error) => Err(Error::of_start(&error.to_string(), &self.log())),
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As in `127.0.0.1:10017`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The way through it to what a URL of the server names, such as [`Server::url`].
    #[must_use]
    pub fn url(&self, of_server: &str) -> String {
        let (front, rest) = of_server.split_once('@').unwrap_or_default();
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        format!("{front}@{}/{path}", self.address())
    }

    /// What its console says to a command such as `SHOW POOLS`: values between tabs, rows between
    /// newlines.
    ///
    /// # Errors
    /// With what it says when it does not do it.
    pub async fn console(&self, command: &str) -> Result<String> {
        let mut psql = Command::new(Flavor::Postgres.client()?);
        psql.args(["-X", "-q", "-A", "-t", "-F", "\t", "-U", ADMINISTRATOR, "-d", PROGRAM]);
        psql.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-c", command]);
        psql.env("PGPASSWORD", ADMINISTRATOR_PASSWORD).stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(LIMIT, psql.output())
            .await
            .map_err(|_elapsed| Error::new(format!("no reply after {LIMIT:?}")))??;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() {
            return Ok(said(&output.stdout));
        }
        Err(Error::new(said(&output.stderr)))
    }

    /// Where all its files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it has logged, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        let log = fs::read(self.directory().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The id of its process while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<i32> {
        self.process().as_ref().filter(|process| !process.has_ended()).map(Process::id)
    }

    /// Ends it, with all connections to both sides.
    ///
    /// # Errors
    /// When it does not run, or does not end.
    pub async fn stop(&self) -> Result<()> {
        let quit = |process: &Process| process.signal(Signal::SIGQUIT);
        let running = self.process().as_ref().map(quit);
        running.ok_or_else(|| Error::new("the pooler does not run"))??;
        let ended = || async { Ok(self.process_id().is_none().then_some(())) };
        until("end", LIMIT, ended).await?;
        self.process().take();
        Ok(())
    }

    /// Starts it again on the same port, after [`PgBouncer::stop`] if it still runs, and waits
    /// until it answers.
    ///
    /// # Errors
    /// With its log when it does not.
    pub async fn restart(&self) -> Result<()> {
        if self.process_id().is_some() {
            self.stop().await?;
        }
        self.process().take();
        self.spawn()?;
        self.wait_until_it_answers().await
    }
}

fn program() -> Result<PathBuf> {
    programs::find_or("SESSION_PGBOUNCER_BIN", PROGRAM, |program| {
        programs::fetched(PROGRAM, program)
    })
}

fn known_users() -> String {
    let users = [(ADMINISTRATOR, ADMINISTRATOR_PASSWORD), (APPLICATION, APPLICATION_PASSWORD)];
    users.map(|(user, password)| format!("\"{user}\" \"{password}\"\n")).concat()
}

fn ini(options: &PgBouncerOptions, behind: u16, port: u16, users: &Path) -> String {
    let own = [
        ("listen_addr", "127.0.0.1".to_owned()),
        ("listen_port", port.to_string()),
        ("unix_socket_dir", String::new()),
        ("auth_type", "scram-sha-256".to_owned()),
        ("auth_file", users.display().to_string()),
        ("admin_users", ADMINISTRATOR.to_owned()),
        // A server that was restarted is tried again at once.
        ("server_login_retry", "0.1".to_owned()),
    ];
    let own = own.iter().map(|(name, value)| (*name, value.as_str()));
    let wanted = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let settings: String =
        own.chain(wanted).map(|(name, value)| format!("{name} = {value}\n")).collect();
    format!("[databases]\n* = host=127.0.0.1 port={behind}\n[pgbouncer]\n{settings}")
}
