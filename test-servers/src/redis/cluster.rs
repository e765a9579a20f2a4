//! A cluster of three primaries and three replicas.

use std::{sync::Arc, time::Duration};

use crate::{
    Error, Result,
    ports::{Ports, with_ports},
    redis::{
        NodeView, Options, Server,
        cluster_nodes::{self},
        sentinels::DELAY,
    },
    until,
};

const NODES: u16 = 6;
const START: Duration = Duration::from_secs(90);

/// A cluster of three primaries and three replicas, in which a node that is silent for two
/// seconds is taken for dead.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    /// Starts all six and waits until all of them say that the cluster is well.
    ///
    /// # Errors
    /// With a server's log when they do not. Users and TLS are not supported.
    pub async fn start(options: &Options) -> Result<Self> {
        if options.tls || options.user.is_some() {
            return Err(Error::new("a cluster has neither TLS nor users"));
        }
        with_ports(|ports| Self::start_at(options, ports)).await
    }

    async fn start_at(options: &Options, ports: Arc<Ports>) -> Result<Self> {
        let node = |index| {
            let bus = ports.port(NODES + index).to_string();
            let node = Server::prepare(options, &ports, index)?
                .argument("cluster-enabled", "yes")
                .argument("cluster-node-timeout", "2000")
                .argument("cluster-port", &bus)
                .argument(DELAY, "0");
            Ok(node)
        };
        let cluster = Self { nodes: (0..NODES).map(node).collect::<Result<_>>()? };
        cluster.bring_up().await?;
        Ok(cluster)
    }

    async fn bring_up(&self) -> Result<()> {
        self.nodes.iter().try_for_each(Server::spawn)?;
        for node in &self.nodes {
            node.wait_until_it_answers().await?;
        }
        let create = ["create".to_owned()].into_iter().chain(self.addresses());
        let replicas = ["--cluster-replicas".to_owned(), "1".to_owned()];
        let arguments: Vec<String> = create.chain(replicas).collect();
        self.any()?.cli().cluster(&arguments).await?;
        self.wait_until_whole().await
    }

    /// Its nodes. Which of them are primaries changes.
    #[must_use]
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// The addresses of all nodes.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(Server::address).collect()
    }

    fn up(&self) -> impl Iterator<Item = &Server> {
        self.nodes.iter().filter(|node| node.is_up())
    }

    fn any(&self) -> Result<&Server> {
        self.up().next().ok_or_else(|| Error::new("no node is up"))
    }

    /// What a node knows of all.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn view(&self, node: &Server) -> Result<Vec<NodeView>> {
        Ok(cluster_nodes::parse(&node.command(&["CLUSTER", "NODES"]).await?))
    }

    /// The slot of a key.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn slot(&self, key: &str) -> Result<u16> {
        let reply = self.any()?.command(&["CLUSTER", "KEYSLOT", key]).await?;
        reply.parse().map_err(|_error| Error::new(reply))
    }

    /// The primary that owns a slot, as a node that is up sees it.
    ///
    /// # Errors
    /// When no node answers, and when nobody owns it.
    pub async fn owner(&self, slot: u16) -> Result<&Server> {
        let view = self.view(self.any()?).await?;
        let owner = view.iter().find(|node| node.owns(slot));
        self.node(owner.ok_or_else(|| Error::new(format!("nobody owns slot {slot}")))?)
    }

    /// The replicas of a primary, as a node that is up sees them.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn replicas(&self, primary: &Server) -> Result<Vec<&Server>> {
        let view = self.view(self.any()?).await?;
        let id = view.iter().find(|node| node.port == primary.port()).map(|node| &node.id);
        let replicas =
            view.iter().filter(|node| node.primary.is_some() && node.primary.as_ref() == id);
        replicas.map(|view| self.node(view)).collect()
    }

    /// The primaries, in the order of their slots.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn primaries(&self) -> Result<Vec<&Server>> {
        let mut view = self.view(self.any()?).await?;
        view.retain(|node| !node.slots.is_empty() && !node.is("fail"));
        view.sort_by_key(|node| node.slots.first().map(|range| *range.start()));
        view.iter().map(|node| self.node(node)).collect()
    }

    fn node(&self, view: &NodeView) -> Result<&Server> {
        let node = self.nodes.iter().find(|node| node.port() == view.port);
        node.ok_or_else(|| Error::new(format!("no node of ours: {view:?}")))
    }

    /// Waits until every node that is up sees the slot owned by another node than `old`, and the
    /// cluster is well.
    ///
    /// # Errors
    /// When that is not so within `limit`.
    pub async fn wait_for_another(
        &self,
        slot: u16,
        old: &Server,
        limit: Duration,
    ) -> Result<&Server> {
        until("other owner", limit, || async {
            for node in self.up() {
                let view = self.view(node).await?;
                let owner = view.iter().find(|node| node.owns(slot));
                if owner.is_none_or(|owner| owner.port == old.port()) || !is_ok(node).await? {
                    return Ok(None);
                }
            }
            self.owner(slot).await.map(Some)
        })
        .await
    }

    /// Waits until every node that is up says `cluster_state:ok`.
    ///
    /// # Errors
    /// When that is not so within `limit`.
    pub async fn wait_until_ok(&self, limit: Duration) -> Result<()> {
        until("cluster_state:ok", limit, || async {
            for node in self.up() {
                if !is_ok(node).await? {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
    }

    /// Waits until all six are up, see each other, and each replica follows its primary.
    ///
    /// # Errors
    /// When that is not so within half a minute.
    pub async fn wait_until_whole(&self) -> Result<()> {
        let whole = until("whole cluster", START, || async {
            for node in &self.nodes {
                let view = self.view(node).await?;
                let seen = view.iter().filter(|node| node.flags.iter().all(|flag| fine(flag)));
                let linked = node.info().await?;
                let linked = linked.get("master_link_status").is_none_or(|link| link == "up");
                let replicas = view.iter().filter(|node| node.is("slave")).count();
                if seen.count() != 6 || replicas != 3 || !linked || !is_ok(node).await? {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        });
        whole.await.map_err(|error| {
            let log = self.nodes.iter().map(|node| node.log()).collect::<String>();
            Error::of_start(&error.to_string(), &log)
        })
    }

    /// Moves this many slots from one primary to another while clients work, key by key.
    ///
    /// # Errors
    /// With what `redis-cli` printed.
    pub async fn reshard(&self, from: &Server, to: &Server, slots: u16) -> Result<()> {
        let (source, target) = (self.id(from).await?, self.id(to).await?);
        let words =
            ["reshard", &from.address(), "--cluster-from", &source, "--cluster-to", &target]
                .map(str::to_owned);
        let count = ["--cluster-slots".to_owned(), slots.to_string()];
        let arguments: Vec<String> = words.into_iter().chain(count).collect();
        from.cli().cluster(&arguments).await.map(drop)
    }

    /// The first step of moving a slot: its owner answers `ASK` for keys that it does not have.
    ///
    /// # Errors
    /// When a node refuses.
    pub async fn begin_move(&self, slot: u16, to: &Server) -> Result<()> {
        let from = self.owner(slot).await?;
        let slot = slot.to_string();
        let source = self.id(from).await?;
        to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]).await?;
        let target = self.id(to).await?;
        from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]).await.map(drop)
    }

    /// The second step: moves at most this many keys, and says how many there were.
    ///
    /// # Errors
    /// When a node refuses.
    pub async fn move_keys(&self, slot: u16, to: &Server, count: u32) -> Result<usize> {
        let from = self.owner(slot).await?;
        let (slot, count) = (slot.to_string(), count.to_string());
        let reply = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, &count]).await?;
        let keys: Vec<&str> = reply.lines().filter(|key| !key.is_empty()).collect();
        if !keys.is_empty() {
            let port = to.port().to_string();
            let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            command.extend(&keys);
            from.command(&command).await?;
        }
        Ok(keys.len())
    }

    /// The last step: all primaries learn of the new owner.
    ///
    /// # Errors
    /// When a node refuses.
    pub async fn end_move(&self, slot: u16, to: &Server) -> Result<()> {
        let target = self.id(to).await?;
        let slot = slot.to_string();
        let command = ["CLUSTER", "SETSLOT", &slot, "NODE", &target];
        to.command(&command).await?;
        for node in self.primaries().await?.into_iter().filter(|node| node.port() != to.port()) {
            node.command(&command).await?;
        }
        Ok(())
    }

    /// Moves a slot with all its keys while clients work.
    ///
    /// # Errors
    /// When a node refuses.
    pub async fn move_slot(&self, slot: u16, to: &Server) -> Result<()> {
        self.begin_move(slot, to).await?;
        while self.move_keys(slot, to, 100).await? > 0 {}
        self.end_move(slot, to).await
    }

    async fn id(&self, node: &Server) -> Result<String> {
        node.command(&["CLUSTER", "MYID"]).await
    }
}

fn fine(flag: &str) -> bool {
    ["myself", "master", "slave"].contains(&flag)
}

async fn is_ok(node: &Server) -> Result<bool> {
    Ok(node.command(&["CLUSTER", "INFO"]).await?.contains("cluster_state:ok"))
}
