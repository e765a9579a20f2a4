//! Real PHP with php-memcached, and our store, at the same live sessions.

use std::{process::ExitCode, sync::Arc, time::Duration};

use async_trait::async_trait;
use session_core::SessionStore;
use session_memcached::{
    Endpoint, Hashing,
    php::{PhpLayout, PhpLock},
};
use test_php::{Layout, Lock, Php, Place, Promises, Result};
use test_servers::memcached::{Options, Server};
use tokio::sync::OnceCell;

static SERVERS: OnceCell<Vec<Server>> = OnceCell::const_new();

fn main() -> ExitCode {
    let kinds = [
        ("php-memcached", Kind { servers: 1, hashing: Hashing::Ketama, locks: true }),
        ("php-memcached-ketama", Kind { servers: 3, hashing: Hashing::Ketama, locks: true }),
        (
            "php-memcached-weighted",
            Kind { servers: 3, hashing: Hashing::KetamaWeighted, locks: false },
        ),
        ("php-memcached-modulo", Kind { servers: 3, hashing: Hashing::Modulo, locks: false }),
    ];
    let layouts = kinds.map(|(name, kind)| Arc::new(Named { name, kind }) as Arc<dyn Layout>);
    test_php::main(|place| Box::pin(open(place)), layouts.into())
}

/// How PHP is set up.
#[derive(Debug, Clone, Copy)]
struct Kind {
    servers: usize,
    hashing: Hashing,
    locks: bool,
}

#[derive(Debug)]
struct Named {
    name: &'static str,
    kind: Kind,
}

#[derive(Debug)]
struct Prefixed {
    kind: Kind,
    prefix: String,
    addresses: Vec<String>,
}

async fn servers() -> Result<&'static [Server]> {
    let start = || async {
        let mut servers = Vec::new();
        for _ in 0..3 {
            servers.push(Server::start(&Options::new()).await?);
        }
        test_servers::Result::Ok(servers)
    };
    Ok(SERVERS.get_or_try_init(start).await?)
}

#[async_trait]
impl Layout for Named {
    fn name(&self) -> &str {
        self.name
    }

    fn words(&self) -> &'static [&'static str] {
        &["memcached"]
    }

    fn missing(&self) -> Option<String> {
        Server::missing(&Options::new()).or_else(|| test_servers::php::missing(&["memcached"]))
    }

    fn promises(&self) -> Promises {
        Promises::new(if self.kind.locks { Lock::Expires } else { Lock::None }).by_server()
    }

    async fn place(&self) -> Result<Arc<dyn Place>> {
        let prefix = format!("p{:016x}.", fastrand::u64(..));
        let servers = servers().await?.iter().take(self.kind.servers);
        let addresses = servers.map(Server::address).collect();
        Ok(Arc::new(Prefixed { kind: self.kind, prefix, addresses }))
    }
}

impl Prefixed {
    /// The addresses, and the weights 1, 2, 3 where they count.
    fn weighted(&self) -> impl Iterator<Item = (&str, u32)> {
        let counts = self.kind.hashing == Hashing::KetamaWeighted;
        let weights = (1..).map(move |weight| if counts { weight } else { 1 });
        self.addresses.iter().map(String::as_str).zip(weights)
    }
}

#[async_trait]
impl Place for Prefixed {
    fn php(&self) -> Php {
        let servers = self.weighted().map(|(address, weight)| format!("{address}:{weight}"));
        let kind = match self.kind.hashing {
            Hashing::KetamaWeighted => "ketama_weighted",
            _ => "ketama",
        };
        Php::default()
            .ini("session.save_handler", "memcached")
            .ini("session.save_path", servers.collect::<Vec<_>>().join(","))
            .ini("memcached.sess_prefix", &self.prefix)
            .ini("memcached.sess_locking", u8::from(self.kind.locks))
            .ini("memcached.sess_lock_expire", 60)
            .ini("memcached.sess_lock_retries", 100_000)
            .ini("memcached.sess_lock_wait_min", 2)
            .ini("memcached.sess_lock_wait_max", 2)
            .ini("memcached.sess_consistent_hash", u8::from(self.kind.hashing != Hashing::Modulo))
            .ini("memcached.sess_consistent_hash_type", kind)
            .brief("memcached.sess_lock_expire", 1)
    }

    fn peer(&self) -> String {
        let servers: Vec<String> =
            self.weighted().map(|(address, weight)| format!("{address}:{weight}")).collect();
        let locks = self.kind.locks;
        format!("{:?} {locks} {} {}", self.kind.hashing, self.prefix, servers.join(" "))
    }

    async fn age(&self, id: &str, by: Duration) -> Result<bool> {
        let name = format!("{}{id}", self.prefix);
        for server in servers().await? {
            let found = server.command(&format!("mg {name} t\r\n")).await?;
            if let Some(left) = found.trim().strip_prefix("HD t") {
                let left = left.parse::<u64>()?.saturating_sub(by.as_secs());
                let command = if left == 0 { "md" } else { "mg" };
                let left = if left == 0 { String::new() } else { format!(" T{left}") };
                server.command(&format!("{command} {name}{left}\r\n")).await?;
            }
        }
        // What is nowhere has expired already, as the case expects of it.
        Ok(true)
    }
}

async fn open(place: String) -> Result<Arc<dyn SessionStore>> {
    let words: Vec<&str> = place.split(' ').collect();
    let [hashing, locks, prefix, servers @ ..] = &*words else { return Err("no place".into()) };
    let mut endpoints = Vec::new();
    for server in servers {
        let parts: Vec<&str> = server.split(':').collect();
        let [host, port, weight] = *parts else { return Err("no server".into()) };
        endpoints.push(Endpoint::new(host, port.parse()?).weight(weight.parse()?));
    }
    let mut layout = PhpLayout::new(endpoints);
    layout.lock = (*locks == "true").then(PhpLock::new);
    (*prefix).clone_into(&mut layout.memcached.prefix);
    layout.memcached.hashing = match *hashing {
        "KetamaWeighted" => Hashing::KetamaWeighted,
        "Modulo" => Hashing::Modulo,
        _ => Hashing::Ketama,
    };
    // A machine may be busy.
    layout.memcached.timeout = Duration::from_secs(120);
    layout.memcached.response_timeout = Duration::from_secs(60);
    layout.memcached.connect_timeout = Duration::from_secs(60);
    Ok(Arc::new(session_memcached::php::PhpStore::open(layout).await?))
}
