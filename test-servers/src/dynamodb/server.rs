//! The server.

use std::{env, sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::OnceCell,
};

use crate::{
    Error, Result, directory,
    dynamodb::http::Message,
    ports::{Ports, with_ports},
    process::Process,
    programs, until,
};

/// A start takes no longer, on a busy machine either.
const START: Duration = Duration::from_secs(120);
/// Where the folder with another program than the one that was fetched is named.
const VARIABLE: &str = "SESSION_DYNAMODB_BIN";
const PROGRAM: &str = "dynamodb-local";
/// What `cargo xtask setup` calls the folder.
const FOLDER: &str = "dynamodb";

/// Where another implementation listens, like `127.0.0.1:8000`, that is used in place of ours.
const OTHER: &str = "SESSION_DYNAMODB_ADDRESS";

static SHARED: OnceCell<Server> = OnceCell::const_new();

/// A server. Dropping it kills it, unless it is another one than ours.
#[derive(Debug)]
pub struct Server {
    address: String,
    own: Option<Own>,
}

/// A server of ours.
#[derive(Debug)]
struct Own {
    process: Process,
    _directory: TempDir,
    _ports: Arc<Ports>,
}

impl Server {
    /// The server that all tests of the process share, each with tables of its own. It goes with
    /// the process.
    ///
    /// # Errors
    /// With the server's log when it does not answer.
    pub async fn shared() -> Result<&'static Self> {
        SHARED.get_or_try_init(Self::start).await
    }

    /// Starts a server and waits until it answers; or takes the one at `SESSION_DYNAMODB_ADDRESS`.
    ///
    /// # Errors
    /// With the server's log when it does not.
    pub async fn start() -> Result<Self> {
        if let Ok(address) = env::var(OTHER) {
            let server = Self { address, own: None };
            server.until_ready().await?;
            return Ok(server);
        }
        with_ports(|ports| async move {
            let server = Self::launch(ports)?;
            server.until_ready().await?;
            Ok(server)
        })
        .await
    }

    /// Why no server can be started here, if none can.
    #[must_use]
    pub fn missing() -> Option<String> {
        if env::var(OTHER).is_ok() {
            return None;
        }
        let program = programs::find_or(VARIABLE, PROGRAM, |name| programs::fetched(FOLDER, name));
        program.and_then(|_| programs::find("java")).err().map(|error| error.to_string())
    }

    /// Its version, such as `3.3.1`.
    ///
    /// # Errors
    /// When it is missing.
    pub fn version() -> Result<String> {
        if let Ok(address) = env::var(OTHER) {
            return Ok(format!("(another implementation at {address})"));
        }
        let program = programs::find_or(VARIABLE, PROGRAM, |name| programs::fetched(FOLDER, name));
        Ok(programs::version(&program?)?.trim().to_owned())
    }

    fn launch(ports: Arc<Ports>) -> Result<Self> {
        let program = programs::find_or(VARIABLE, PROGRAM, |name| programs::fetched(FOLDER, name))?;
        let (directory, port) = (directory::fresh()?, ports.port(0));
        let number = port.to_string();
        // It would tell Amazon about its use.
        let arguments = ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", &number];
        let process = Process::spawn(&program, &arguments, &directory)?;
        let own = Own { process, _directory: directory, _ports: ports };
        Ok(Self { address: format!("127.0.0.1:{port}"), own: Some(own) })
    }

    async fn until_ready(&self) -> Result<()> {
        let answers = until("answer", START, || async {
            if self.own.as_ref().is_some_and(|own| own.process.has_ended()) {
                return Ok(Some(false));
            }
            Ok(self.greet().await?.then_some(true))
        });
        match answers.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::of_start("the server ended at its start", &self.log())),
            Err(error) => Err(Error::of_start(&error.to_string(), &self.log())),
        }
    }

    /// Whether it answers, if only that it was not asked for anything.
    async fn greet(&self) -> Result<bool> {
        let mut stream = TcpStream::connect(self.address()).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        Ok(&answer == b"HTTP/")
    }

    /// Makes a table whose key is the string `id`.
    ///
    /// # Errors
    /// When the server does not.
    pub async fn create_table(&self, name: &str) -> Result<()> {
        let body = format!(
            r#"{{"TableName":"{name}","BillingMode":"PAY_PER_REQUEST","KeySchema":[{{"AttributeName":"id","KeyType":"HASH"}}],"AttributeDefinitions":[{{"AttributeName":"id","AttributeType":"S"}}]}}"#
        );
        // It checks no signature, and keeps the same tables for everybody.
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: DynamoDB_20120810.CreateTable\r\n\
             Content-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=local/20260101/eu-central-1/dynamodb/aws4_request, \
             SignedHeaders=host, Signature=0\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address()).await?;
        stream.write_all(request.as_bytes()).await?;
        let answer = Message::read(&mut stream, &mut Vec::new()).await?;
        let answer = answer.ok_or_else(|| Error::new("no answer"))?;
        if answer.is_success() { Ok(()) } else { Err(Error::new(answer.body())) }
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.own.as_ref().map(|own| own.process.log()).unwrap_or_default()
    }

    /// As in `127.0.0.1:10017`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// As in `http://127.0.0.1:10017`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}
