//! Makes connections: one place for what each of them is set to.

use std::{io, sync::Arc, time::Duration};

use bytes::BytesMut;
use rustls::pki_types::ServerName;
use session_core::ErrorKind;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    Dialect,
    connection::{Connection, Terms},
    fault::Fault,
    info::Info,
    parse::{self, Form, Refusal, Reply},
};
use crate::Endpoint;

/// Who connects, and how.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) tls: Option<TlsConnector>,
    /// User and password.
    pub(super) login: Option<(String, String)>,
    /// Speaks the older protocol to every server.
    pub(super) classic: bool,
    /// For everything up to a connection that can be used.
    pub(super) timeout: Duration,
    pub(super) response_timeout: Duration,
}

/// The largest value that is read, whatever a server says it may hold.
const LARGEST: usize = 128 * 1_024 * 1_024;

impl Dialer {
    /// Connects, in [`Self::timeout`].
    pub(super) async fn dial(&self, to: &Endpoint) -> Result<(Connection, Info), Fault> {
        match timeout(self.timeout, self.dial_untimed(to)).await {
            Ok(dialed) => dialed,
            Err(_elapsed) => Err(Fault::new(ErrorKind::Timeout, "no connection in time")),
        }
    }

    async fn dial_untimed(&self, to: &Endpoint) -> Result<(Connection, Info), Fault> {
        let mut stream = TcpStream::connect((&*to.host, to.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            let (info, terms) = self.greet(&mut stream).await?;
            let (reader, writer) = stream.into_split();
            return Ok((Connection::over_tcp(reader, writer, terms), info));
        };
        let name = ServerName::try_from(to.host.clone())
            .map_err(|_invalid| Fault::new(ErrorKind::Config, "a host has no name for TLS"))?;
        let mut stream = tls.connect(name, stream).await?;
        let (info, terms) = self.greet(&mut stream).await?;
        Ok((Connection::over(stream, terms), info))
    }

    /// Logs in, and asks the server what it is.
    async fn greet<S>(&self, stream: &mut S) -> Result<(Info, Terms), Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut talk = Talk { stream, buffer: BytesMut::new() };
        if let Some((user, password)) = &self.login {
            let login = format!("{user} {password}");
            let command = format!("set session 0 0 {}\r\n{login}\r\n", login.len());
            match talk.say(&command, Form::Line).await? {
                Reply::Done(_) => {}
                Reply::Refused(Refusal::ByClient) => {
                    return Err(Fault::of(&Reply::Refused(Refusal::Unauthenticated)));
                }
                other => return Err(Fault::of(&other)),
            }
        }
        let version = match talk.say("version\r\n", Form::Line).await? {
            Reply::Version(version) => version,
            other => return Err(Fault::of(&other)),
        };
        // Not every server that speaks the protocol has these.
        let settings = match talk.say("stats settings\r\n", Form::Statistics).await? {
            Reply::Statistics(settings) => settings,
            _ => Vec::new(),
        };
        let info = Info::read(&version, &settings);
        info.check()?;
        let dialect = if self.classic { Dialect::Classic } else { info.dialect() };
        let largest = info.largest_item.min(LARGEST);
        let terms = Terms { dialect, response_timeout: self.response_timeout, largest };
        Ok((info, terms))
    }
}

/// One question after the other, before a connection is shared.
struct Talk<'a, S> {
    stream: &'a mut S,
    buffer: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    async fn say(&mut self, command: &str, form: Form) -> Result<Reply, Fault> {
        self.stream.write_all(command.as_bytes()).await?;
        self.stream.flush().await?;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            match parse::next(&mut self.buffer, form, 0) {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(parse::Garbage) => {
                    return Err(Fault::new(ErrorKind::Backend, "this is no Memcached server"));
                }
            }
        }
    }
}

/// Trusts these authorities (PEM), or those of the system; or, for tests, everybody.
pub(super) fn tls(roots: Option<&[u8]>, insecure: bool) -> Result<TlsConnector, Fault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_unsupported| Fault::new(ErrorKind::Config, "TLS cannot be set up"))?;
    let config = if insecure {
        let trusting = Arc::new(super::trust::Everybody(provider));
        builder.dangerous().with_custom_certificate_verifier(trusting)
    } else {
        builder.with_root_certificates(super::trust::roots(roots)?)
    };
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}
