//! One server, and what can be done to it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    Error, Result, certificates,
    certificates::Certificates,
    directory,
    ports::{Ports, with_ports},
    process::Process,
    redis::{
        Options, Traffic, User,
        cli::{ADMIN, Cli},
        stats,
    },
    until,
};

/// A start, with data to load, takes no longer.
const START: Duration = Duration::from_secs(60);

/// A server that can be killed and started again on its port and its data.
///
/// Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Server {
    process: Mutex<Option<Process>>,
    paused: AtomicBool,
    program: PathBuf,
    arguments: Vec<String>,
    cli: Cli,
    port: u16,
    user: Option<User>,
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
            let server = Self::prepare(options, &ports, 0)?;
            server.start_again().await?;
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

    /// A server that is not started yet, on a port of the block.
    pub(crate) fn prepare(options: &Options, ports: &Arc<Ports>, index: u16) -> Result<Self> {
        let directory = directory::fresh()?;
        let certificates = options.tls.then(|| Certificates::make(directory.path())).transpose()?;
        let port = ports.port(index);
        let mut arguments = listen(port, certificates.as_ref());
        arguments.extend(options.server_arguments());
        if let Some(user) = &options.user {
            fs::write(directory.path().join("users.acl"), acl(user))?;
            arguments.extend(["--aclfile".to_owned(), "users.acl".to_owned()]);
        }
        let cli = Cli {
            program: options.flavor.cli()?,
            socket: directory.path().join(SOCKET),
            password: options.user.as_ref().map(|_| ADMIN_PASSWORD.to_owned()),
        };
        Ok(Self {
            process: Mutex::default(),
            paused: AtomicBool::new(false),
            program: options.flavor.server()?,
            arguments,
            cli,
            port,
            user: options.user.clone(),
            certificates,
            directory,
            _ports: Arc::clone(ports),
        })
    }

    pub(crate) fn argument(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([format!("--{name}"), value.to_owned()]);
        self
    }

    /// With a configuration file, which the server may write, instead of arguments.
    pub(crate) fn configured(mut self, text: &str, argument: &str) -> Result<Self> {
        const FILE: &str = "server.conf";
        let common = format!("port {}\nbind 127.0.0.1\nunixsocket {SOCKET}\n", self.port);
        fs::write(self.directory.path().join(FILE), common + text)?;
        self.arguments = vec![FILE.to_owned(), argument.to_owned()];
        Ok(self)
    }

    /// Starts it after [`Server::kill`], on the same port and data, and waits until it answers.
    ///
    /// # Errors
    /// With the server's log when it does not.
    pub async fn start_again(&self) -> Result<()> {
        self.spawn()?;
        self.wait_until_it_answers().await
    }

    pub(crate) fn spawn(&self) -> Result<()> {
        let process = Process::spawn(&self.program, &self.arguments, &self.directory)?;
        *self.process() = Some(process);
        self.paused.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) async fn wait_until_it_answers(&self) -> Result<()> {
        let answers = until("answer", START, || async {
            if self.has_ended() {
                return Ok(Some(false));
            }
            Ok((self.command(&["PING"]).await? == "PONG").then_some(true))
        });
        match answers.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::of_start("the server ended at its start", &self.log())),
            Err(error) => Err(Error::of_start(&error.to_string(), &self.log())),
        }
    }

    fn has_ended(&self) -> bool {
        self.process().as_ref().is_none_or(Process::has_ended)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// As in `rediss://user:password@127.0.0.1:10017`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.certificates.is_some() { "rediss" } else { "redis" };
        let user = self.user.as_ref().map(|user| format!("{}:{}@", user.name, user.password));
        format!("{scheme}://{}{}", user.unwrap_or_default(), self.address())
    }

    /// Over its Unix socket, as a user who may do everything: `redis+unix:///tmp/x/socket`.
    #[must_use]
    pub fn administrator_url(&self) -> String {
        let rights = |password| format!("?user={ADMIN}&pass={password}");
        let password = self.cli.password.as_ref().map(rights);
        format!("redis+unix://{}{}", self.cli.socket.display(), password.unwrap_or_default())
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.cli.socket
    }

    /// Who may log in, where not everybody may.
    #[must_use]
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// The files of its TLS, where it has any.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// What it has logged, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        let log = fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The id of its process while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<i32> {
        self.process().as_ref().filter(|process| !process.has_ended()).map(Process::id)
    }

    /// Whether it runs and is not stopped.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.paused.load(Ordering::Relaxed) && !self.has_ended()
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
        self.running(Process::pause)?;
        self.paused.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// `SIGCONT`, after [`Server::stop`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.running(Process::resume)?;
        self.paused.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn running(&self, act: impl FnOnce(&Process) -> Result<()>) -> Result<()> {
        act(self.process().as_ref().ok_or_else(|| Error::new("the server does not run"))?)
    }

    /// Sends a command as somebody who may do everything, and returns the reply as `redis-cli`
    /// prints it to a program.
    ///
    /// # Errors
    /// With the error that the server replies, and when it does not reply within seconds.
    pub async fn command(&self, command: &[&str]) -> Result<String> {
        self.cli.run(command).await
    }

    pub(crate) fn cli(&self) -> &Cli {
        &self.cli
    }

    /// `CONFIG SET`.
    ///
    /// # Errors
    /// As [`Server::command`].
    pub async fn configure(&self, name: &str, value: &str) -> Result<()> {
        self.command(&["CONFIG", "SET", name, value]).await.map(drop)
    }

    /// `SCRIPT FLUSH`.
    ///
    /// # Errors
    /// As [`Server::command`].
    pub async fn forget_scripts(&self) -> Result<()> {
        self.command(&["SCRIPT", "FLUSH", "SYNC"]).await.map(drop)
    }

    /// Closes the connections of all clients, subscribers included, and says how many there were.
    ///
    /// # Errors
    /// As [`Server::command`].
    pub async fn kill_clients(&self) -> Result<u64> {
        let mut killed = 0;
        for kind in ["normal", "pubsub"] {
            let reply = self.command(&["CLIENT", "KILL", "TYPE", kind]).await?;
            killed += reply.parse::<u64>().map_err(|_error| Error::new(reply))?;
        }
        Ok(killed)
    }

    /// Everything that `INFO` tells.
    ///
    /// # Errors
    /// As [`Server::command`].
    pub async fn info(&self) -> Result<BTreeMap<String, String>> {
        Ok(stats::parse_info(&self.command(&["INFO", "everything"]).await?))
    }

    /// Waits until so many replicas have acknowledged everything that it has now.
    ///
    /// # Errors
    /// When that is not so within `limit`.
    pub async fn wait_for_replicas(&self, count: usize, limit: Duration) -> Result<()> {
        let wanted = stats::replication_offset(&self.info().await?);
        until("acknowledgement of replicas", limit, || async {
            let info = self.info().await?;
            let replicas = stats::replica_offsets(&info).filter(|offset| *offset >= wanted);
            Ok((replicas.count() >= count).then_some(()))
        })
        .await
    }

    /// What it has counted; [`Traffic::since`] tells what a client caused in between.
    ///
    /// # Errors
    /// As [`Server::command`].
    pub async fn traffic(&self) -> Result<Traffic> {
        let before = Traffic::of(&self.info().await?);
        Ok(Traffic::of(&self.info().await?).after_look(&before))
    }
}

const SOCKET: &str = "socket";
const ADMIN_PASSWORD: &str = "of-the-tests";

fn listen(port: u16, certificates: Option<&Certificates>) -> Vec<String> {
    let port = port.to_string();
    let ports = match certificates {
        Some(_) => ["--port", "0", "--tls-port", &port].map(str::to_owned).to_vec(),
        None => ["--port", &port].map(str::to_owned).to_vec(),
    };
    let places = ["--bind", "127.0.0.1", "--unixsocket", SOCKET].map(str::to_owned);
    let tls = certificates.map(tls).unwrap_or_default();
    ports.into_iter().chain(places).chain(tls).collect()
}

fn tls(certificates: &Certificates) -> Vec<String> {
    let files = [
        ("--tls-ca-cert-file", &certificates.authority),
        ("--tls-cert-file", &certificates.certificate),
        ("--tls-key-file", &certificates.key),
    ];
    let files = files
        .into_iter()
        .flat_map(|(name, file)| [name.to_owned(), file.to_string_lossy().into_owned()]);
    files.chain(["--tls-auth-clients".to_owned(), "no".to_owned()]).collect()
}

fn acl(user: &User) -> String {
    let User { name, password, rules } = user;
    format!(
        "user default off\nuser {ADMIN} on >{ADMIN_PASSWORD} ~* &* +@all\nuser {name} on >{password} {rules}\n"
    )
}
