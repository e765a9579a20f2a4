//! One server, and what can be done to it from outside.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{
    Error, Result, certificates,
    ports::{Ports, with_ports},
    process::Process,
    sql::{
        ADMINISTRATOR, ADMINISTRATOR_PASSWORD, APPLICATION, APPLICATION_PASSWORD, Certificates,
        Flavor, Options, client::Client, data, mysql, postgres,
    },
    until,
};

/// A start, with recovery, takes no longer; nor does an orderly end.
const LIMIT: Duration = Duration::from_secs(60);

/// A server that can be killed and started again on its port and its data.
///
/// Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Server {
    process: Mutex<Option<Process>>,
    paused: AtomicBool,
    numbers: AtomicU32,
    program: PathBuf,
    arguments: Vec<String>,
    client: Client,
    certificates: Option<Certificates>,
    directory: TempDir,
    _ports: Arc<Ports>,
}

impl Server {
    /// Starts a server with an empty database, and waits until it answers.
    ///
    /// # Errors
    /// With the server's log when it does not.
    pub async fn start(options: &Options) -> Result<Self> {
        with_ports(|ports| async move {
            let server = Self::prepare(options, ports).await?;
            server.spawn()?;
            server.wait_until_it_answers().await?;
            server.client.run(server.client.home(), &server.bootstrap()).await?;
            server.greet().await?;
            Ok(server)
        })
        .await
    }

    /// Why no server with these options can be started here, if none can.
    #[must_use]
    pub fn missing(options: &Options) -> Option<String> {
        let tls = || options.tls.then(certificates::missing).flatten();
        options.flavor.missing().or_else(tls)
    }

    async fn prepare(options: &Options, ports: Arc<Ports>) -> Result<Self> {
        let flavor = options.flavor;
        let directory = data::directory(flavor).await?;
        let place = directory.path();
        let certificates = options.tls.then(|| Certificates::make(place)).transpose()?;
        let port = ports.port(0);
        let arguments = arguments(options, place, port, certificates.as_ref())?;
        for file in fs::read_dir(place)?.flatten().filter(|file| file.path().is_file()) {
            data::hand_over(flavor, &file.path())?;
        }
        let (program, arguments) = data::command(flavor, flavor.server()?, arguments)?;
        let client =
            Client { flavor, program: flavor.client()?, directory: place.to_owned(), port };
        Ok(Self {
            process: Mutex::default(),
            paused: AtomicBool::new(false),
            numbers: AtomicU32::new(1),
            program,
            arguments,
            client,
            certificates,
            directory,
            _ports: ports,
        })
    }

    fn bootstrap(&self) -> String {
        if self.flavor().is_mysql() { mysql::bootstrap() } else { postgres::bootstrap() }
    }

    fn spawn(&self) -> Result<()> {
        let process = Process::spawn_with(
            &self.program,
            &self.arguments,
            &self.directory,
            self.farewell().unwrap_or_default(),
        )?;
        *self.process() = Some(process);
        self.paused.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn farewell(&self) -> Option<&'static str> {
        (self.flavor() == Flavor::Postgres).then_some(postgres::FAREWELL)
    }

    async fn wait_until_it_answers(&self) -> Result<()> {
        let answers = until("answer", LIMIT, || async {
            if self.has_ended() {
                return Ok(Some(false));
            }
            self.client.run(self.client.home(), "SELECT 1").await.map(|_one| Some(true))
        });
        match answers.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::of_start("the server ended at its start", &self.log())),
            Err(error) => Err(Error::of_start(&error.to_string(), &self.log())),
        }
    }

    async fn greet(&self) -> Result<()> {
        if self.flavor() == Flavor::MySql { self.client.greet().await } else { Ok(()) }
    }

    fn has_ended(&self) -> bool {
        self.process().as_ref().is_none_or(Process::has_ended)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose it is.
    #[must_use]
    pub fn flavor(&self) -> Flavor {
        self.client.flavor
    }

    /// Its TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.client.port
    }

    /// As in `127.0.0.1:10017`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// As in `mysql://app:secret@127.0.0.1:10017/app` or `postgres://..`: the first database, by a
    /// user who has all rights in it and none elsewhere.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(APPLICATION)
    }

    /// Another database of the same user.
    pub(crate) fn url_of(&self, database: &str) -> String {
        self.url_by(APPLICATION, APPLICATION_PASSWORD, database)
    }

    /// The first database, by a user who may do everything.
    #[must_use]
    pub fn administrator_url(&self) -> String {
        self.url_by(ADMINISTRATOR, ADMINISTRATOR_PASSWORD, APPLICATION)
    }

    fn url_by(&self, user: &str, password: &str, database: &str) -> String {
        let scheme = if self.flavor().is_mysql() { "mysql" } else { "postgres" };
        format!("{scheme}://{user}:{password}@{}/{database}", self.address())
    }

    /// The files of its TLS, where it has any.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
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

    /// Whether it runs and is not paused.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.paused.load(Ordering::Relaxed) && !self.has_ended()
    }

    /// `kill -9` of all its processes, and waits for their end.
    pub fn kill(&self) {
        self.process().take();
    }

    /// Ends it in order, with what is open rolled back and all connections closed.
    ///
    /// # Errors
    /// When it does not run, or does not end.
    pub async fn stop(&self) -> Result<()> {
        self.resume()?;
        let polite = if self.flavor().is_mysql() { Signal::SIGTERM } else { Signal::SIGINT };
        self.with_process(|process| process.signal(polite))?;
        let ended = || async { Ok(self.has_ended().then_some(())) };
        until("end", LIMIT, ended).await?;
        self.kill();
        Ok(())
    }

    /// Starts it again on the same port and data, after [`Server::stop`] if it still runs, and
    /// waits until it answers.
    ///
    /// # Errors
    /// With the server's log when it does not.
    pub async fn restart(&self) -> Result<()> {
        if !self.has_ended() {
            self.stop().await?;
        }
        self.kill();
        self.spawn()?;
        self.wait_until_it_answers().await?;
        self.greet().await
    }

    /// `SIGSTOP` to all its processes: connections stay open, and nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.with_process(Process::pause)?;
        self.paused.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// `SIGCONT`, after [`Server::pause`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.with_process(Process::resume)?;
        self.paused.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn with_process(&self, act: impl FnOnce(&Process) -> Result<()>) -> Result<()> {
        self.process().as_ref().map_or_else(|| Err(Error::new("the server does not run")), act)
    }

    /// Another one each time.
    pub(crate) fn next_number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if let Some(script) = self.farewell() {
            let said =
                Command::new("sh").args(["-c", script]).current_dir(self.directory()).status();
            drop(said);
        }
    }
}

fn arguments(
    options: &Options,
    directory: &Path,
    port: u16,
    certificates: Option<&Certificates>,
) -> Result<Vec<String>> {
    let wanted = options.arguments.iter();
    if options.flavor.is_mysql() {
        let own = mysql::serve(options, directory, port, certificates);
        return Ok(own.into_iter().chain(wanted.map(mysql::argument)).collect());
    }
    let own = postgres::serve(options, directory, port, certificates)?;
    Ok(own.into_iter().chain(wanted.flat_map(postgres::argument)).collect())
}
