//! From what servers and connections report to the errors of the contract.

use std::{error::Error as StdError, fmt};

use redis::{RedisError, ServerError};
use session_core::{Error, ErrorKind, Operation};

use crate::BACKEND;

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(super) kind: ErrorKind,
    detail: &'static str,
    /// Whether the request may have been done nonetheless.
    maybe_applied: bool,
    cause: Option<Cause>,
}

/// What was reported, without what a server quotes of a command: it may name a key.
#[derive(Debug, Clone)]
struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Cause {}

/// What an error reply calls for.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The server has forgotten the script.
    NoScript,
    /// Another server of the cluster has the key.
    Moved(String),
    /// Another server of the cluster is taking the key over.
    Ask(String),
    /// It passes.
    Again(Fault),
    /// It passes, but the server has perhaps lost its part to another one.
    Elsewhere(Fault),
    /// It stays.
    Never(Fault),
}

impl Verdict {
    pub(super) fn of(error: &ServerError) -> Self {
        let code = code(error);
        match code {
            "NOSCRIPT" => return Self::NoScript,
            "MOVED" | "ASK" => {
                let target = error.details().and_then(|detail| detail.split_whitespace().nth(1));
                match target {
                    Some(target) if code == "MOVED" => return Self::Moved(target.to_owned()),
                    Some(target) => return Self::Ask(target.to_owned()),
                    None => {}
                }
            }
            _ => {}
        }
        let (passes, kind, detail) = classify(code);
        let cause = Some(Cause(format!("the server replied {code}")));
        let fault = Fault { kind, detail, maybe_applied: false, cause };
        match code {
            "READONLY" | "MASTERDOWN" | "LOADING" | "CLUSTERDOWN" => Self::Elsewhere(fault),
            _ if passes => Self::Again(fault),
            _ => Self::Never(fault),
        }
    }
}

/// Servers before 7.0 wrap what went wrong inside a script.
fn code(error: &ServerError) -> &str {
    const WRAPPED: [&str; 5] = ["READONLY", "OOM", "WRONGTYPE", "NOREPLICAS", "MISCONF"];
    let code = error.code();
    match error.details() {
        Some(detail) if code == "ERR" && detail.starts_with("Error running script") => {
            WRAPPED.into_iter().find(|known| detail.contains(known)).unwrap_or(code)
        }
        Some(detail) if code == "ERR" && detail.starts_with("max number of clients") => "CLIENTS",
        _ => code,
    }
}

/// Whether it passes, what it is to the caller, and what to tell people.
fn classify(code: &str) -> (bool, ErrorKind, &'static str) {
    use ErrorKind::{Backend, Config, Corrupt, Unavailable};
    match code {
        "LOADING" => (true, Unavailable, "the server is loading its data"),
        "READONLY" => (true, Unavailable, "the server is a replica"),
        "MASTERDOWN" => (true, Unavailable, "the replica has lost its primary"),
        "NOREPLICAS" => (true, Unavailable, "too few replicas are connected"),
        "BUSY" => (true, Unavailable, "the server is busy with a script"),
        "CLIENTS" => (true, Unavailable, "the server has too many clients"),
        "CLUSTERDOWN" => (true, Unavailable, "the cluster is down"),
        "MOVED" | "ASK" | "TRYAGAIN" => (true, Unavailable, "the cluster is being changed"),
        "OOM" => (false, Unavailable, "the server's memory is full"),
        "MISCONF" => (false, Unavailable, "the server cannot save to its disk"),
        "NOAUTH" | "WRONGPASS" => (false, Config, "user or password are wrong"),
        "NOPERM" => (false, Config, "the user may not do this"),
        "DENIED" => (false, Config, "the server refuses this client"),
        "WRONGTYPE" => (false, Corrupt, "the key holds something else"),
        _ => (false, Backend, ""),
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        let known = error.code().map(classify);
        let (kind, detail) = match known {
            _ if error.kind() == redis::ErrorKind::AuthenticationFailed => {
                (ErrorKind::Config, "user or password are wrong")
            }
            Some((_, kind, detail)) => (kind, detail),
            None if error.is_timeout() => (ErrorKind::Timeout, ""),
            None if error.is_io_error() => (ErrorKind::Unavailable, ""),
            None if error.kind() == redis::ErrorKind::InvalidClientConfig => {
                (ErrorKind::Config, "")
            }
            None => (ErrorKind::Backend, ""),
        };
        let text = match error.code() {
            Some(code) => format!("the server replied {code}"),
            None if error.is_io_error() => error.to_string(),
            None => error.category().to_owned(),
        };
        Self { kind, detail, maybe_applied: false, cause: Some(Cause(text)) }
    }
}

impl Fault {
    pub(super) const fn new(kind: ErrorKind, detail: &'static str) -> Self {
        Self { kind, detail, maybe_applied: false, cause: None }
    }

    pub(super) const fn timeout() -> Self {
        Self::new(ErrorKind::Timeout, "")
    }

    pub(super) const fn unacknowledged() -> Self {
        let detail = "written, but not acknowledged by enough replicas";
        Self::new(ErrorKind::Unavailable, detail).in_doubt(true)
    }

    /// Whether the user is known, but may not do this.
    pub(super) fn lacks_permission(&self) -> bool {
        self.cause.as_ref().is_some_and(|cause| cause.0.ends_with("NOPERM"))
    }

    /// Whether another try may go better.
    pub(super) const fn passes(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    pub(super) const fn in_doubt(mut self, maybe_applied: bool) -> Self {
        self.maybe_applied = maybe_applied;
        self
    }

    /// The error of an operation. `writes`: whether it could have changed something.
    pub(crate) fn into_error(self, operation: Operation, writes: bool) -> Error {
        let mut error = Error::new(self.kind, BACKEND, operation);
        if let Some(cause) = self.cause {
            error = error.with_source(cause);
        }
        let error = if self.detail.is_empty() { error } else { error.with_detail(self.detail) };
        if writes && self.maybe_applied { error.with_maybe_applied() } else { error }
    }
}
