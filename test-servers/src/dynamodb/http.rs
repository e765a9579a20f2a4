//! As much of HTTP as a proxy between one client and one server needs.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest head of a message.
const LONGEST_HEAD: usize = 64 * 1_024;
const END: &[u8] = b"\r\n\r\n";

/// A message as it came.
#[derive(Debug)]
pub(crate) struct Message {
    head: String,
    bytes: Vec<u8>,
    body: usize,
}

impl Message {
    /// Reads one; none when the other side has ended. `rest` is what came with the message before.
    pub(crate) async fn read(
        from: &mut (impl AsyncRead + Unpin),
        rest: &mut Vec<u8>,
    ) -> io::Result<Option<Self>> {
        let mut bytes = std::mem::take(rest);
        let body = loop {
            if let Some(at) = bytes.windows(END.len()).position(|window| window == END) {
                break at + END.len();
            }
            if bytes.len() > LONGEST_HEAD {
                return Err(io::Error::other("the head of a message has no end"));
            }
            if from.read_buf(&mut bytes).await? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(bytes.get(..body).unwrap_or_default()).into_owned();
        let message = Self { head, bytes, body };
        message.complete(from, rest).await.map(Some)
    }

    async fn complete(
        mut self,
        from: &mut (impl AsyncRead + Unpin),
        rest: &mut Vec<u8>,
    ) -> io::Result<Self> {
        if self.header("transfer-encoding").is_some() {
            return Err(io::Error::other("a message in chunks"));
        }
        let length = self.header("content-length").and_then(|length| length.parse().ok());
        let end = self.body + length.unwrap_or(0_usize);
        while self.bytes.len() < end {
            if from.read_buf(&mut self.bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        *rest = self.bytes.split_off(end);
        Ok(self)
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut named = headers.filter(|(header, _)| header.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }

    /// Whether it is an answer that says so.
    pub(crate) fn is_success(&self) -> bool {
        self.head.split(' ').nth(1) == Some("200")
    }

    /// What comes after the head.
    pub(crate) fn body(&self) -> String {
        String::from_utf8_lossy(self.bytes.get(self.body..).unwrap_or_default()).into_owned()
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_that_come_together_are_told_apart() {
        let mut both: &[u8] =
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabcGET / HTTP/1.1\r\n\r\n";
        let mut rest = Vec::new();
        let first = Message::read(&mut both, &mut rest).await.unwrap().unwrap();
        assert_eq!((first.body().as_str(), first.header("x-a")), ("abc", Some("b")));
        let second = Message::read(&mut both, &mut rest).await.unwrap().unwrap();
        assert_eq!(second.bytes(), b"GET / HTTP/1.1\r\n\r\n");
        assert!(Message::read(&mut both, &mut rest).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_message_that_breaks_off_is_an_error() {
        let mut part: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab";
        assert!(Message::read(&mut part, &mut Vec::new()).await.is_err());
    }
}
