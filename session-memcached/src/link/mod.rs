//! The way to the servers: the only module that knows the protocol.
//!
//! What it promises to the store above it: every [`ask`](Link::ask) ends by its deadline; the commands
//! of one call go out in one write; replies reach those who asked, whoever else goes away; what is
//! queued and what is read is bounded; a connection that has ended is made anew.
//!
//! From the outside in: a [`ring`] says which server has a key; a [`lane`] makes a connection anew
//! when it is no longer fit; a [`connection`] sends what is asked at the same time together, by a task
//! that [`write`]s and one that [`read`]s; [`parse`] understands the replies, without I/O.

mod command;
mod connection;
mod dial;
mod fault;
mod info;
mod lane;
mod parse;
mod read;
mod ring;
mod shared;
mod trust;
mod write;

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

pub(crate) use self::{
    command::Command, connection::ConnectionId, fault::Fault, info::Info, parse::Reply,
};
use self::{
    command::Dialect,
    connection::{Connection, Failure},
    dial::Dialer,
    lane::Lane,
    ring::Ring,
};
use crate::{Failover, MemcachedConfig, Protocol, Tls, keys::Name};

/// How often a request is sent again when its connection ends under it.
const TRIES: u32 = 3;

/// The connections to the servers.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    ring: Ring,
    servers: Vec<Vec<Lane>>,
    /// For one operation with everything that is tried again.
    timeout: Duration,
    /// Whether the older protocol is spoken with all.
    classic: bool,
    failover: Failover,
}

/// The reply to the last command, and where it came from.
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) connection: ConnectionId,
    /// Whether the commands may have been done before.
    pub(crate) resent: bool,
}

/// What comes of a request that holds on one connection only.
pub(crate) enum Pinned {
    /// It was answered.
    Answered(Reply),
    /// The connection is no longer there. `in_doubt`: the command may have been done.
    Moved { in_doubt: bool },
}

impl Link {
    /// Sets up the connections, and makes one to each server that can be reached. Fails when none
    /// can, and when one refuses us for good.
    pub(crate) async fn open(config: &MemcachedConfig) -> Result<Self, Fault> {
        let dialer = dialer(config)?;
        let lanes = |server: &crate::Endpoint| {
            (0..config.connections).map(|_| Lane::new(dialer.clone(), server.clone())).collect()
        };
        let link = Self(Arc::new(Inner {
            ring: Ring::new(config),
            servers: config.servers.iter().map(lanes).collect(),
            timeout: config.timeout,
            classic: config.protocol == Protocol::Classic,
            failover: config.failover,
        }));
        link.reach_all().await?;
        Ok(link)
    }

    async fn reach_all(&self) -> Result<(), Fault> {
        let (mut reached, mut last) = (false, None);
        for lane in self.0.servers.iter().filter_map(|lanes| lanes.first()) {
            match lane.connection(self.deadline()).await {
                Ok(_) => reached = true,
                Err(fault) if fault.passes() => last = Some(fault),
                Err(fault) => return Err(fault),
            }
        }
        match last {
            Some(fault) if !reached => Err(fault),
            Some(_) => {
                tracing::warn!("a Memcached server cannot be reached");
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What the servers said of themselves, as far as they could be reached.
    pub(crate) fn infos(&self) -> Vec<Option<Info>> {
        self.0.servers.iter().map(|lanes| lanes.iter().find_map(Lane::info)).collect()
    }

    /// Whether a server with this description takes an append under a condition.
    pub(crate) fn appends_under_a_condition(&self, info: &Info) -> bool {
        !self.0.classic && info.dialect() == Dialect::Meta
    }

    /// Whether every server that could be reached knows the meta commands, and they are spoken.
    #[cfg(feature = "php")]
    pub(crate) fn speaks_meta(&self) -> bool {
        !self.0.classic
            && self.infos().into_iter().flatten().all(|info| info.dialect() == Dialect::Meta)
    }

    /// By when an operation that begins now has to end.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.0.timeout
    }

    /// A connection to the server that has a key; with a failover, to the next one that is there.
    async fn connection(
        &self,
        name: &Name<'_>,
        deadline: Instant,
    ) -> Result<Arc<Connection>, Fault> {
        let lane = self.lane(self.0.ring.server(name.rest()), name)?;
        match lane.fit() {
            Some(connection) => Ok(connection),
            // In a box, since it is large, and rarely needed.
            None => Box::pin(self.connect(lane, name, deadline)).await,
        }
    }

    async fn connect(
        &self,
        lane: &Lane,
        name: &Name<'_>,
        deadline: Instant,
    ) -> Result<Arc<Connection>, Fault> {
        let away = match lane.connection(deadline).await {
            Err(fault) if fault.passes() && self.0.failover == Failover::Next => fault,
            decided => return decided,
        };
        for server in self.0.ring.others(name.rest()) {
            match self.lane(server, name)?.connection(deadline).await {
                Err(fault) if fault.passes() => {}
                decided => return decided,
            }
        }
        Err(away)
    }

    fn lane(&self, server: usize, name: &Name<'_>) -> Result<&Lane, Fault> {
        let lane = self.0.servers.get(server).and_then(|lanes| {
            // Not by what the ring goes by, lest a server's keys share one.
            let spread = name.rest().last().copied().unwrap_or_default();
            lanes.get(usize::from(spread) % lanes.len().max(1))
        });
        lane.ok_or_else(|| Fault::new(session_core::ErrorKind::Config, "there is no server"))
    }

    /// Sends commands about a key, again if their connection ends, until the last is answered.
    ///
    /// Cancel safe: what was sent is sent, and its answer is thrown away.
    pub(crate) async fn ask(
        &self,
        name: &Name<'_>,
        commands: &[Command<'_>],
        deadline: Instant,
    ) -> Result<Answer, Fault> {
        let mut resent = false;
        for last in (0..TRIES).map(|n| n + 1 == TRIES) {
            let connection =
                self.connection(name, deadline).await.map_err(|fault| fault.in_doubt(resent))?;
            let fault = match connection.ask(name.parts(), commands, deadline).await {
                Ok(reply) => return Ok(Answer { reply, connection: connection.id(), resent }),
                Err(Failure::Unsent(fault)) => fault,
                Err(Failure::Unanswered(fault)) => {
                    resent = true;
                    fault
                }
            };
            if last || !fault.passes() || Instant::now() >= deadline {
                return Err(fault.in_doubt(resent));
            }
        }
        Err(Fault::timeout().in_doubt(resent))
    }

    /// Sends one command about a key on this connection, and on no other.
    pub(crate) async fn ask_on(
        &self,
        id: ConnectionId,
        name: &Name<'_>,
        command: Command<'_>,
        deadline: Instant,
    ) -> Result<Pinned, Fault> {
        let connection = self.connection(name, deadline).await?;
        if connection.id() != id {
            return Ok(Pinned::Moved { in_doubt: false });
        }
        match connection.ask(name.parts(), &[command], deadline).await {
            Ok(reply) => Ok(Pinned::Answered(reply)),
            Err(Failure::Unsent(fault) | Failure::Unanswered(fault)) if !fault.passes() => {
                Err(fault.in_doubt(true))
            }
            Err(Failure::Unsent(_)) => Ok(Pinned::Moved { in_doubt: false }),
            Err(Failure::Unanswered(fault)) if Instant::now() >= deadline => {
                Err(fault.in_doubt(true))
            }
            Err(Failure::Unanswered(_)) => Ok(Pinned::Moved { in_doubt: true }),
        }
    }

    /// Asks on every connection, by a read that finds nothing.
    pub(crate) async fn ping(&self) -> Result<(), Fault> {
        let deadline = self.deadline();
        for lane in self.0.servers.iter().flatten() {
            let connection = lane.connection(deadline).await?;
            match connection.ask([b"session", b""], &[Command::Get], deadline).await {
                Ok(_) => {}
                Err(Failure::Unsent(fault) | Failure::Unanswered(fault)) => return Err(fault),
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

fn dialer(config: &MemcachedConfig) -> Result<Dialer, Fault> {
    let tls = match &config.tls {
        Tls::Off => None,
        Tls::On => Some(dial::tls(None, false)?),
        Tls::Insecure => {
            tracing::warn!("any certificate is taken for the server's: use this for tests only");
            Some(dial::tls(None, true)?)
        }
        Tls::Ca(path) => {
            let detail = "the file of the authority cannot be read";
            let pem = std::fs::read(path)
                .map_err(|_unreadable| Fault::new(session_core::ErrorKind::Config, detail))?;
            Some(dial::tls(Some(&pem), false)?)
        }
    };
    Ok(Dialer {
        tls,
        login: config.user.clone().zip(config.password.clone()),
        classic: config.protocol == Protocol::Classic,
        timeout: config.connect_timeout,
        response_timeout: config.response_timeout,
    })
}
