//! The server or the cluster that everything runs on.

use std::collections::BTreeMap;

use test_servers::redis::{Cluster, Flavor, Options, Server, Traffic};

use crate::measure::Result;

/// One server, or six that are a cluster.
#[derive(Debug)]
pub(crate) enum Place {
    One(Box<Server>),
    Cluster(Cluster),
}

/// What servers counted: every command, those of scripts among them, and how often they read.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) calls: BTreeMap<String, u64>,
    pub(crate) reads: u64,
}

impl Place {
    pub(crate) async fn start(flavor: Flavor, cluster: bool) -> Result<Self> {
        let options = Options::new(flavor);
        Ok(if cluster {
            Self::Cluster(Cluster::start(&options).await?)
        } else {
            Self::One(Server::start(&options).await?.into())
        })
    }

    fn nodes(&self) -> &[Server] {
        match self {
            Self::One(server) => std::slice::from_ref(&**server),
            Self::Cluster(cluster) => cluster.nodes(),
        }
    }

    /// The URLs of all nodes, as other crates read them.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.nodes().iter().map(Server::url).collect()
    }

    /// The URL as our store reads it.
    pub(crate) fn our_url(&self) -> String {
        match self {
            Self::One(server) => server.url(),
            Self::Cluster(cluster) => format!("redis+cluster://{}", cluster.addresses().join(",")),
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// The process of the server, where there is one.
    pub(crate) fn process(&self) -> Option<i32> {
        match self {
            Self::One(server) => server.process_id(),
            Self::Cluster(_) => None,
        }
    }

    pub(crate) async fn describe(&self, flavor: Flavor) -> Result<String> {
        let shape = if self.is_cluster() { "cluster of 3 + 3" } else { "one server" };
        Ok(format!("{} {}, {shape}, on this machine", flavor.name(), flavor.version()?))
    }

    pub(crate) async fn traffic(&self) -> Result<Vec<Traffic>> {
        let mut all = Vec::new();
        for node in self.nodes() {
            all.push(node.traffic().await?);
        }
        Ok(all)
    }

    /// What was counted since `before`. In a cluster also what its nodes ask each other.
    pub(crate) async fn since(&self, before: &[Traffic]) -> Result<Counts> {
        let mut counts = Counts { calls: BTreeMap::new(), reads: 0 };
        for (now, before) in self.traffic().await?.iter().zip(before) {
            let traffic = now.since(before);
            counts.reads += traffic.reads();
            for (name, calls) in traffic.all_calls() {
                *counts.calls.entry(name.clone()).or_default() += calls;
            }
        }
        Ok(counts)
    }
}
