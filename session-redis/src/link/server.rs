//! One server, and the connections to it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    batch::Replicas,
    connection::Connection,
    dial::{Address, Dialer},
    fault::Fault,
    lane::{Lane, Patience},
    lanes::Lanes,
    pushes::Channels,
    sentinel::Sentinels,
    wire::OnEvent,
};

/// What all servers have in common.
pub(super) struct Common {
    pub(super) dialer: Dialer,
    /// How long one try may take.
    pub(super) response_timeout: Duration,
    /// Whether writes wait for replicas.
    pub(super) replicas: Option<Replicas>,
    pub(super) channels: Arc<Channels>,
}

/// How a server is found.
pub(super) enum Origin {
    At(Address),
    /// The primary that the Sentinels name.
    Primary(Arc<Sentinels>),
    /// A replica that the Sentinels name.
    Replica(Arc<Sentinels>),
}

/// What a connection is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    Write,
    /// A read that a replica may answer.
    ReplicaRead,
}

/// A server. Its connections are made when they are needed.
pub(super) struct Server {
    pub(super) origin: Origin,
    common: Arc<Common>,
    /// For all else.
    plain: Lanes,
    /// For writes that wait for replicas: the wait blocks the connection.
    acknowledged: Lane,
    /// For reads of what replicas have: a server that became a replica must refuse all others.
    replicated: Lane,
    /// For subscriptions. A server says `sunsubscribe` when a slot moves as it does in reply to a
    /// command: there must be no others on their way.
    feed: Lane,
}

impl Server {
    pub(super) fn new(origin: Origin, common: Arc<Common>) -> Arc<Self> {
        let (plain, acknowledged, replicated, feed) = Default::default();
        Arc::new(Self { origin, common, plain, acknowledged, replicated, feed })
    }

    /// The connection for a request, if it is there.
    pub(super) fn present(&self, use_of: Use) -> Option<Arc<Connection>> {
        self.lane(use_of).present()
    }

    fn lane(&self, use_of: Use) -> &Lane {
        match use_of {
            Use::ReplicaRead => &self.replicated,
            Use::Write if self.common.replicas.is_some() => &self.acknowledged,
            Use::Read | Use::Write => self.plain.here(),
        }
    }

    /// The connection for a request.
    pub(super) async fn connection(
        &self,
        use_of: Use,
        deadline: Instant,
    ) -> Result<Arc<Connection>, Fault> {
        let replicas = self.common.replicas.filter(|_| use_of == Use::Write);
        if use_of == Use::ReplicaRead {
            // In place of a replica the primary can be asked.
            let dial = || self.dial(None, None, true);
            return self.lane(use_of).connection(Patience::None, deadline, dial).await;
        }
        self.lane(use_of)
            .connection(Patience::Wait, deadline, || async {
                if self.lane(use_of).fell_silent() {
                    // It may answer again when another has its part: what only it may answer is
                    // not sent to it from any runtime.
                    self.retire();
                }
                let connection = self.dial(replicas, None, false).await?;
                if !self.is_connected() {
                    // The server may be another one now.
                    self.feed.retire();
                    self.common.channels.look_again();
                }
                Ok(connection)
            })
            .await
    }

    /// The connection for subscriptions.
    pub(super) async fn feed(&self, deadline: Instant) -> Result<Arc<Connection>, Fault> {
        let dial = || {
            let channels = Arc::clone(&self.common.channels);
            let on_event: OnEvent = Arc::new(move |event| channels.happened(&event));
            self.dial(None, Some(on_event), false)
        };
        self.feed.connection(Patience::Wait, deadline, dial).await
    }

    /// Whether it has been out of reach for longer than one operation waits for anything. Who
    /// asks it then is told at once, so that an outage does not hold up every caller in turn.
    pub(super) fn is_long_down(&self) -> bool {
        let plain = self.plain.here();
        let down = plain.down_for().max(self.acknowledged.down_for());
        down > self.common.dialer.silence && plain.present().is_none()
    }

    /// Whether there is a connection for requests that only the server itself may answer.
    fn is_connected(&self) -> bool {
        self.plain.all().chain([&self.acknowledged]).any(|lane| lane.present().is_some())
    }

    /// Whether it is worth asking.
    pub(super) fn is_well(&self) -> bool {
        self.plain.all().chain([&self.replicated]).any(|lane| lane.present().is_some())
    }

    /// Makes all of them anew when they are next needed: the server has lost its part.
    pub(super) fn retire(&self) {
        let others = [&self.acknowledged, &self.replicated, &self.feed];
        self.plain.all().chain(others).for_each(Lane::retire);
    }

    async fn dial(
        &self,
        replicas: Option<Replicas>,
        on_event: Option<OnEvent>,
        read_only: bool,
    ) -> Result<Connection, Fault> {
        let dialer = &self.common.dialer;
        let wire = match &self.origin {
            Origin::At(address) => dialer.dial(address, on_event, read_only).await?,
            Origin::Primary(sentinels) => sentinels.dial_primary(dialer, on_event).await?,
            Origin::Replica(sentinels) => sentinels.dial_replica(dialer, on_event).await?,
        };
        Ok(Connection::new(wire, self.common.response_timeout, replicas))
    }
}
