//! One connection through the proxy.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{REPLIES, REQUESTS, Settings, Shared};

/// A client that has gone, or a reply that is to be lost: the server may still finish.
const FAREWELL: Duration = Duration::from_secs(5);

/// The reply that is to be lost, if any.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    request: Mutex<Option<Vec<u8>>>,
    count: AtomicU64,
}

impl Loss {
    pub(crate) fn arm(&self, request: &[u8]) {
        *self.request() = Some(request.to_vec());
    }

    pub(crate) fn disarm(&self) {
        *self.request() = None;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether this is the request, which it is once.
    fn takes(&self, bytes: &[u8]) -> bool {
        let mut request = self.request();
        let found = request.as_deref().is_some_and(|wanted| {
            wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted)
        });
        if found {
            *request = None;
        }
        found
    }

    fn request(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.request.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection through the proxy.
#[derive(Debug)]
pub(crate) struct Line {
    settings: watch::Receiver<Settings>,
    shared: Arc<Shared>,
    generation: u64,
    /// The next reply is to be lost.
    loses: AtomicBool,
}

impl Line {
    pub(crate) fn new(settings: watch::Receiver<Settings>, shared: Arc<Shared>) -> Self {
        let generation = settings.borrow().generation;
        Self { settings, shared, generation, loses: AtomicBool::new(false) }
    }

    /// Forwards until either side closes, the line is cut, or the reply comes that is to be lost.
    pub(crate) async fn run(self, client: TcpStream, target: SocketAddr) {
        let Ok(server) = TcpStream::connect(target).await else { return };
        drop((client.set_nodelay(true), server.set_nodelay(true)));
        let (mut from_client, to_client) = client.into_split();
        let (mut from_server, to_server) = server.into_split();
        tokio::select! {
            _ = self.forward(REQUESTS, &mut from_client, to_server) => {}
            _ = self.forward(REPLIES, &mut from_server, to_client) => {}
            () = self.until(|settings| self.is_cut(settings)) => {}
        };
        if self.is_cut(&self.settings.borrow()) {
            return;
        }
        drop(from_client);
        // Closing with unread replies would reset the connection, and the server might not even
        // read the request.
        drop(timeout(FAREWELL, drain(from_server)).await);
    }

    const fn is_cut(&self, settings: &Settings) -> bool {
        settings.generation != self.generation
    }

    async fn until(&self, condition: impl Fn(&Settings) -> bool) {
        // It ends only with the proxy.
        drop(self.settings.clone().wait_for(condition).await);
    }

    /// Reading and writing are apart, so that latency does not lower the throughput.
    async fn forward(
        &self,
        side: usize,
        from: &mut OwnedReadHalf,
        to: OwnedWriteHalf,
    ) -> io::Result<()> {
        let (send, receive) = mpsc::unbounded_channel();
        let (read, written) =
            tokio::join!(self.read(side, from, send), self.write(side, receive, to));
        read.and(written)
    }

    async fn read(
        &self,
        side: usize,
        from: &mut OwnedReadHalf,
        to: mpsc::UnboundedSender<(Instant, Vec<u8>)>,
    ) -> io::Result<()> {
        let (mut buffer, mut swallowed) = (vec![0; 64 * 1024], false);
        loop {
            let length = tokio::select! {
                length = from.read(&mut buffer) => length?,
                () = self.until(|settings| !swallows(settings, side)), if swallowed => 0,
            };
            let bytes = buffer.get(..length).unwrap_or_default();
            // What comes after the cut goes nowhere, even where the task has not heard of it.
            let is_cut = self.is_cut(&self.settings.borrow());
            if bytes.is_empty() || is_cut || self.is_lost(side) {
                return Ok(());
            }
            swallowed |= swallows(&self.settings.borrow(), side);
            self.shared.swallowed.fetch_add(u64::from(swallowed), Ordering::Relaxed);
            let due = Instant::now() + self.latency(side);
            if !swallowed && to.send((due, bytes.to_vec())).is_err() {
                return Ok(());
            }
        }
    }

    /// Whether what has just come is the reply to be lost.
    fn is_lost(&self, side: usize) -> bool {
        let lost = side == REPLIES && self.loses.load(Ordering::Relaxed);
        if lost {
            self.shared.loss.count.fetch_add(1, Ordering::Relaxed);
        }
        lost
    }

    async fn write(
        &self,
        side: usize,
        mut from: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>,
        mut to: OwnedWriteHalf,
    ) -> io::Result<()> {
        while let Some((due, bytes)) = from.recv().await {
            if due > Instant::now() {
                sleep_until(due).await;
            }
            to.write_all(&bytes).await?;
            // Only now, lest the reply to an earlier request ends the line before.
            if side == REQUESTS && self.shared.loss.takes(&bytes) {
                self.loses.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn latency(&self, side: usize) -> Duration {
        self.settings.borrow().latency.get(side).copied().unwrap_or_default()
    }
}

fn swallows(settings: &Settings, side: usize) -> bool {
    settings.swallow.get(side).copied().unwrap_or_default()
}

async fn drain(mut from: OwnedReadHalf) {
    let mut buffer = vec![0; 64 * 1024];
    while from.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_after_a_cut_goes_nowhere() -> io::Result<()> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let mut client = TcpStream::connect(listener.local_addr()?).await?;
        let (mut from_client, _to_client) = listener.accept().await?.0.into_split();
        let (settings, seen) = watch::channel(Settings::default());
        let line = Line::new(seen, Arc::default());
        let (to, mut forwarded) = mpsc::unbounded_channel();
        client.write_all(b"before").await?;
        let cut_then_send = async {
            let before = forwarded.recv().await;
            settings.send_modify(|settings| settings.generation += 1);
            client.write_all(b"after").await?;
            client.shutdown().await?;
            io::Result::Ok((before, forwarded.recv().await))
        };
        let (read, sent) = tokio::join!(line.read(REQUESTS, &mut from_client, to), cut_then_send);
        let (before, after) = sent?;
        assert_eq!(before.map(|(_, bytes)| bytes), Some(b"before".to_vec()));
        assert_eq!((read?, after), ((), None));
        Ok(())
    }
}
