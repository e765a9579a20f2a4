//! A wire that counts round trips.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Stands between one client, which asks one thing after the other, and a server.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) address: String,
    turns: Arc<AtomicU64>,
}

impl Wire {
    pub(crate) async fn to(server: String) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let turns = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&turns);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = server.clone();
                let counted = Arc::clone(&counted);
                tokio::spawn(async move { forward(client, server, counted).await });
            }
        });
        Ok(Self { address, turns })
    }

    /// How often the client has spoken since the last count, after the server had.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.swap(0, Ordering::SeqCst)
    }
}

async fn forward(client: TcpStream, server: String, turns: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let server_spoke = AtomicBool::new(true);
    let requests = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
            if server_spoke.swap(false, Ordering::SeqCst) {
                turns.fetch_add(1, Ordering::SeqCst);
            }
            if to_server.write_all(buffer.get(..length).unwrap_or_default()).await.is_err() {
                return;
            }
        }
    };
    let replies = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
            server_spoke.store(true, Ordering::SeqCst);
            if to_client.write_all(buffer.get(..length).unwrap_or_default()).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = requests => {}
        () = replies => {}
    }
}
