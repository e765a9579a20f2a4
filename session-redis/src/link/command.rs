//! Commands, requests made of them, and answers.

use std::fmt;

use redis::{Arg, Cmd};

use super::{Script, Value};

/// What is asked of the server that holds `key`: one command or several, in one round trip.
pub(crate) struct Request {
    /// Decides about the server; any server when it is empty.
    pub(crate) key: Vec<u8>,
    /// The commands, all about this key.
    pub(crate) commands: Vec<Command>,
    /// Whether a replica may answer.
    pub(crate) replica: bool,
}

/// One command.
pub(crate) struct Command {
    cmd: Cmd,
    /// The text to send when the server has forgotten the script.
    script: Option<Script>,
}

/// The replies to a request, one for each command.
pub(crate) struct Answer {
    pub(crate) values: Vec<Value>,
    /// Whether the request was sent more than once, and an earlier one may have been done.
    pub(crate) resent: bool,
    /// Whether as many replicas as wanted have what was written.
    pub(crate) acknowledged: bool,
}

impl Request {
    /// Whether it makes a change that may have to wait for replicas: scripts alone do.
    pub(super) fn writes(&self) -> bool {
        self.commands.iter().any(|command| command.script.is_some())
    }
}

impl Command {
    pub(crate) fn new(name: &str, arguments: &[&[u8]]) -> Self {
        let size = arguments.iter().map(|argument| argument.len()).sum::<usize>();
        let mut cmd = Cmd::with_capacity(1 + arguments.len(), name.len() + size);
        cmd.arg(name);
        for argument in arguments {
            cmd.arg(*argument);
        }
        Self { cmd, script: None }
    }

    /// Runs a script on keys that are all on one server.
    pub(crate) fn script(script: &Script, keys: &[&[u8]], arguments: &[&[u8]]) -> Self {
        let all = || keys.iter().chain(arguments);
        let size = all().map(|argument| argument.len()).sum::<usize>();
        let mut cmd = Cmd::with_capacity(3 + all().count(), 49 + size);
        cmd.arg(b"EVALSHA").arg(script.sha()).arg(keys.len());
        for argument in all() {
            cmd.arg(*argument);
        }
        Self { cmd, script: Some(script.clone()) }
    }

    pub(super) const fn cmd(&self) -> &Cmd {
        &self.cmd
    }

    /// About how many bytes it has.
    pub(super) fn size(&self) -> usize {
        self.cmd
            .args_iter()
            .map(|arg| if let Arg::Simple(bytes) = arg { bytes.len() } else { 0 })
            .sum()
    }

    pub(super) fn into_parts(self) -> (Cmd, Option<Script>) {
        (self.cmd, self.script)
    }

    pub(super) const fn from_parts(cmd: Cmd, script: Option<Script>) -> Self {
        Self { cmd, script }
    }

    /// The same script with its text, which the server then remembers; other commands as they are.
    pub(super) fn with_text(self) -> Self {
        let Some(script) = &self.script else { return self };
        let mut cmd = Cmd::new();
        cmd.arg(b"EVAL").arg(script.text());
        for argument in self.cmd.args_iter().skip(2) {
            if let Arg::Simple(bytes) = argument {
                cmd.arg(bytes);
            }
        }
        Self { cmd, script: self.script }
    }
}

/// Shows no key and no argument.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("commands", &self.commands.len())
            .field("replica", &self.replica)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("script", &self.script.is_some()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("values", &self.values.len())
            .field("resent", &self.resent)
            .finish()
    }
}
