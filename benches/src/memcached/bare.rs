//! One socket, on which all tasks' commands go out together: the bare protocol. Every reply to a
//! command has the same length, so nothing is parsed.
//!
//! A second one does what no client can do without: it reads each reply's line to know where the reply
//! ends, and gives the caller the value. And what a lock needs with our layout, at the least: a claim
//! that is appended, before the read.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Buf, Bytes, BytesMut};
use test_servers::memcached::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::{Notify, oneshot},
};

use super::name;
use crate::{
    measure::{Contender, Operation, Result, Role, Share, Work},
    setup::{Setup, TTL},
};

/// What our store keeps beside the payload; the bare commands move as many bytes.
const HEADER: usize = 184;
const STORED: usize = "HD\r\n".len();

/// The length of a claim in our layout.
const CLAIM: [u8; 37] = [b'x'; 37];
/// How much is read at once.
const CHUNK: usize = 256 * 1024;

pub(crate) async fn contenders(server: &Server, setup: &Setup) -> Result<Vec<Contender>> {
    let value = [vec![b'x'; HEADER], setup.payload.to_vec()].concat();
    let bare = Base { socket: connect(server, false).await?, value: value.into() };
    for index in 0..setup.sessions {
        bare.set(index).await?;
    }
    let parsed = Base { socket: connect(server, true).await?, ..bare.clone() };
    let make = |base: &Base, kind| {
        let base = base.clone();
        move |share| Commands { base: base.clone(), kind, share }
    };
    use Operation::{Locked, Read, Write};
    let contender =
        |name, operation, base, kind| Contender::new(name, Role::Bare, operation, make(base, kind));
    Ok(vec![
        contender("mg", Read, &bare, Kind::Get),
        contender("ms", Write, &bare, Kind::Set),
        contender("mg, then ms", Locked, &bare, Kind::Both),
        contender("mg, parsed", Read, &parsed, Kind::Get),
        contender("ms, parsed", Write, &parsed, Kind::Set),
        contender("append with mg, then ms, parsed", Locked, &parsed, Kind::Locked),
    ])
}

async fn connect(server: &Server, parses: bool) -> Result<Arc<Socket>> {
    let stream = TcpStream::connect(server.address()).await?;
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let socket = Arc::new(Socket::default());
    tokio::spawn(write(writer, Arc::clone(&socket)));
    match parses {
        false => tokio::spawn(read(reader, Arc::clone(&socket))),
        true => tokio::spawn(read_and_parse(reader, Arc::clone(&socket))),
    };
    Ok(socket)
}

#[derive(Default)]
struct Socket {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    out: Vec<u8>,
    /// The length of each reply, and who gets the value, if it is read.
    waiting: VecDeque<(usize, oneshot::Sender<Bytes>)>,
}

impl Socket {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a command, and waits for a reply of this length.
    async fn ask(&self, command: &[&[u8]], length: usize) -> Result<Bytes> {
        Ok(self.send(command, length).await?)
    }

    fn send(&self, command: &[&[u8]], length: usize) -> oneshot::Receiver<Bytes> {
        let (to, reply) = oneshot::channel();
        let mut state = self.state();
        let was_empty = state.out.is_empty();
        command.iter().for_each(|part| state.out.extend_from_slice(part));
        state.waiting.push_back((length, to));
        drop(state);
        if was_empty {
            self.news.notify_one();
        }
        reply
    }
}

async fn write(mut to: OwnedWriteHalf, socket: Arc<Socket>) {
    let mut batch = Vec::new();
    loop {
        socket.news.notified().await;
        tokio::task::yield_now().await;
        std::mem::swap(&mut batch, &mut socket.state().out);
        if to.write_all(&batch).await.is_err() {
            return;
        }
        batch.clear();
    }
}

async fn read(mut from: OwnedReadHalf, socket: Arc<Socket>) {
    let mut buffer = vec![0; CHUNK];
    let mut come = 0;
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        come += length;
        let mut state = socket.state();
        while let Some((length, to)) = state.waiting.pop_front() {
            if come < length {
                state.waiting.push_front((length, to));
                break;
            }
            come -= length;
            // Who has ended needs no reply.
            drop(to.send(Bytes::new()));
        }
    }
}

async fn read_and_parse(mut from: OwnedReadHalf, socket: Arc<Socket>) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        let Ok(1..) = from.read_buf(&mut buffer).await else { return };
        let mut state = socket.state();
        while let Some((value, length)) = parse(&buffer) {
            let Some((_, to)) = state.waiting.pop_front() else { return };
            buffer.advance(length);
            drop(to.send(value));
        }
    }
}

/// The value of the first reply, if it has come, and the length of the reply.
fn parse(buffer: &[u8]) -> Option<(Bytes, usize)> {
    let start = buffer.iter().position(|byte| *byte == b'\n')? + 1;
    let Some(line) = buffer[..start].strip_prefix(b"VA ") else {
        return Some((Bytes::new(), start));
    };
    let length: usize = std::str::from_utf8(line).ok()?.trim_end().parse().ok()?;
    let whole = start + length + 2;
    let reply = buffer.get(..whole)?;
    Some((Bytes::copy_from_slice(&reply[start..start + length]), whole))
}

#[derive(Clone)]
struct Base {
    socket: Arc<Socket>,
    value: Arc<[u8]>,
}

impl Base {
    async fn get(&self, index: usize) -> Result<()> {
        let length = self.value.len();
        let header = format!("VA {length}\r\n").len();
        let name = name("bare:", index);
        let mg: [&[u8]; 3] = [b"mg ", name.as_bytes(), b" v\r\n"];
        self.socket.ask(&mg, header + length + 2).await.map(drop)
    }

    /// Only on the socket that parses.
    async fn append_and_get(&self, index: usize) -> Result<()> {
        let name = name("bare:", index);
        let line = format!("ms {name} {} MA\r\n", CLAIM.len());
        drop(self.socket.send(&[line.as_bytes(), &CLAIM, b"\r\n"], STORED));
        let mg: [&[u8]; 3] = [b"mg ", name.as_bytes(), b" v\r\n"];
        let value = self.socket.ask(&mg, 0).await?;
        if value.len() < self.value.len() { Err("another value".into()) } else { Ok(()) }
    }

    async fn set(&self, index: usize) -> Result<()> {
        let line =
            format!("ms {} {} T{}\r\n", name("bare:", index), self.value.len(), TTL.as_secs());
        self.socket.ask(&[line.as_bytes(), &self.value, b"\r\n"], STORED).await.map(drop)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Get,
    Set,
    Both,
    Locked,
}

struct Commands {
    base: Base,
    kind: Kind,
    share: Share,
}

impl Work for Commands {
    async fn step(&mut self) -> Result<()> {
        match self.kind {
            Kind::Get => self.base.get(self.share.any()).await,
            Kind::Set => self.base.set(self.share.any_own()).await,
            Kind::Both => {
                let index = self.share.any_own();
                self.base.get(index).await?;
                self.base.set(index).await
            }
            Kind::Locked => {
                let index = self.share.any_own();
                self.base.append_and_get(index).await?;
                self.base.set(index).await
            }
        }
    }
}
