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
use redis::{
    AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError,
    io::tcp::socket2::{SockRef, TcpKeepalive},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream, lookup_host},
};

use super::{tls::Tls, wire::Wire};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// How many requests wait to be written at most, before callers wait for a place.
const LINE: usize = 1024;
/// How many bytes wait to be written at most, before they are.
const WRITE_BYTES: usize = 64 * 1024;

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

/// What is told of a connection between replies. Must not block.
pub(super) type OnPush = Arc<dyn Fn(PushInfo) + Send + Sync>;

impl Dialer {
    pub(super) fn has_messages(&self) -> bool {
        !self.old_protocol.load(Ordering::Relaxed)
    }

    /// Connects, in [`Self::timeout`]. `read_only`: a replica of a cluster is to answer, too.
    pub(super) async fn dial(
        &self,
        address: &Address,
        on_push: OnPush,
        read_only: bool,
    ) -> Result<Wire, RedisError> {
        let dialing = self.dial_untimed(address, on_push, read_only);
        let dialed = tokio::time::timeout(self.timeout, dialing).await;
        dialed.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    async fn dial_untimed(
        &self,
        address: &Address,
        on_push: OnPush,
        read_only: bool,
    ) -> Result<Wire, RedisError> {
        let wire = match self.connect(address, on_push.clone()).await {
            Err(error) if self.has_messages() && knows_only_the_old_protocol(&error) => {
                self.old_protocol.store(true, Ordering::Relaxed);
                self.connect(address, on_push).await?
            }
            wire => wire?,
        };
        let mut after = redis::pipe();
        if let Some(name) = &self.name {
            after.cmd("CLIENT").arg("SETNAME").arg(name);
        }
        if read_only {
            after.cmd("READONLY");
        }
        if !after.is_empty() {
            // A server that refuses one of them serves nonetheless.
            wire.send_all(&after).await?;
        }
        Ok(wire)
    }

    async fn connect(&self, address: &Address, on_push: OnPush) -> Result<Wire, RedisError> {
        match (address, &self.tls) {
            (Address::Unix(path), _) => self.greet(UnixStream::connect(path).await?, on_push).await,
            (Address::Tcp(host, port), None) => {
                self.greet(self.reach(host, *port).await?, on_push).await
            }
            (Address::Tcp(host, port), Some(tls)) => {
                let stream = self.reach(host, *port).await?;
                self.greet(tls.over(stream, host).await?, on_push).await
            }
        }
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

    async fn greet<S>(&self, stream: S, on_push: OnPush) -> Result<Wire, RedisError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(LINE)
            .set_write_backpressure_boundary(WRITE_BYTES);
        if self.has_messages() {
            config = config.set_push_sender(move |info| {
                on_push(info);
                Ok::<(), ()>(())
            });
        }
        Wire::over(stream, &self.greeting(), config).await
    }

    fn greeting(&self) -> RedisConnectionInfo {
        let protocol =
            if self.has_messages() { ProtocolVersion::RESP3 } else { ProtocolVersion::RESP2 };
        let mut greeting =
            RedisConnectionInfo::default().set_db(self.database).set_protocol(protocol);
        if let Some(user) = &self.user {
            greeting = greeting.set_username(user);
        }
        if let Some(password) = &self.password {
            greeting = greeting.set_password(password);
        }
        greeting
    }
}

fn knows_only_the_old_protocol(error: &RedisError) -> bool {
    error.kind() == redis::ErrorKind::RESP3NotSupported || error.code() == Some("NOPROTO")
}
