//! The way to the servers: the only module that knows their protocol.
//!
//! What it promises to the store above it: every [`ask`](Link::ask) ends by the operation's
//! deadline; what a server says about its own state (a slot that moved, a failover, a script that it
//! forgot) is dealt with here; a request that may have been done without an answer is sent again,
//! and the [`Answer`] says so.
//!
//! From the outside in: [`retry`] asks until there is an answer; [`topology`] knows which server to
//! ask; a [`server`] has a connection for each runtime ([`lanes`]) and a few others, each in a
//! [`lane`] that makes it anew when it is no longer fit; a [`connection`] sends over a [`wire`], on
//! which what is asked at the same time goes in one write, or, where writes wait for replicas, in
//! one [`batch`]; a wire's callers and its task ([`drive`]) meet in what they have [`shared`], and
//! [`parse`] understands what the server says.

mod batch;
mod cluster;
mod command;
mod connection;
mod dial;
mod drive;
mod fault;
mod info;
mod lane;
mod lanes;
mod open;
mod parse;
mod pushes;
mod reply;
mod retry;
mod script;
mod sentinel;
mod server;
mod shared;
mod slot;
mod tls;
mod topology;
mod wire;

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use tokio::{task::AbortHandle, time::Instant};

pub(crate) use self::{
    command::{Answer, Command, Request},
    fault::Fault,
    info::Info,
    pushes::Subscription,
    reply::{Parts, Value},
    script::Script,
};
use self::{dial::Dialer, pushes::Channels, topology::Topology};
use crate::RedisConfig;

/// A future without the type of what it does: without it, the types of all that a request may have
/// to do would nest in those of its callers.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is told of a channel: its name. Called for each message, and, for every channel that is
/// subscribed to, when messages may have been lost. Must not block.
pub(crate) type OnMessage = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// The connections to one server, to a primary that Sentinel names, or to a cluster.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    topology: Arc<Topology>,
    channels: Arc<Channels>,
    dialer: Dialer,
    /// For one request with everything that is tried again.
    timeout: Duration,
    reads_replicas: bool,
    info: Info,
    /// The task that keeps channels subscribed.
    keeper: AbortHandle,
}

impl Link {
    /// Connects.
    pub(crate) async fn open(config: &RedisConfig, on_message: OnMessage) -> Result<Self, Fault> {
        let opened: Boxed<'_, _> = Box::pin(open::open(config, on_message));
        Ok(Self(Arc::new(opened.await?)))
    }

    /// Whether the servers have sharded channels, and it matters.
    pub(crate) fn has_sharded_channels(&self) -> bool {
        self.0.channels.are_sharded()
    }

    /// What the servers said of themselves.
    pub(crate) fn info(&self) -> &Info {
        &self.0.info
    }

    /// When an operation that begins now has to end.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.0.timeout
    }

    /// Sends a request, again if need be, until it is answered or the time for it is over.
    ///
    /// Cancel safe: what was sent is sent, and its answer is thrown away.
    pub(crate) fn ask(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Answer, Fault>> + Send {
        self.ask_by(request, self.deadline())
    }

    /// As [`ask`](Self::ask), for an operation that has begun before.
    pub(crate) fn ask_by(
        &self,
        mut request: Request,
        deadline: Instant,
    ) -> impl Future<Output = Result<Answer, Fault>> + Send {
        request.replica &= self.0.reads_replicas;
        retry::ask(&self.0.topology, request, deadline)
    }

    /// Wants to be told of messages on a channel, until the subscription is dropped. Messages from
    /// before are not lost from now on.
    pub(crate) async fn subscribe(&self, channel: Vec<u8>) -> Result<Subscription, Fault> {
        if !self.0.dialer.has_messages() {
            let detail = "the server's protocol has no messages";
            return Err(Fault::new(session_core::ErrorKind::Unsupported, detail));
        }
        if self.0.keeper.is_finished() {
            let detail = "the runtime in which the store was opened has ended";
            return Err(Fault::new(session_core::ErrorKind::Unavailable, detail));
        }
        self.0.channels.subscribe(channel, Instant::now() + self.0.timeout).await
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

#[cfg(test)]
mod tests;
