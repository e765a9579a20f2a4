//! Makes connections: one place for what each of them is set to.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, PushInfo,
    RedisConnectionInfo, RedisError, TlsCertificates,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use rustls::crypto::CryptoProvider;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// How to speak TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tls {
    /// Certificates of authorities in PEM; those of the system without.
    pub(super) root: Option<Vec<u8>>,
    /// Trusts any certificate.
    pub(super) insecure: bool,
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
    ) -> Result<MultiplexedConnection, RedisError> {
        let dialing = self.dial_untimed(address, on_push, read_only);
        let dialed = tokio::time::timeout(self.timeout, dialing).await;
        dialed.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }

    async fn dial_untimed(
        &self,
        address: &Address,
        on_push: OnPush,
        read_only: bool,
    ) -> Result<MultiplexedConnection, RedisError> {
        let mut connection = match self.connect(address, on_push.clone()).await {
            Err(error) if self.has_messages() && knows_only_the_old_protocol(&error) => {
                self.old_protocol.store(true, Ordering::Relaxed);
                self.connect(address, on_push).await?
            }
            connection => connection?,
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
            connection.send_packed_commands(&after, 0, after.len()).await?;
        }
        Ok(connection)
    }

    async fn connect(
        &self,
        address: &Address,
        on_push: OnPush,
    ) -> Result<MultiplexedConnection, RedisError> {
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1024);
        if self.has_messages() {
            config = config.set_push_sender(move |info| {
                on_push(info);
                Ok::<(), ()>(())
            });
        }
        self.client(address)?.get_multiplexed_async_connection_with_config(&config).await
    }

    fn client(&self, address: &Address) -> Result<Client, RedisError> {
        let insecure = self.tls.as_ref().is_some_and(|tls| tls.insecure);
        if self.tls.is_some() && CryptoProvider::get_default().is_none() {
            // If somebody else is quicker, his choice stands.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let addr = match (address.clone(), &self.tls) {
            (Address::Unix(path), _) => ConnectionAddr::Unix(path),
            (Address::Tcp(host, port), None) => ConnectionAddr::Tcp(host, port),
            (Address::Tcp(host, port), Some(_)) => {
                ConnectionAddr::TcpTls { host, port, insecure, tls_params: None }
            }
        };
        let info = addr
            .into_connection_info()?
            .set_redis_settings(self.greeting())
            .set_tcp_settings(self.tcp());
        match (address, &self.tls) {
            (Address::Tcp(..), Some(Tls { root: Some(root), .. })) => {
                let certificates =
                    TlsCertificates { client_tls: None, root_cert: Some(root.clone()) };
                Client::build_with_tls(info, certificates)
            }
            _ => Client::open(info),
        }
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

    fn tcp(&self) -> TcpSettings {
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(15))
            .with_interval(Duration::from_secs(5))
            .with_retries(3);
        let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
        #[cfg(target_os = "linux")]
        let settings = settings.set_user_timeout(self.silence);
        settings
    }
}

fn knows_only_the_old_protocol(error: &RedisError) -> bool {
    error.kind() == redis::ErrorKind::RESP3NotSupported || error.code() == Some("NOPROTO")
}
