//! A proxy that understands requests, remembers them, and decides on each.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use crate::{Result, dynamodb::http::Message};

/// What DynamoDB was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// As in `UpdateItem`.
    pub operation: String,
    /// The name of the table.
    pub table: String,
    /// The request as JSON; of a long one the beginning.
    pub body: String,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is answered by the server.
    Pass,
    /// The server does not get it: it is answered with this status and this error.
    Fail(u16, &'static str),
    /// The server executes it, and it is answered with this status and this error.
    FailAfter(u16, &'static str),
    /// The server gets it after the next [`Front::let_go`].
    Hold,
    /// The server does not get it, and the connection is cut.
    Cut,
    /// The server executes it, and the connection is cut in place of the answer.
    LoseAnswer,
    /// The server executes it, and there is no answer for so long.
    HoldAnswer(Duration),
    /// The server executes it, and all of the answer comes but its end, for so long.
    HoldEnd(Duration),
}

/// How much of a request is remembered.
const REMEMBERED: usize = 4_096;

type Rule = Arc<dyn Fn(&Request) -> Fate + Send + Sync>;

/// A proxy in front of a server. It runs in the runtime that it was started in, and ends when it is
/// dropped.
#[derive(Debug)]
pub struct Front {
    address: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    target: String,
    rule: Mutex<Rule>,
    sent: Mutex<Vec<Request>>,
    gate: watch::Sender<u64>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Front {
    /// A proxy in front of the server at `target`, such as `127.0.0.1:10017`, which passes
    /// everything.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn start(target: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            rule: Mutex::new(Arc::new(|_| Fate::Pass)),
            sent: Mutex::default(),
            gate: watch::Sender::new(0),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// As in `http://127.0.0.1:10017`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Decides on every request from now on.
    pub fn rule(&self, rule: impl Fn(&Request) -> Fate + Send + Sync + 'static) {
        *lock(&self.shared.rule) = Arc::new(rule);
    }

    /// Passes everything again.
    pub fn pass(&self) {
        self.rule(|_| Fate::Pass);
    }

    /// Lets the requests that are held go on.
    pub fn let_go(&self) {
        self.shared.gate.send_modify(|times| *times += 1);
    }

    /// The requests since the start, or since the last [`Front::forget`].
    #[must_use]
    pub fn sent(&self) -> Vec<Request> {
        lock(&self.shared.sent).clone()
    }

    /// How many of those requests are such.
    pub fn count(&self, which: impl Fn(&Request) -> bool) -> usize {
        lock(&self.shared.sent).iter().filter(|request| which(request)).count()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        lock(&self.shared.sent).clear();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut lines = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                let shared = Arc::clone(&shared);
                // Whoever breaks off ends the connection, no more.
                lines.spawn(async move { drop(shared.attend(client).await) });
            }
            Some(_) = lines.join_next(), if !lines.is_empty() => {}
        }
    }
}

impl Shared {
    /// Serves one connection until it ends or is to be cut.
    async fn attend(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut server = TcpStream::connect(&self.target).await?;
        server.set_nodelay(true)?;
        let (mut requests, mut answers) = (Vec::new(), Vec::new());
        while let Some(message) = Message::read(&mut client, &mut requests).await? {
            let mut gate = self.gate.subscribe();
            let fate = self.judge(&message);
            if let Fate::Fail(status, code) = fate {
                client.write_all(&failure(status, code)).await?;
                continue;
            }
            if fate == Fate::Cut {
                return Ok(());
            }
            if fate == Fate::Hold {
                gate.changed().await.map_err(io::Error::other)?;
            }
            server.write_all(message.bytes()).await?;
            let Some(answer) = Message::read(&mut server, &mut answers).await? else {
                return Ok(());
            };
            match fate {
                Fate::LoseAnswer => return Ok(()),
                Fate::HoldEnd(time) => {
                    let all = answer.bytes();
                    let (begin, end) = all.split_at(all.len() - all.len().min(4));
                    client.write_all(begin).await?;
                    sleep(time).await;
                    client.write_all(end).await?;
                }
                Fate::FailAfter(status, code) => client.write_all(&failure(status, code)).await?,
                Fate::HoldAnswer(time) => {
                    sleep(time).await;
                    client.write_all(answer.bytes()).await?;
                }
                _ => client.write_all(answer.bytes()).await?,
            }
        }
        Ok(())
    }

    fn judge(&self, message: &Message) -> Fate {
        let target = message.header("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = message.body();
        let table = text_of("TableName", &body).unwrap_or_default();
        let body = body.chars().take(REMEMBERED).collect();
        let request = Request { operation, table, body };
        let rule = Arc::clone(&*lock(&self.rule));
        let fate = rule(&request);
        lock(&self.sent).push(request);
        fate
    }
}

/// The text behind a name in JSON without escapes.
fn text_of(name: &str, json: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(text, _)| text.to_owned())
}

fn failure(status: u16, code: &str) -> Vec<u8> {
    let body =
        format!("{{\"__type\":\"com.amazonaws.dynamodb.v20120810#{code}\",\"message\":\"\"}}");
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Status\r\nContent-Type: application/x-amz-json-1.0\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
