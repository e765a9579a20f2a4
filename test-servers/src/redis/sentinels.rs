//! A primary and a replica that three Sentinels watch.

use std::{sync::Arc, time::Duration};

use crate::{
    Error, Result,
    ports::{Ports, with_ports},
    redis::{Options, Server},
    until,
};

const START: Duration = Duration::from_secs(90);
/// A Sentinel says hello to the others this often, so that the start need not take seconds.
const GREETING: &str = "100";

/// A primary and a replica that three Sentinels watch under the name [`Sentinels::NAME`].
#[derive(Debug)]
pub struct Sentinels {
    nodes: Vec<Server>,
    sentinels: Vec<Server>,
}

impl Sentinels {
    /// What the Sentinels call the pair.
    pub const NAME: &str = "mymaster";

    /// Starts all five and waits until they know each other and the replica follows.
    ///
    /// # Errors
    /// With a server's log when they do not. Users and TLS are not supported.
    pub async fn start(options: &Options) -> Result<Self> {
        if options.tls || options.user.is_some() {
            return Err(Error::new("a pair under Sentinel has neither TLS nor users"));
        }
        with_ports(|ports| Self::start_at(options, ports)).await
    }

    async fn start_at(options: &Options, ports: Arc<Ports>) -> Result<Self> {
        let primary = Server::prepare(options, &ports, 0)?.argument(DELAY, "0");
        let following = format!("127.0.0.1 {}", primary.port());
        let replica = Server::prepare(options, &ports, 1)?
            .argument(DELAY, "0")
            .argument("replicaof", &following);
        let watched = format!(
            "sentinel monitor {0} {following} 2\nsentinel down-after-milliseconds {0} 1000\n\
             sentinel failover-timeout {0} 5000\n",
            Self::NAME
        );
        let sentinels: Result<Vec<Server>> = (2..5)
            .map(|at| Server::prepare(options, &ports, at)?.configured(&watched, "--sentinel"))
            .collect();
        let pair = Self { nodes: vec![primary, replica], sentinels: sentinels? };
        pair.bring_up().await?;
        Ok(pair)
    }

    async fn bring_up(&self) -> Result<()> {
        self.all().try_for_each(Server::spawn)?;
        for server in self.all() {
            server.wait_until_it_answers().await?;
        }
        for sentinel in &self.sentinels {
            sentinel.command(&["SENTINEL", "DEBUG", "PUBLISH-PERIOD", GREETING]).await?;
            sentinel.command(&["SENTINEL", "DEBUG", "INFO-PERIOD", GREETING]).await?;
        }
        self.wait_until_whole().await
    }

    fn all(&self) -> impl Iterator<Item = &Server> {
        self.nodes.iter().chain(&self.sentinels)
    }

    /// The two servers. Which of them is the primary changes.
    #[must_use]
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// The three Sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[Server] {
        &self.sentinels
    }

    /// The node that the Sentinels announce as the primary.
    ///
    /// # Errors
    /// When no Sentinel answers.
    pub async fn primary(&self) -> Result<&Server> {
        let sentinel = self.sentinels.iter().find(|sentinel| sentinel.is_up());
        let sentinel = sentinel.ok_or_else(|| Error::new("no Sentinel is up"))?;
        self.primary_of(sentinel).await
    }

    async fn primary_of(&self, sentinel: &Server) -> Result<&Server> {
        let reply = sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::NAME]).await?;
        let known = self.nodes.iter().find(|node| reply.ends_with(&format!("\n{}", node.port())));
        known.ok_or_else(|| Error::new(format!("no node of ours: {reply}")))
    }

    /// Waits until every Sentinel announces another primary than `old`, and it takes writes.
    ///
    /// # Errors
    /// When that is not so within `limit`.
    pub async fn wait_for_another(&self, old: &Server, limit: Duration) -> Result<&Server> {
        until("other primary", limit, || async {
            let mut announced = self.primary().await?;
            for sentinel in self.sentinels.iter().filter(|sentinel| sentinel.is_up()) {
                announced = self.primary_of(sentinel).await?;
                if announced.port() == old.port() {
                    return Ok(None);
                }
            }
            let role = announced.command(&["ROLE"]).await?;
            Ok(role.starts_with("master").then_some(announced))
        })
        .await
    }

    /// Waits until all Sentinels that are up agree, and both nodes are up, one following the other.
    ///
    /// # Errors
    /// When that is not so within half a minute.
    pub async fn wait_until_whole(&self) -> Result<()> {
        let whole = until("whole pair", START, || async {
            for sentinel in self.sentinels.iter().filter(|sentinel| sentinel.is_up()) {
                sentinel.command(&["SENTINEL", "CKQUORUM", Self::NAME]).await?;
                let known = sentinel.info().await?;
                let known = known.get("master0").cloned().unwrap_or_default();
                if !known.contains("status=ok") || !known.contains("slaves=1,sentinels=3") {
                    return Err(Error::new(known));
                }
            }
            let primary = self.primary().await?.info().await?;
            Ok(primary.get("slave0").is_some_and(|it| it.contains("state=online")).then_some(()))
        });
        whole.await.map_err(|error| {
            let log = self.all().map(|server| server.log()).collect::<String>();
            Error::of_start(&error.to_string(), &log)
        })
    }
}

/// A replica's first copy starts at once.
pub(crate) const DELAY: &str = "repl-diskless-sync-delay";
