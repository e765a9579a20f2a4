//! DynamoDB tells what a request consumed only when it is asked: this asks in everybody's name.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Counters;

const ASKS: &[u8] = br#""ReturnConsumedCapacity":"TOTAL","#;
const TOLD: &[u8] = br#""CapacityUnits":"#;
const HEAD_ENDS: &[u8] = b"\r\n\r\n";

/// Units read and written.
#[derive(Debug, Default)]
pub(super) struct Units(Mutex<(f64, f64)>);

impl Units {
    pub(super) fn consumed(&self) -> (f64, f64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, reads: bool, units: f64) {
        let mut consumed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reads {
            consumed.0 += units;
        } else {
            consumed.1 += units;
        }
    }
}

/// Passes requests and answers in turn, as HTTP 1.1 has them.
pub(super) async fn attend(
    mut client: TcpStream,
    mut server: TcpStream,
    counters: &Counters,
) -> io::Result<()> {
    let (mut requests, mut answers) = (Vec::new(), Vec::new());
    while let Some(request) = message(&mut client, &mut requests).await? {
        counters.sent.fetch_add(request.len() as u64, Relaxed);
        let reads = !["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWrite"]
            .iter()
            .any(|operation| find(&request, operation.as_bytes()).is_some());
        server.write_all(&asking(request)).await?;
        let Some(answer) = message(&mut server, &mut answers).await? else { return Ok(()) };
        counters.answered(&AtomicBool::new(true), answer.len() as u64);
        counters.units.add(reads, told(&answer));
        client.write_all(&answer).await?;
    }
    Ok(())
}

/// One message; none when the other side has ended. `rest` is what came with the message before.
async fn message(from: &mut TcpStream, rest: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = std::mem::take(rest);
    loop {
        if let Some(end) = end(&bytes) {
            *rest = bytes.split_off(end);
            return Ok(Some(bytes));
        }
        if from.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}

/// Where the first message ends, once all of it is there.
fn end(bytes: &[u8]) -> Option<usize> {
    let body = find(bytes, HEAD_ENDS)? + HEAD_ENDS.len();
    let end = body + length(&bytes[..body]).unwrap_or_default();
    (bytes.len() >= end).then_some(end)
}

fn length(head: &[u8]) -> Option<usize> {
    let head = String::from_utf8_lossy(head);
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let (_, length) = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    length.trim().parse().ok()
}

/// The request with the question, unless it asks by itself.
fn asking(request: Vec<u8>) -> Vec<u8> {
    let Some(body) = find(&request, HEAD_ENDS).map(|at| at + HEAD_ENDS.len()) else {
        return request;
    };
    if find(&request, b"ReturnConsumedCapacity").is_some() || request.get(body) != Some(&b'{') {
        return request;
    }
    let head = String::from_utf8_lossy(&request[..body]).into_owned();
    let longer = |line: &str| match line.split_once(':') {
        Some((name, _)) if name.eq_ignore_ascii_case("content-length") => {
            format!("{name}: {}", request.len() - body + ASKS.len())
        }
        _ => line.to_owned(),
    };
    let head: Vec<String> = head.split("\r\n").map(longer).collect();
    [head.join("\r\n").as_bytes(), b"{", ASKS, &request[body + 1..]].concat()
}

/// The units that an answer tells of.
fn told(answer: &[u8]) -> f64 {
    let Some(at) = find(answer, TOLD).map(|at| at + TOLD.len()) else { return 0.0 };
    let number = answer[at..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.');
    let number: String = number.map(|byte| char::from(*byte)).collect();
    number.parse().unwrap_or_default()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_made_to_ask_once() {
        let request = b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n{\"a\":\"b\"}";
        let asking = asking(request.to_vec());
        assert_eq!(end(&asking), Some(asking.len()));
        assert!(asking.ends_with(br#"{"ReturnConsumedCapacity":"TOTAL","a":"b"}"#));
        assert_eq!(super::asking(asking.clone()), asking);
    }

    #[test]
    fn units_are_read_from_an_answer() {
        assert_eq!(told(br#"{"ConsumedCapacity":{"CapacityUnits":2.5,"TableName":"a"}}"#), 2.5);
        assert_eq!(told(b"{}"), 0.0);
    }
}
