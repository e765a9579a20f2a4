//! A proxy that counts what goes over the wire: round trips, bytes, and units of DynamoDB.

mod units;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::{AbortHandle, JoinSet},
};

use self::units::Units;
use crate::measure::Result;

/// What went over the wire, or goes for one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Traffic {
    /// How often a connection went from asking to answering.
    pub(crate) round_trips: f64,
    pub(crate) sent: f64,
    pub(crate) received: f64,
    /// Of DynamoDB.
    pub(crate) read_units: f64,
    pub(crate) write_units: f64,
}

impl Traffic {
    /// What came since, for each of so many requests.
    pub(crate) fn each(&self, earlier: &Self, requests: usize) -> Self {
        let each = |now: f64, then: f64| (now - then) / requests as f64;
        Self {
            round_trips: each(self.round_trips, earlier.round_trips),
            sent: each(self.sent, earlier.sent),
            received: each(self.received, earlier.received),
            read_units: each(self.read_units, earlier.read_units),
            write_units: each(self.write_units, earlier.write_units),
        }
    }
}

/// A proxy in front of one server, until it is dropped.
#[derive(Debug)]
pub(crate) struct Wire {
    address: String,
    counters: Arc<Counters>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Counters {
    round_trips: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    units: Units,
}

impl Wire {
    /// A proxy to the server at this address; of DynamoDB it also counts units.
    pub(crate) async fn to(server: &str, dynamodb: bool) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let counters = Arc::<Counters>::default();
        let serve = serve(listener, server.to_owned(), dynamodb, Arc::clone(&counters));
        Ok(Self { address, counters, task: tokio::spawn(serve).abort_handle() })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn traffic(&self) -> Traffic {
        let Counters { round_trips, sent, received, units } = &*self.counters;
        let of = |counter: &AtomicU64| counter.load(Relaxed) as f64;
        let (read_units, write_units) = units.consumed();
        Traffic {
            round_trips: of(round_trips),
            sent: of(sent),
            received: of(received),
            read_units,
            write_units,
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, server: String, dynamodb: bool, counters: Arc<Counters>) {
    let mut lines = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&server).await else { continue };
        drop((client.set_nodelay(true), server.set_nodelay(true)));
        let counters = Arc::clone(&counters);
        // Whoever breaks off ends the connection, no more.
        lines.spawn(async move {
            if dynamodb {
                drop(units::attend(client, server, &counters).await);
            } else {
                attend(client, server, &counters).await;
            }
        });
        while lines.try_join_next().is_some() {}
    }
}

/// Passes everything both ways until one side ends.
async fn attend(client: TcpStream, server: TcpStream, counters: &Counters) {
    let asked = AtomicBool::new(false);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = pass(from_client, to_server, |bytes| {
        asked.store(true, Relaxed);
        counters.sent.fetch_add(bytes, Relaxed);
    });
    let down = pass(from_server, to_client, |bytes| {
        counters.answered(&asked, bytes);
    });
    tokio::select! {
        ended = up => drop(ended),
        ended = down => drop(ended),
    }
}

impl Counters {
    fn answered(&self, asked: &AtomicBool, bytes: u64) {
        self.received.fetch_add(bytes, Relaxed);
        if asked.swap(false, Relaxed) {
            self.round_trips.fetch_add(1, Relaxed);
        }
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    count: impl Fn(u64),
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        count(read as u64);
        to.write_all(&buffer[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn round_trips_and_bytes_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut question = [0; 4];
            while stream.read_exact(&mut question).await.is_ok() {
                stream.write_all(b"answer").await.unwrap();
            }
        });
        let wire = Wire::to(&server, false).await.unwrap();
        let mut client = TcpStream::connect(wire.address()).await.unwrap();
        for _ in 0..3 {
            client.write_all(b"who?").await.unwrap();
            let mut answer = [0; 6];
            client.read_exact(&mut answer).await.unwrap();
        }
        let traffic = wire.traffic().each(&Traffic::default(), 3);
        assert_eq!((traffic.round_trips, traffic.sent, traffic.received), (1.0, 4.0, 6.0));
    }
}
