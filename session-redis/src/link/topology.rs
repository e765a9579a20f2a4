//! Which server is asked.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    cluster::{Cluster, uncovered},
    fault::Fault,
    server::Server,
};

/// The servers.
pub(super) enum Topology {
    /// One that takes writes, and perhaps a place where replicas answer.
    One {
        primary: Arc<Server>,
        reader: Option<Arc<Server>>,
    },
    Cluster(Cluster),
}

impl Topology {
    /// As [`server`](Self::server), if nobody has to be asked.
    pub(super) fn known(&self, key: &[u8], replica: bool) -> Option<Arc<Server>> {
        match self {
            Self::One { primary, reader } => {
                let reader = reader.as_ref().filter(|_| replica);
                Some(Arc::clone(reader.unwrap_or(primary)))
            }
            Self::Cluster(cluster) => cluster.known(key, replica),
        }
    }

    /// The server that has a key, or one of its replicas.
    pub(super) async fn server(
        &self,
        key: &[u8],
        replica: bool,
        deadline: Instant,
    ) -> Result<Arc<Server>, Fault> {
        match (self.known(key, replica), self) {
            (None, Self::Cluster(cluster)) => cluster.find(key, replica, deadline).await,
            (known, _) => known.ok_or_else(uncovered),
        }
    }

    /// The server that another one named.
    pub(super) fn server_at(&self, target: &str, from: &Server) -> Option<Arc<Server>> {
        match self {
            Self::One { .. } => None,
            Self::Cluster(cluster) => cluster.server_at(target, from),
        }
    }

    /// Finds out anew who has which part, after a server lost its own. `hint` may know.
    pub(super) async fn look_again(
        &self,
        lost: &Server,
        hint: Option<&Arc<Server>>,
        deadline: Instant,
    ) {
        match self {
            Self::One { .. } => lost.retire(),
            // If nobody tells, the next try fails and asks again.
            Self::Cluster(cluster) => drop(cluster.refresh(hint, deadline).await),
        }
    }

    /// Finds out anew who has which channels.
    pub(super) async fn look_again_for_channels(&self, deadline: Instant) {
        if let Self::Cluster(cluster) = self {
            drop(cluster.refresh(None, deadline).await);
        }
    }
}
