//! What a server is started with.

use crate::redis::Flavor;

/// What a server is started with. Without more: TCP and a Unix socket, no password, nothing kept
/// on disk, `DEBUG` allowed.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) flavor: Flavor,
    pub(crate) tls: bool,
    pub(crate) user: Option<User>,
    pub(crate) persistence: Persistence,
    pub(crate) arguments: Vec<String>,
}

/// Who may log in, with which password, and what for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct User {
    /// The user's name.
    pub name: String,
    /// The password.
    pub password: String,
    /// As in an ACL file: `~session:* &session:* +get +evalsha`.
    pub rules: String,
}

/// What of the data is still there after `kill -9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Persistence {
    /// Nothing.
    None,
    /// All but about the last second.
    EverySecond,
    /// Everything that was acknowledged.
    Always,
}

impl Options {
    /// For Redis.
    #[must_use]
    pub fn redis() -> Self {
        Self::new(Flavor::Redis)
    }

    /// For Valkey.
    #[must_use]
    pub fn valkey() -> Self {
        Self::new(Flavor::Valkey)
    }

    /// For this flavor.
    #[must_use]
    pub fn new(flavor: Flavor) -> Self {
        Self {
            flavor,
            tls: false,
            user: None,
            persistence: Persistence::None,
            arguments: Vec::new(),
        }
    }

    /// TLS instead of plain TCP, with a certificate for `localhost` and `127.0.0.1`. The Unix
    /// socket stays plain.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Nobody but this user may log in; the rules are those of an ACL file, such as
    /// `~session:* &session:* +@read +@write -@dangerous`.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str, rules: &str) -> Self {
        let [name, password, rules] = [name, password, rules].map(str::to_owned);
        self.user = Some(User { name, password, rules });
        self
    }

    /// What is kept on disk.
    #[must_use]
    pub fn persistence(mut self, persistence: Persistence) -> Self {
        self.persistence = persistence;
        self
    }

    /// How many databases there are; 16 unless it is said.
    #[must_use]
    pub fn databases(self, count: u16) -> Self {
        self.argument("databases", &count.to_string())
    }

    /// How much memory the data may take, and which keys go when it is full: `"2mb"`,
    /// `"noeviction"`.
    #[must_use]
    pub fn max_memory(self, size: &str, policy: &str) -> Self {
        self.argument("maxmemory", size).argument("maxmemory-policy", policy)
    }

    /// Any other directive of the server's configuration, with its value.
    #[must_use]
    pub fn argument(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([format!("--{name}"), value.to_owned()]);
        self
    }

    /// The server's arguments that do not depend on where it runs.
    pub(crate) fn server_arguments(&self) -> Vec<String> {
        let (append, sync) = match self.persistence {
            Persistence::None => ("no", "no"),
            Persistence::EverySecond => ("yes", "everysec"),
            Persistence::Always => ("yes", "always"),
        };
        ["--enable-debug-command", "local", "--save", "", "--appendonly", append]
            .into_iter()
            .chain(["--appendfsync", sync])
            .map(str::to_owned)
            .chain(self.arguments.iter().cloned())
            .collect()
    }
}
