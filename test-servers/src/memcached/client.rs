//! A connection on which the tests themselves speak to a server.

use std::time::Duration;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::{Error, Result};

/// No reply takes longer.
const LIMIT: Duration = Duration::from_secs(30);
/// How soon a server that is busy is asked again.
const AGAIN: Duration = Duration::from_millis(10);

/// A plain connection to a server.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects, and logs in with `user password` if there is one.
    ///
    /// # Errors
    /// When that fails.
    pub async fn connect(address: &str, login: Option<&str>) -> Result<Self> {
        let stream = timeout(LIMIT, TcpStream::connect(address)).await;
        let stream = stream.map_err(|_elapsed| Error::new("no connection"))??;
        let mut client = Self { stream: BufReader::new(stream) };
        if let Some(login) = login {
            let reply = client.line(&format!("set a 0 0 {}\r\n{login}\r\n", login.len())).await?;
            if reply != "STORED" {
                return Err(Error::new(reply));
            }
        }
        Ok(client)
    }

    /// Sends a command, whose reply is one line.
    ///
    /// # Errors
    /// When there is no reply.
    pub async fn line(&mut self, command: &str) -> Result<String> {
        self.send(command.as_bytes()).await?;
        self.next_line().await
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// The next line that comes.
    ///
    /// # Errors
    /// When none comes.
    pub async fn next_line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        let read = timeout(LIMIT, self.stream.read_until(b'\n', &mut line)).await;
        if read.map_err(|_elapsed| Error::new("no reply"))?? == 0 {
            return Err(Error::new("the connection was closed"));
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Sends a command, whose reply ends with the line `END`, and returns the lines before.
    ///
    /// # Errors
    /// When there is no reply, or an error.
    pub async fn lines(&mut self, command: &str) -> Result<Vec<String>> {
        self.send(command.as_bytes()).await?;
        let mut lines = Vec::new();
        loop {
            match self.next_line().await?.as_str() {
                "END" => return Ok(lines),
                error if error.contains("ERROR") || error.starts_with("BUSY") => {
                    return Err(Error::new(error));
                }
                line => lines.push(line.to_owned()),
            }
        }
    }

    /// The value of an item, and its number.
    ///
    /// # Errors
    /// When there is no reply.
    pub async fn item(&mut self, key: &str) -> Result<Option<(Vec<u8>, u64)>> {
        let header = self.line(&format!("gets {key}\r\n")).await?;
        if header == "END" {
            return Ok(None);
        }
        let mut words = header.split(' ').skip(3).map(str::parse::<u64>);
        let (Some(Ok(length)), Some(Ok(number))) = (words.next(), words.next()) else {
            return Err(Error::new(header));
        };
        let length = usize::try_from(length).map_err(|error| Error::new(error.to_string()))?;
        let mut value = vec![0; length + 2];
        self.stream.read_exact(&mut value).await?;
        value.truncate(length);
        self.next_line().await?;
        Ok(Some((value, number)))
    }

    /// The keys of all items.
    ///
    /// # Errors
    /// When the server does not tell.
    pub async fn keys(&mut self) -> Result<Vec<String>> {
        let deadline = Instant::now() + LIMIT;
        let lines = loop {
            // The server tells one after the other.
            match self.lines("lru_crawler metadump all\r\n").await {
                Ok(lines) => break lines,
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_busy) => sleep(AGAIN).await,
            }
        };
        let key = |line: &String| Some(line.split(' ').next()?.strip_prefix("key=")?.to_owned());
        Ok(lines.iter().filter_map(key).collect())
    }
}
