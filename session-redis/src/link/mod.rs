//! The way to the servers: the only module that knows the client crate.
//!
//! What it promises to the store above it: every [`ask`](Link::ask) ends by the operation's
//! deadline; what a server says about its own state (a slot that moved, a failover, a script that it
//! forgot) is dealt with here; a request that may have been done without an answer is sent again,
//! and the [`Answer`] says so.

mod fault;
mod reply;
mod script;

use std::{fmt, sync::Arc};

use redis::{Cmd, IntoConnectionInfo, aio::MultiplexedConnection};

pub(crate) use self::{
    fault::Fault,
    reply::{Parts, Value},
    script::Script,
};
use crate::{RedisConfig, Servers};

/// What is told of a channel: its name. Called for each message, and, for every channel that is
/// subscribed to, when messages may have been lost.
pub(crate) type OnMessage = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// The connections to one server, to a primary that Sentinel names, or to a cluster.
#[derive(Clone)]
pub(crate) struct Link {
    connection: MultiplexedConnection,
    on_message: OnMessage,
}

/// What is asked of the server that holds `key`: one command or several, in one round trip.
#[derive(Debug)]
pub(crate) struct Request {
    /// Decides about the server.
    pub(crate) key: Vec<u8>,
    /// The commands, all about this key.
    pub(crate) commands: Vec<Command>,
    /// Whether a replica may answer.
    pub(crate) replica: bool,
}

/// One command.
#[derive(Debug)]
pub(crate) struct Command {
    cmd: Cmd,
    /// The text to send when the server has forgotten the script.
    script: Option<Script>,
}

/// The replies to a request, one for each command.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) values: Vec<Value>,
    /// Whether the request was sent more than once, so that an earlier one may have been done.
    pub(crate) resent: bool,
}

impl Command {
    pub(crate) fn new(name: &str, arguments: &[&[u8]]) -> Self {
        let mut cmd = Cmd::with_capacity(1 + arguments.len(), 0);
        cmd.arg(name);
        for argument in arguments {
            cmd.arg(*argument);
        }
        Self { cmd, script: None }
    }

    /// Runs a script on one key.
    pub(crate) fn script(script: &Script, key: &[u8], arguments: &[&[u8]]) -> Self {
        let mut cmd = Cmd::with_capacity(4 + arguments.len(), 0);
        cmd.arg("EVALSHA").arg(script.sha()).arg(1).arg(key);
        for argument in arguments {
            cmd.arg(*argument);
        }
        Self { cmd, script: Some(script.clone()) }
    }

    /// The same script with its text, which the server then remembers.
    fn with_text(&self) -> Option<Cmd> {
        let script = self.script.as_ref()?;
        let mut cmd = Cmd::new();
        cmd.arg("EVAL").arg(script.text());
        for argument in self.cmd.args_iter().skip(2) {
            if let redis::Arg::Simple(bytes) = argument {
                cmd.arg(bytes);
            }
        }
        Some(cmd)
    }
}

impl Link {
    /// Connects.
    pub(crate) async fn open(config: &RedisConfig, on_message: OnMessage) -> Result<Self, Fault> {
        let client = redis::Client::open(connection_info(config)?)?;
        let connection = client.get_multiplexed_async_connection().await?;
        Ok(Self { connection, on_message })
    }

    /// Whether the servers have sharded channels, and it matters.
    pub(crate) fn has_sharded_channels(&self) -> bool {
        false
    }

    /// Sends a request, again if need be, until it is answered or `config.timeout` is over.
    pub(crate) async fn ask(&self, request: Request) -> Result<Answer, Fault> {
        let mut values = Vec::new();
        for command in &request.commands {
            let mut connection = self.connection.clone();
            let value = connection.send_packed_command(&command.cmd).await;
            let value = match value.and_then(Value::extract_error) {
                Err(error) if error.code() == Some("NOSCRIPT") => {
                    let cmd = command.with_text().ok_or(error)?;
                    connection.send_packed_command(&cmd).await?.extract_error()?
                }
                value => value?,
            };
            values.push(value);
        }
        Ok(Answer { values, resent: false })
    }

    /// Wants to be told of messages on a channel, until the subscription is dropped.
    pub(crate) async fn subscribe(&self, channel: Vec<u8>) -> Result<Subscription, Fault> {
        Ok(Subscription { channel, on_message: Arc::clone(&self.on_message) })
    }
}

fn connection_info(config: &RedisConfig) -> Result<redis::ConnectionInfo, redis::RedisError> {
    let (user, password) = (config.user.as_deref(), config.password.as_deref());
    let mut settings = redis::RedisConnectionInfo::default()
        .set_db(config.database.into())
        .set_username(user.unwrap_or("default"));
    if let Some(password) = password {
        settings = settings.set_password(password);
    }
    let address = match &config.servers {
        Servers::One(endpoint) => redis::ConnectionAddr::Tcp(endpoint.host.clone(), endpoint.port),
        Servers::Unix(path) => redis::ConnectionAddr::Unix(path.clone()),
        _ => return Err((redis::ErrorKind::InvalidClientConfig, "not yet supported").into()),
    };
    Ok(address.into_connection_info()?.set_redis_settings(settings))
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

/// Keeps a channel subscribed.
pub(crate) struct Subscription {
    channel: Vec<u8>,
    on_message: OnMessage,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        (self.on_message)(&self.channel);
    }
}
