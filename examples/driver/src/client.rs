//! A user's agent, as plain as can be: it keeps one cookie.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1,
    header::{CONTENT_TYPE, COOKIE, HOST, HeaderMap, SET_COOKIE},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use crate::{Result, ensure, program::PATIENCE};

/// Sends requests, each over its own connection, with the session cookie if there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    /// `name=value`, as it is sent.
    pub(crate) cookie: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its whole body.
    pub(crate) body: Bytes,
}

impl Client {
    /// A client with no cookie.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A client that presents this cookie.
    pub(crate) fn presenting(cookie: impl Into<String>) -> Self {
        Self { cookie: Some(cookie.into()) }
    }

    /// Gets a path.
    pub(crate) async fn get(&self, to: SocketAddr, path: &str) -> Result<Reply> {
        self.send(to, Method::GET, path, "").await?.successful(path)
    }

    /// Posts a form.
    pub(crate) async fn post(&self, to: SocketAddr, path: &str, form: &str) -> Result<Reply> {
        self.send(to, Method::POST, path, form).await?.successful(path)
    }

    /// Posts a form and takes over the cookie that the answer sets or removes.
    pub(crate) async fn post_and_keep(
        &mut self,
        to: SocketAddr,
        path: &str,
        form: &str,
    ) -> Result<Reply> {
        let reply = self.post(to, path, form).await?;
        if let Some(cookie) = reply.cookie() {
            self.cookie = Some(cookie).filter(|cookie| !cookie.ends_with('='));
        }
        Ok(reply)
    }

    /// What the example says of this session.
    pub(crate) async fn me(&self, to: SocketAddr) -> Result<Value> {
        self.get(to, "/me").await?.json()
    }

    /// Sends one request, whatever the answer.
    pub(crate) async fn send(
        &self,
        to: SocketAddr,
        method: Method,
        path: &str,
        form: &str,
    ) -> Result<Reply> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, to.to_string())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        exchange(to, request.body(Full::from(form.to_owned()))?).await
    }
}

impl Reply {
    /// Its body, as JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).map_err(|error| format!("{error} in {self:?}").into())
    }

    /// The cookie that it sets, as `name=value`.
    pub(crate) fn cookie(&self) -> Option<String> {
        let header = self.headers.get(SET_COOKIE)?.to_str().ok()?;
        header.split(';').next().map(str::to_owned)
    }

    fn successful(self, path: &str) -> Result<Self> {
        let fine = self.status.is_success() || self.status.is_redirection();
        ensure(fine, || format!("{path} answered {}: {:?}", self.status, self.body))?;
        Ok(self)
    }
}

/// One request over one connection.
pub(crate) async fn exchange(to: SocketAddr, request: Request<Full<Bytes>>) -> Result<Reply> {
    timeout(PATIENCE, async {
        let stream = TcpStream::connect(to).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        drop(sender);
        connection.await??;
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    })
    .await?
}
