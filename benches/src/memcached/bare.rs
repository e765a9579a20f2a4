//! One socket, on which all tasks' commands go out together: the bare protocol. Every reply to a
//! command has the same length, so nothing is parsed.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

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

pub(crate) async fn contenders(server: &Server, setup: &Setup) -> Result<Vec<Contender>> {
    let stream = TcpStream::connect(server.address()).await?;
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let socket = Arc::new(Socket::default());
    tokio::spawn(write(writer, Arc::clone(&socket)));
    tokio::spawn(read(reader, Arc::clone(&socket)));
    let value = [vec![b'x'; HEADER], setup.payload.to_vec()].concat();
    let base = Base { socket, value: value.into() };
    for index in 0..setup.sessions {
        base.set(index).await?;
    }
    let make = |kind| {
        let base = base.clone();
        move |share| Commands { base: base.clone(), kind, share }
    };
    use Operation::{Locked, Read, Write};
    Ok(vec![
        Contender::new("mg", Role::Bare, Read, make(Kind::Get)),
        Contender::new("ms", Role::Bare, Write, make(Kind::Set)),
        Contender::new("mg, then ms", Role::Bare, Locked, make(Kind::Both)),
    ])
}

#[derive(Default)]
struct Socket {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    out: Vec<u8>,
    waiting: VecDeque<(usize, oneshot::Sender<()>)>,
}

impl Socket {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a command, and waits for a reply of this length.
    async fn ask(&self, command: &[&[u8]], length: usize) -> Result<()> {
        Ok(self.send(command, length).await?)
    }

    fn send(&self, command: &[&[u8]], length: usize) -> oneshot::Receiver<()> {
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
    let mut buffer = vec![0; 256 * 1024];
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
            drop(to.send(()));
        }
    }
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
        self.socket.ask(&[b"mg ", name.as_bytes(), b" v\r\n"], header + length + 2).await
    }

    async fn set(&self, index: usize) -> Result<()> {
        let line =
            format!("ms {} {} T{}\r\n", name("bare:", index), self.value.len(), TTL.as_secs());
        self.socket.ask(&[line.as_bytes(), &self.value, b"\r\n"], STORED).await
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Get,
    Set,
    Both,
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
        }
    }
}
