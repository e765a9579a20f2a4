//! One server, and what can be done to it.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    Error, Result,
    certificates::{self, Certificates},
    directory,
    memcached::{Client, Options},
    ports::{Ports, with_ports},
    process::Process,
    programs, until,
};

/// A start takes no longer.
const START: Duration = Duration::from_secs(60);
/// Where the folder with another program than that on the path is named.
const VARIABLE: &str = "SESSION_MEMCACHED_BIN";
const PROGRAM: &str = "memcached";

/// A server that can be killed and started again on its port. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    process: Mutex<Option<Process>>,
    program: PathBuf,
    arguments: Vec<String>,
    port: u16,
    /// A port that is always plain, for the tests themselves.
    plain: u16,
    login: Option<(String, String)>,
    certificates: Option<Certificates>,
    directory: TempDir,
    _ports: Arc<Ports>,
}

impl Server {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// With the server's log when it does not.
    pub async fn start(options: &Options) -> Result<Self> {
        with_ports(|ports| async move {
            let server = Self::prepare(options, ports)?;
            server.start_again().await?;
            Ok(server)
        })
        .await
    }

    /// Why no server with these options can be started here, if none can.
    #[must_use]
    pub fn missing(options: &Options) -> Option<String> {
        let found = programs::find_at(VARIABLE, PROGRAM);
        let tls = || options.tls.then(certificates::missing).flatten();
        found.err().map(|error| error.to_string()).or_else(tls)
    }

    /// The server's version, such as `1.6.18`.
    ///
    /// # Errors
    /// When it is missing.
    pub fn version() -> Result<String> {
        let text = programs::version(&programs::find_at(VARIABLE, PROGRAM)?)?;
        let version = text.split_whitespace().nth(1);
        version.map(str::to_owned).ok_or_else(|| Error::new(format!("no version in {text:?}")))
    }

    fn prepare(options: &Options, ports: Arc<Ports>) -> Result<Self> {
        let directory = directory::fresh()?;
        let certificates = options.tls.then(|| Certificates::make(directory.path())).transpose()?;
        let (port, plain) = (ports.port(0), ports.port(1));
        let mut arguments: Vec<String> = ["-t", "1", "-U", "0", "-l"].map(str::to_owned).to_vec();
        match &certificates {
            Some(files) => {
                arguments.push(format!("127.0.0.1:{port},notls:127.0.0.1:{plain}"));
                let files = [("ssl_chain_cert", &files.certificate), ("ssl_key", &files.key)];
                let files = files.map(|(name, file)| format!("{name}={}", file.display()));
                arguments.extend(["-Z".to_owned(), "-o".to_owned(), files.join(",")]);
            }
            None => arguments.push(format!("127.0.0.1:{port},127.0.0.1:{plain}")),
        }
        // It does not run as root without being told so.
        if nix::unistd::Uid::effective().is_root() {
            arguments.extend(["-u", "root"].map(str::to_owned));
        }
        if let Some((user, password)) = &options.login {
            fs::write(directory.path().join("users"), format!("{user}:{password}\n"))?;
            arguments.extend(["-Y", "users"].map(str::to_owned));
        }
        arguments.extend(options.arguments.iter().cloned());
        Ok(Self {
            process: Mutex::default(),
            program: programs::find_at(VARIABLE, PROGRAM)?,
            arguments,
            port,
            plain,
            login: options.login.clone(),
            certificates,
            directory,
            _ports: ports,
        })
    }

    /// Starts it after [`Server::kill`], on the same port and empty, and waits until it answers.
    ///
    /// # Errors
    /// With the server's log when it does not.
    pub async fn start_again(&self) -> Result<()> {
        let process = Process::spawn(&self.program, &self.arguments, &self.directory)?;
        *self.process() = Some(process);
        let answers = until("answer", START, || async {
            if self.process().as_ref().is_none_or(Process::has_ended) {
                return Ok(Some(false));
            }
            Ok(self.command("version\r\n").await?.starts_with("VERSION").then_some(true))
        });
        match answers.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::of_start("the server ended at its start", &self.log())),
            Err(error) => Err(Error::of_start(&error.to_string(), &self.log())),
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it has logged, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        let log = fs::read(self.directory.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        // The words that the ports go by.
        log.replace("failed to listen on TCP port", "Address already in use: TCP port")
    }

    /// Its TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// As in `127.0.0.1:10017`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// As in `memcacheds://user:password@127.0.0.1:10017`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.certificates.is_some() { "memcacheds" } else { "memcached" };
        let login = self.login.as_ref().map(|(user, password)| format!("{user}:{password}@"));
        format!("{scheme}://{}{}", login.unwrap_or_default(), self.address())
    }

    /// The files of its TLS, where it has any.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// `kill -9`, and waits for its end.
    pub fn kill(&self) {
        self.process().take();
    }

    /// `SIGSTOP`: connections stay open, and nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn stop(&self) -> Result<()> {
        self.running(Process::pause)
    }

    /// `SIGCONT`, after [`Server::stop`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.running(Process::resume)
    }

    fn running(&self, act: impl FnOnce(&Process) -> Result<()>) -> Result<()> {
        act(self.process().as_ref().ok_or_else(|| Error::new("the server does not run"))?)
    }

    /// A connection for the tests themselves: plain, and logged in.
    ///
    /// # Errors
    /// When there is none.
    pub async fn client(&self) -> Result<Client> {
        let login = self.login.as_ref().map(|(user, password)| format!("{user} {password}"));
        Client::connect(&format!("127.0.0.1:{}", self.plain), login.as_deref()).await
    }

    /// Sends a command, whose reply is one line.
    ///
    /// # Errors
    /// When there is no reply.
    pub async fn command(&self, command: &str) -> Result<String> {
        self.client().await?.line(command).await
    }

    /// `flush_all`: every item is gone.
    ///
    /// # Errors
    /// When the server does not do it.
    pub async fn flush(&self) -> Result<()> {
        match self.command("flush_all\r\n").await?.as_str() {
            "OK" => Ok(()),
            other => Err(Error::new(other)),
        }
    }

    /// One of the server's statistics.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn statistic(&self, name: &str) -> Result<u64> {
        let lines = self.client().await?.lines("stats\r\n").await?;
        let value = lines.iter().find_map(|line| line.strip_prefix(&format!("STAT {name} ")));
        value
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| Error::new(format!("no statistic {name}")))
    }
}
