//! A proxy that stands between a client and a server, and loses things on request.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::{
    Result,
    ports::{Ports, with_ports},
};

mod line;

use line::{Line, Loss};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Direction {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Replies,
    /// Either way.
    Both,
}

/// A proxy in front of one server, at an address of its own. It runs in the runtime that it was
/// started in, and ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    settings: watch::Sender<Settings>,
    listening: watch::Receiver<bool>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    _ports: Arc<Ports>,
}

/// What holds for all connections at a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    refuse: bool,
    swallow: [bool; 2],
    latency: [Duration; 2],
    /// Connections of an earlier generation are to be cut.
    generation: u64,
    /// Where new connections lead, when it is not where the first ones led.
    target: Option<SocketAddr>,
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    loss: Loss,
    accepted: AtomicU64,
    swallowed: AtomicU64,
}

impl Direction {
    fn sides(self) -> impl Iterator<Item = usize> {
        let sides: &[usize] = match self {
            Self::Requests => &[REQUESTS],
            Self::Replies => &[REPLIES],
            Self::Both => &[REQUESTS, REPLIES],
        };
        sides.iter().copied()
    }
}

pub(crate) const REQUESTS: usize = 0;
pub(crate) const REPLIES: usize = 1;

impl Proxy {
    /// A proxy in front of the server at `target`, such as `127.0.0.1:10017`.
    ///
    /// # Errors
    /// When the address cannot be understood, or there is no port to listen on.
    pub async fn start(target: &str) -> Result<Self> {
        let target = address(target)?;
        with_ports(|ports| async move { Self::start_at(target, ports).await }).await
    }

    async fn start_at(target: SocketAddr, ports: Arc<Ports>) -> Result<Self> {
        let port = ports.port(0);
        let listener = bind(port).await?;
        let (settings, seen) = watch::channel(Settings::default());
        let (tell, listening) = watch::channel(true);
        let shared = Arc::default();
        let task = tokio::spawn(serve(target, listener, seen, tell, Arc::clone(&shared)));
        Ok(Self { port, settings, listening, shared, task, _ports: ports })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port that clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections it has accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Passes everything again, at once, and forgets about a reply that is still to be lost.
    /// Connections that have lost bytes are cut.
    pub async fn pass(&self) {
        self.shared.loss.disarm();
        self.settings.send_modify(|settings| {
            let Settings { generation, target, .. } = *settings;
            *settings = Settings { generation, target, ..Settings::default() };
        });
        self.until_listening(true).await;
    }

    /// Leads new connections to another server, as a name does that was moved. Others stay.
    ///
    /// # Errors
    /// When the address cannot be understood.
    pub fn redirect(&self, target: &str) -> Result<()> {
        let target = address(target)?;
        self.settings.send_modify(|settings| settings.target = Some(target));
        Ok(())
    }

    /// Refuses new connections, as a port does that nobody listens on. Others stay.
    pub async fn refuse(&self) {
        self.settings.send_modify(|settings| settings.refuse = true);
        self.until_listening(false).await;
    }

    /// Takes what comes in this direction and forwards none of it, on all connections, until
    /// [`Proxy::pass`].
    pub fn swallow(&self, direction: Direction) {
        self.settings.send_modify(|settings| {
            direction.sides().for_each(|side| set(&mut settings.swallow, side, true));
        });
    }

    /// How many pieces it has taken so far and not forwarded.
    #[must_use]
    pub fn swallowed(&self) -> u64 {
        self.shared.swallowed.load(Ordering::Relaxed)
    }

    /// Holds everything in this direction back for so long, on all connections.
    pub fn latency(&self, direction: Direction, latency: Duration) {
        self.settings.send_modify(|settings| {
            direction.sides().for_each(|side| set(&mut settings.latency, side, latency));
        });
    }

    /// Cuts all connections. New ones pass.
    pub fn cut(&self) {
        self.settings.send_modify(|settings| settings.generation += 1);
    }

    /// Loses the reply to the next request that holds these bytes (none: any request): the
    /// server gets the request and executes it, the client's connection is cut in the place of the
    /// reply.
    pub fn lose_reply_to(&self, request: &[u8]) {
        self.shared.loss.arm(request);
    }

    /// How many replies were lost since the start by [`Proxy::lose_reply_to`].
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.loss.count()
    }

    async fn until_listening(&self, wanted: bool) {
        let mut listening = self.listening.clone();
        // It ends only with us.
        drop(listening.wait_for(|listening| *listening == wanted).await);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn address(target: &str) -> Result<SocketAddr> {
    target.parse().map_err(|_error| crate::Error::new(format!("no address: {target}")))
}

fn set<T>(sides: &mut [T; 2], side: usize, value: T) {
    if let Some(place) = sides.get_mut(side) {
        *place = value;
    }
}

async fn bind(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| crate::Error::of_start("no port to listen on", &error.to_string()))
}

/// Accepts connections, and stops to listen while they are to be refused.
async fn serve(
    target: SocketAddr,
    listener: TcpListener,
    mut settings: watch::Receiver<Settings>,
    listening: watch::Sender<bool>,
    shared: Arc<Shared>,
) {
    let (mut listener, mut lines) = (Some(listener), JoinSet::new());
    let port = listener.as_ref().and_then(|it| it.local_addr().ok()).map_or(0, |at| at.port());
    loop {
        let refuse = settings.borrow_and_update().refuse;
        if refuse {
            listener = None;
        } else if listener.is_none() {
            listener = bind(port).await.ok();
        }
        listening.send_replace(listener.is_some());
        tokio::select! {
            changed = settings.changed() => if changed.is_err() { return },
            Some(client) = accept(listener.as_ref()) => {
                shared.accepted.fetch_add(1, Ordering::Relaxed);
                let target = settings.borrow().target.unwrap_or(target);
                lines.spawn(Line::new(settings.clone(), Arc::clone(&shared)).run(client, target));
            }
            Some(_) = lines.join_next(), if !lines.is_empty() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> Option<tokio::net::TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(client, _)| client),
        None => std::future::pending().await,
    }
}
