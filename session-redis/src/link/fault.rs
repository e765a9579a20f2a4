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
        let code = code(error.code(), error.details());
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
fn code<'a>(code: &'a str, detail: Option<&str>) -> &'a str {
    const WRAPPED: [&str; 5] = ["READONLY", "OOM", "WRONGTYPE", "NOREPLICAS", "MISCONF"];
    match detail {
        Some(detail) if code == "ERR" && detail.starts_with("Error running script") => {
            WRAPPED.into_iter().find(|known| detail.contains(known)).unwrap_or(code)
        }
        Some(detail) if code == "ERR" && detail.starts_with("max number of clients") => "CLIENTS",
        Some(detail) if code == "ERR" && detail.contains("cluster support disabled") => "NOCLUSTER",
        Some(detail) if code == "ERR" && detail.starts_with("The user executing the script") => {
            "NOPERM"
        }
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
        "NOCLUSTER" => (false, Config, "the server is not part of a cluster"),
        "DENIED" => (false, Config, "the server refuses this client"),
        "WRONGTYPE" => (false, Corrupt, "the key holds something else"),
        _ => (false, Backend, ""),
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        let code = error.code().map(|named| code(named, error.detail()));
        let known = code.map(classify);
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
        let text = match code {
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

    pub(crate) const fn unacknowledged() -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> Verdict {
        let value = redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap();
        match value {
            redis::Value::ServerError(error) => Verdict::of(&error),
            other => panic!("no error: {other:?}"),
        }
    }

    #[test]
    fn error_replies_are_told_apart() {
        for passing in ["TRYAGAIN x", "BUSY x", "NOREPLICAS x", "ERR max number of clients reached"]
        {
            assert!(matches!(reply(passing), Verdict::Again(_)), "{passing}");
        }
        for elsewhere in ["READONLY x", "LOADING x", "MASTERDOWN x", "CLUSTERDOWN x"] {
            assert!(matches!(reply(elsewhere), Verdict::Elsewhere(_)), "{elsewhere}");
        }
        for lasting in ["OOM x", "NOAUTH x", "NOPERM x", "WRONGTYPE x", "ERR x"] {
            assert!(matches!(reply(lasting), Verdict::Never(_)), "{lasting}");
        }
        assert!(matches!(reply("MOVED 3999 a:6381"), Verdict::Moved(to) if to == "a:6381"));
        assert!(matches!(reply("ASK 3999 a:6381"), Verdict::Ask(to) if to == "a:6381"));
        assert!(matches!(reply("NOSCRIPT x"), Verdict::NoScript));
    }

    #[test]
    fn errors_in_scripts_of_old_servers_are_told_apart() {
        let wrapped = |inner| {
            reply(&format!("ERR Error running script (call to f_0): @user_script:1: {inner} x"))
        };
        assert!(matches!(wrapped("-READONLY"), Verdict::Elsewhere(_)));
        assert!(
            matches!(wrapped("WRONGTYPE"), Verdict::Never(fault) if fault.kind == ErrorKind::Corrupt)
        );
    }

    #[test]
    fn what_a_server_quotes_is_not_shown() {
        let Verdict::Never(fault) = reply("ERR unknown command 'X', with args: 'secret'") else {
            panic!("it stays");
        };
        let error = fault.into_error(Operation::Load, false);
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
