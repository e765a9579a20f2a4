//! A PHP that answers HTTP.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    Error, Result, directory,
    ports::{Ports, with_ports},
    process::Process,
    programs, until,
};

/// A start takes no longer, nor does an answer.
const LIMIT: Duration = Duration::from_secs(60);

/// How many requests a PHP that is set up as installed answers at once.
const WORKERS: u8 = 4;

/// Which settings and extensions a PHP has.
#[derive(Debug, Clone, Copy)]
enum SetUp {
    /// Those that are compiled in.
    Bare,
    /// Those of the system.
    Installed,
}

/// PHP's own web server. Dropping it kills it.
#[derive(Debug)]
pub struct Site {
    process: Process,
    port: u16,
    directory: TempDir,
    _ports: Arc<Ports>,
}

impl Site {
    /// Starts it for copies of these pages, with these settings besides the defaults, and waits until it
    /// answers. Pages have the variable `FOLDER` in their environment.
    ///
    /// It has PHP's compiled defaults instead of the system's settings, no extensions but those that are
    /// built in, and answers one request after the other.
    ///
    /// # Errors
    /// With what it has printed when it does not.
    pub async fn start(pages: &[&Path], settings: &[&str]) -> Result<Self> {
        Self::start_as(SetUp::Bare, pages, settings).await
    }

    /// The same with the system's settings and extensions, and for several requests at once.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_as_installed(pages: &[&Path], settings: &[&str]) -> Result<Self> {
        Self::start_as(SetUp::Installed, pages, settings).await
    }

    async fn start_as(set_up: SetUp, pages: &[&Path], settings: &[&str]) -> Result<Self> {
        with_ports(|ports| async move {
            let site = Self::spawn(set_up, pages, settings, ports)?;
            let up = until("answer", LIMIT, || async {
                if site.process.has_ended() {
                    return Ok(Some(false));
                }
                TcpStream::connect(site.address())?;
                Ok(Some(true))
            });
            match up.await {
                Ok(true) => Ok(site),
                Ok(false) => Err(Error::of_start("PHP ended at its start", &site.process.log())),
                Err(error) => Err(Error::of_start(&error.to_string(), &site.process.log())),
            }
        })
        .await
    }

    fn spawn(set_up: SetUp, pages: &[&Path], settings: &[&str], ports: Arc<Ports>) -> Result<Self> {
        let (directory, port) = (directory::fresh()?, ports.port(0));
        for page in pages {
            // Whoever edits a page while a test runs changes the next run.
            fs::copy(page, directory.path().join(page.file_name().unwrap_or_default()))?;
        }
        let address = format!("127.0.0.1:{port}");
        let mut arguments = vec!["-q".to_owned()];
        let mut environment = vec![("FOLDER".to_owned(), directory.path().display().to_string())];
        match set_up {
            SetUp::Bare => arguments.push("-n".to_owned()),
            SetUp::Installed => {
                environment.push(("PHP_CLI_SERVER_WORKERS".to_owned(), WORKERS.to_string()));
            }
        }
        arguments.extend(settings.iter().flat_map(|it| ["-d".to_owned(), (*it).to_owned()]));
        let folder = directory.path().display().to_string();
        arguments.extend(["-S".to_owned(), address, "-t".to_owned(), folder]);
        let php = programs::find("php")?;
        let process = Process::spawn_in(&environment, &php, &arguments, &directory)?;
        Ok(Self { process, port, directory, _ports: ports })
    }

    /// The folder that pages know, which has the pages and the log in it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Sends a request as it is, and reads the answer to its end, which is when PHP has finished with the
    /// request.
    ///
    /// # Errors
    /// When there is no answer within a minute.
    pub fn exchange(&self, request: &[u8]) -> Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address())?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(request)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}
