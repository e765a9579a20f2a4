//! A user's agent, as plain as can be: it keeps one cookie.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
pub use hyper::{Method, StatusCode};
use hyper::{
    Request,
    client::conn::http1,
    header::{CONTENT_TYPE, COOKIE, HOST, HeaderMap, SET_COOKIE},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use crate::{Result, ensure, program::PATIENCE};

/// Sends requests, each over its own connection, with the session cookie if there is one.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Client {
    /// `name=value`, as it is sent.
    pub cookie: Option<String>,
}

/// An answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
}

impl Client {
    /// A client with no cookie.
    pub fn new() -> Self {
        Self::default()
    }

    /// A client that presents this cookie.
    pub fn presenting(cookie: impl Into<String>) -> Self {
        Self { cookie: Some(cookie.into()) }
    }

    /// Gets a path.
    pub async fn get(&self, to: SocketAddr, path: &str) -> Result<Reply> {
        self.send(to, Method::GET, path, "").await?.successful(path)
    }

    /// Posts a form.
    pub async fn post(&self, to: SocketAddr, path: &str, form: &str) -> Result<Reply> {
        self.send(to, Method::POST, path, form).await?.successful(path)
    }

    /// Posts a form and takes over the cookie that the answer sets or removes.
    pub async fn post_and_keep(&mut self, to: SocketAddr, path: &str, form: &str) -> Result<Reply> {
        let reply = self.post(to, path, form).await?;
        if let Some(cookie) = reply.cookie() {
            self.cookie = Some(cookie).filter(|cookie| !cookie.ends_with('='));
        }
        Ok(reply)
    }

    /// What the example says of this session.
    pub async fn me(&self, to: SocketAddr) -> Result<Value> {
        self.get(to, "/me").await?.json()
    }

    /// Sends one request, whatever the answer.
    pub async fn send(
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
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).map_err(|error| format!("{error} in {self:?}").into())
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The cookie that it sets, as `name=value`.
    pub fn cookie(&self) -> Option<String> {
        self.cookies().next().map(|(name, value)| format!("{name}={value}"))
    }

    /// All cookies that it sets, by their names. One that it removes has no value.
    pub fn cookies(&self) -> impl Iterator<Item = (String, String)> {
        let headers = self.headers.get_all(SET_COOKIE).iter();
        headers.filter_map(|header| {
            let (name, value) = header.to_str().ok()?.split(';').next()?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
    }

    fn successful(self, path: &str) -> Result<Self> {
        let fine = self.status.is_success() || self.status.is_redirection();
        ensure(fine, || format!("{path} answered {}: {:?}", self.status, self.body))?;
        Ok(self)
    }
}

/// One request over one connection.
pub async fn exchange(to: SocketAddr, request: Request<Full<Bytes>>) -> Result<Reply> {
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
