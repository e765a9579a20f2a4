//! Makes connections: one place for what each of them is set to.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::select_ok;
use session_core::ErrorKind;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::split,
    net::{TcpStream, UnixStream, lookup_host},
    time::{Instant, timeout_at},
};

use super::{
    Command, Value,
    fault::Fault,
    tls::Tls,
    wire::{Lost, OnEvent, Wire},
};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// Who connects, and how.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) tls: Option<Tls>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: i64,
    pub(super) name: Option<String>,
    /// For everything up to a connection that can be used.
    pub(super) timeout: Duration,
    /// How long what was sent may go without acknowledgement by the other side's kernel.
    pub(super) silence: Duration,
    /// Set when a server knows only the older protocol, which has no messages between replies.
    pub(super) old_protocol: Arc<AtomicBool>,
}

/// A command that a connection begins with.
struct Step {
    command: Command,
    /// What a refusal means if it does not say more; none where the server serves nonetheless.
    refused: Option<&'static str>,
}

impl Dialer {
    pub(super) fn has_messages(&self) -> bool {
        !self.old_protocol.load(Ordering::Relaxed)
    }

    /// Connects, in [`Self::timeout`]. `read_only`: a replica of a cluster is to answer, too.
    pub(super) async fn dial(
        &self,
        address: &Address,
        on_event: Option<OnEvent>,
        read_only: bool,
    ) -> Result<Wire, Fault> {
        let by = Instant::now() + self.timeout;
        loop {
            let connecting = timeout_at(by, self.connect(address, on_event.clone())).await;
            let wire = connecting.unwrap_or_else(|_elapsed| Err(Fault::timeout()))?;
            if self.greet(&wire, read_only, by).await? {
                return Ok(wire);
            }
            self.old_protocol.store(true, Ordering::Relaxed);
        }
    }

    async fn connect(&self, address: &Address, on_event: Option<OnEvent>) -> Result<Wire, Fault> {
        Ok(match (address, &self.tls) {
            (Address::Unix(path), _) => {
                Wire::over(UnixStream::connect(path).await?.into_split(), on_event)
            }
            (Address::Tcp(host, port), None) => {
                Wire::over(self.reach(host, *port).await?.into_split(), on_event)
            }
            (Address::Tcp(host, port), Some(tls)) => {
                let stream = self.reach(host, *port).await?;
                Wire::over(split(tls.over(stream, host).await?), on_event)
            }
        })
    }

    /// Connects to the first address of a host that answers.
    async fn reach(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let addresses = lookup_host((host, port)).await?;
        let tries: Vec<_> = addresses.map(|to| Box::pin(TcpStream::connect(to))).collect();
        if tries.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (stream, _others) = select_ok(tries).await?;
        stream.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(15))
            .with_interval(Duration::from_secs(5))
            .with_retries(3);
        let socket = SockRef::from(&stream);
        socket.set_tcp_keepalive(&keepalive)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(self.silence))?;
        Ok(stream)
    }

    /// Logs in, and says what is wanted of the connection: all in one round trip. False where the
    /// server knows only the older protocol.
    async fn greet(&self, wire: &Wire, read_only: bool, by: Instant) -> Result<bool, Fault> {
        let has_messages = self.has_messages();
        let steps = self.steps(has_messages, read_only);
        let (commands, refused): (Vec<_>, Vec<_>) =
            steps.into_iter().map(|step| (step.command, step.refused)).unzip();
        let replies = wire.ask(&commands, by).await.map_err(Lost::into_fault)?;
        if let (true, Some(Value::Error(error))) = (has_messages, replies.first())
            && error.is_about_the_protocol()
        {
            return Ok(false);
        }
        for (reply, refused) in replies.iter().zip(refused) {
            if let (Value::Error(error), Some(meaning)) = (reply, refused) {
                return Err(Fault::from(error).or(ErrorKind::Config, meaning));
            }
        }
        Ok(true)
    }

    fn steps(&self, has_messages: bool, read_only: bool) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut step = |refused, name, arguments: &[&[u8]]| {
            steps.push(Step { command: Command::new(name, arguments), refused });
        };
        let login = Some("user or password are wrong");
        let user = self.user.as_ref().map(String::as_bytes);
        let password = self.password.as_ref().map(String::as_bytes);
        match (has_messages, user, password) {
            (true, _, None) => step(login, "HELLO", &[b"3"]),
            (true, user, Some(password)) => {
                step(login, "HELLO", &[b"3", b"AUTH", user.unwrap_or(b"default"), password]);
            }
            // Servers that know no users know the password of this one.
            (false, None | Some(b"default"), Some(password)) => step(login, "AUTH", &[password]),
            (false, Some(user), Some(password)) => step(login, "AUTH", &[user, password]),
            (false, _, None) => step(None, "PING", &[]),
        }
        if self.database != 0 {
            let number = self.database.to_string();
            step(Some("the server has no such database"), "SELECT", &[number.as_bytes()]);
        }
        if let Some(name) = &self.name {
            step(None, "CLIENT", &[b"SETNAME", name.as_bytes()]);
        }
        if read_only {
            step(None, "READONLY", &[]);
        }
        steps
    }
}
