//! HAProxy, a load balancer.
//!
//! ```no_run
//! # async fn example() -> test_servers::Result<()> {
//! use test_servers::haproxy::{Haproxy, Options};
//!
//! let balancer = Haproxy::start(&Options::new(["one", "two"])).await?;
//! // .. a server listens on `balancer.port_behind(0)` of this machine ..
//! balancer.admit(0).await?;
//! // .. and gets what is sent to `balancer.address()` ..
//! # Ok(()) }
//! ```

use std::{collections::BTreeMap, fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use crate::{
    Error, Result, directory,
    ports::{Ports, with_ports},
    process::Process,
    programs, until,
};

/// The header of responses that names the server they are from. What the balancer answers by
/// itself has none.
pub const SERVED_BY: &str = "x-served-by";

const START: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(10);
/// The section of the servers in the configuration.
const SERVERS: &str = "servers";

/// What a balancer is started with: round robin among servers, each request for itself, and no
/// server admitted yet.
#[derive(Debug, Clone)]
pub struct Options {
    servers: Vec<String>,
    port: Option<u16>,
    sticky: bool,
    health: String,
    aside: Option<(String, SocketAddr)>,
}

impl Options {
    /// In front of servers of these names, fourteen at the most.
    pub fn new<N: Into<String>>(servers: impl IntoIterator<Item = N>) -> Self {
        let servers = servers.into_iter().map(Into::into).collect();
        Self { servers, port: None, sticky: false, health: "/".to_owned(), aside: None }
    }

    /// Listens here, and not on any port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Binds each visitor to a server by a cookie of its own, for as long as that server lives.
    #[must_use]
    pub fn sticky(mut self) -> Self {
        self.sticky = true;
        self
    }

    /// Servers are well that answer a `GET` of this path with success.
    #[must_use]
    pub fn health(mut self, path: &str) -> Self {
        path.clone_into(&mut self.health);
        self
    }

    /// Sends requests below a path to somebody else.
    #[must_use]
    pub fn aside(mut self, path: &str, to: SocketAddr) -> Self {
        self.aside = Some((path.to_owned(), to));
        self
    }

    /// A request that never reached a server goes to another one. Of those that broke off only a
    /// `GET` is sent again. Two balancers must not share a port by chance.
    fn configuration(&self, front: u16, socket: &str, ports: &Ports) -> String {
        let cookie =
            if self.sticky { "cookie server insert indirect nocache httponly" } else { "" };
        let aside = self.aside.as_ref().map(|(path, to)| {
            let rule = format!("use_backend aside if {{ path_beg {path} }}");
            (rule, format!("backend aside\n    server aside {to}\n"))
        });
        let (rule, aside) = aside.unwrap_or_default();
        let servers: String = (1..)
            .zip(&self.servers)
            .map(|(index, name)| {
                let port = ports.port(index);
                format!("    server {name} 127.0.0.1:{port} check disabled cookie {name}\n")
            })
            .collect();
        format!(
            "global\n    stats socket {socket} level admin\n    noreuseport\n    maxconn 4000\n\
             defaults\n    mode http\n    timeout connect 5s\n    timeout client 60s\n    \
             timeout server 60s\n    timeout check 20s\n    retries 5\n    \
             option http-server-close\n    option redispatch 1\n    retry-on conn-failure empty-response\n\
             frontend front\n    bind 127.0.0.1:{front}\n    {rule}\n    \
             default_backend {SERVERS}\n\
             backend {SERVERS}\n    balance roundrobin\n    {cookie}\n    \
             http-request disable-l7-retry unless METH_GET\n    \
             option httpchk GET {health}\n    http-response set-header {SERVED_BY} %s\n    \
             default-server inter 200ms fall 2 rise 1\n{servers}{aside}",
            health = self.health,
        )
    }
}

/// A running balancer. Dropping it kills it.
#[derive(Debug)]
pub struct Haproxy {
    process: Process,
    socket: PathBuf,
    servers: Vec<String>,
    front: u16,
    ports: Arc<Ports>,
    _directory: TempDir,
}

/// What the balancer tells of a server behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Behind {
    /// Its name.
    pub name: String,
    /// As in `UP`, `DOWN` or `MAINT`.
    pub status: String,
    /// How often it was asked, checks of its health aside.
    pub requests: u64,
    /// How many of these it has not answered yet.
    pub under_way: u64,
    /// How many connections to it failed, or broke off before the answer.
    pub failures: u64,
    /// How many requests went to another server instead.
    pub redispatched: u64,
}

impl Haproxy {
    /// Why no balancer can be started here, if none can.
    #[must_use]
    pub fn missing() -> Option<String> {
        programs::find("haproxy").err().map(|error| error.to_string())
    }

    /// Starts a balancer and waits until it answers.
    ///
    /// # Errors
    /// With its log when it does not; and when the port that it was told to use is taken.
    pub async fn start(options: &Options) -> Result<Self> {
        with_ports(|ports| Self::start_at(options, ports)).await
    }

    async fn start_at(options: &Options, ports: Arc<Ports>) -> Result<Self> {
        let directory = directory::fresh()?;
        let socket = directory.path().join("admin");
        let front = options.port.unwrap_or_else(|| ports.port(0));
        let text = options.configuration(front, &socket.display().to_string(), &ports);
        fs::write(directory.path().join("haproxy.cfg"), text)?;
        let program = programs::find("haproxy")?;
        let process = Process::spawn(&program, &["-db", "-f", "haproxy.cfg"], &directory)?;
        let servers = options.servers.clone();
        let balancer = Self { process, socket, servers, front, ports, _directory: directory };
        let answers = until("balancer", START, || async {
            let ended = balancer.process.has_ended();
            Ok(if ended {
                Some(false)
            } else {
                balancer.command("show info").await.ok().map(|_| true)
            })
        });
        match answers.await {
            Ok(true) => Ok(balancer),
            Ok(false) => Err(Error::of_start("the balancer ended at its start", &balancer.log())),
            Err(error) => Err(Error::of_start(&error.to_string(), &balancer.log())),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.front))
    }

    /// Where the server of this number is to listen, on this machine.
    #[must_use]
    pub fn port_behind(&self, server: u16) -> u16 {
        self.ports.port(server + 1)
    }

    /// Sends requests to a server from now on.
    ///
    /// # Errors
    /// When there is none of this number.
    pub async fn admit(&self, server: u16) -> Result<()> {
        self.set_state(server, "ready").await
    }

    /// Sends no more requests to a server. Those that it has go on.
    ///
    /// # Errors
    /// When there is none of this number.
    pub async fn dismiss(&self, server: u16) -> Result<()> {
        self.set_state(server, "maint").await
    }

    async fn set_state(&self, server: u16, state: &str) -> Result<()> {
        let name = self.servers.get(usize::from(server)).ok_or_else(|| Error::new("no server"))?;
        let reply = self.command(&format!("set server {SERVERS}/{name} state {state}")).await?;
        if reply.trim().is_empty() { Ok(()) } else { Err(Error::new(reply)) }
    }

    /// What it tells of the servers, in their order.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn servers(&self) -> Result<Vec<Behind>> {
        Ok(parse(&self.command("show stat").await?))
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The id of its process.
    #[must_use]
    pub fn process_id(&self) -> i32 {
        self.process.id()
    }

    async fn command(&self, command: &str) -> Result<String> {
        let reply = async {
            let mut stream = UnixStream::connect(&self.socket).await?;
            stream.write_all(format!("{command}\n").as_bytes()).await?;
            let mut reply = String::new();
            stream.read_to_string(&mut reply).await?;
            Ok::<_, Error>(reply)
        };
        timeout(PATIENCE, reply)
            .await
            .map_err(|_elapsed| Error::new("the balancer does not answer"))?
    }
}

/// The lines of the servers in what `show stat` prints, a table with commas.
fn parse(table: &str) -> Vec<Behind> {
    let mut lines = table.lines().filter(|line| !line.is_empty());
    let names: Vec<&str> =
        lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
    let rows = lines.map(|line| names.iter().copied().zip(line.split(',')).collect());
    rows.filter_map(|row: BTreeMap<&str, &str>| {
        let text = |name| row.get(name).copied().unwrap_or_default();
        let number = |name| text(name).parse::<u64>().unwrap_or_default();
        let ours = text("pxname") == SERVERS && text("svname") != "BACKEND";
        ours.then(|| Behind {
            name: text("svname").to_owned(),
            status: text("status").to_owned(),
            requests: number("stot"),
            under_way: number("scur"),
            failures: number("econ") + number("eresp"),
            redispatched: number("wredis"),
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_are_found_in_the_table() {
        let table = "# pxname,svname,status,scur,stot,econ,eresp,wredis,\n\
                     front,FRONTEND,OPEN,5,9,,0,,\nservers,one,UP,4,7,1,2,3,\n\
                     servers,BACKEND,UP,4,7,1,2,3,\naside,aside,UP,0,1,0,0,0,\n\n";
        let (name, status) = ("one".to_owned(), "UP".to_owned());
        let one = Behind { name, status, requests: 7, under_way: 4, failures: 3, redispatched: 3 };
        assert_eq!(parse(table), [one]);
    }
}
