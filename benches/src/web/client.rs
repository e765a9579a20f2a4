//! A client that is cheap: one connection, kept, and of HTTP only what the servers here answer.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::measure::Result;

#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// `name=value`, if one was set.
    pub(crate) cookie: Option<String>,
    pub(crate) body: String,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(4096) })
    }

    pub(crate) async fn get(&mut self, path: &str, cookie: &str) -> Result<Reply> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\ncookie: {cookie}\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.received.clear();
        loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if let Some(reply) = Reply::read(&self.received)? {
                return Ok(reply);
            }
        }
    }
}

impl Reply {
    /// The reply, once it is all there.
    fn read(received: &[u8]) -> Result<Option<Self>> {
        let text = std::str::from_utf8(received)?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
        let header = |name: &str| {
            let mut pairs = head.lines().skip(1).filter_map(|line| line.split_once(": "));
            pairs.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let length: usize = header("content-length").ok_or("a reply without a length")?.parse()?;
        if body.len() < length {
            return Ok(None);
        }
        let status = head.split(' ').nth(1).ok_or("a reply without a status")?.parse()?;
        let cookie = header("set-cookie").and_then(|set| set.split(';').next());
        Ok(Some(Self { status, cookie: cookie.map(str::to_owned), body: body.to_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_once_it_is_whole() {
        let whole = "HTTP/1.1 200 OK\r\nSet-Cookie: id=a; Path=/\r\ncontent-length: 2\r\n\r\nok";
        for length in 0..whole.len() {
            assert!(Reply::read(&whole.as_bytes()[..length]).unwrap().is_none(), "{length}");
        }
        let reply = Reply::read(whole.as_bytes()).unwrap().unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (200, "ok"));
        assert_eq!(reply.cookie.as_deref(), Some("id=a"));
    }
}
