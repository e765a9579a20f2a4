//! From what servers and connections report to the errors of the contract.

use std::{error::Error as StdError, fmt, io};

use session_core::{Error, ErrorKind, Operation};

use super::reply::ErrorReply;
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
    pub(super) fn of(error: &ErrorReply) -> Self {
        let code = code(error);
        match (code, error.detail().split_whitespace().nth(1)) {
            ("NOSCRIPT", _) => return Self::NoScript,
            ("MOVED", Some(target)) => return Self::Moved(target.to_owned()),
            ("ASK", Some(target)) => return Self::Ask(target.to_owned()),
            _ => {}
        }
        let fault = Fault::from(error);
        match code {
            "READONLY" | "MASTERDOWN" | "LOADING" | "CLUSTERDOWN" => Self::Elsewhere(fault),
            _ if passes(code) => Self::Again(fault),
            _ => Self::Never(fault),
        }
    }
}

/// Servers before 7.0 wrap what went wrong inside a script.
fn code(error: &ErrorReply) -> &str {
    const WRAPPED: [&str; 5] = ["READONLY", "OOM", "WRONGTYPE", "NOREPLICAS", "MISCONF"];
    let (code, detail) = (error.code(), error.detail());
    if code != "ERR" {
        return code;
    }
    if detail.starts_with("Error running script") {
        return WRAPPED.into_iter().find(|known| detail.contains(known)).unwrap_or(code);
    }
    if detail.starts_with("max number of clients") {
        return "CLIENTS";
    }
    if detail.contains("cluster support disabled") {
        return "NOCLUSTER";
    }
    if detail.starts_with("The user executing the script") { "NOPERM" } else { code }
}

/// Whether it passes.
fn passes(code: &str) -> bool {
    matches!(
        code,
        "LOADING"
            | "READONLY"
            | "MASTERDOWN"
            | "NOREPLICAS"
            | "BUSY"
            | "CLIENTS"
            | "CLUSTERDOWN"
            | "MOVED"
            | "ASK"
            | "TRYAGAIN"
    )
}

/// What it is to the caller, and what to tell people.
fn classify(code: &str) -> (ErrorKind, &'static str) {
    use ErrorKind::{Backend, Config, Corrupt, Unavailable};
    match code {
        "LOADING" => (Unavailable, "the server is loading its data"),
        "READONLY" => (Unavailable, "the server is a replica"),
        "MASTERDOWN" => (Unavailable, "the replica has lost its primary"),
        "NOREPLICAS" => (Unavailable, "too few replicas are connected"),
        "BUSY" => (Unavailable, "the server is busy with a script"),
        "CLIENTS" => (Unavailable, "the server has too many clients"),
        "CLUSTERDOWN" => (Unavailable, "the cluster is down"),
        "MOVED" | "ASK" | "TRYAGAIN" => (Unavailable, "the cluster is being changed"),
        "OOM" => (Unavailable, "the server's memory is full"),
        "MISCONF" => (Unavailable, "the server cannot save to its disk"),
        "NOAUTH" | "WRONGPASS" => (Config, "user or password are wrong"),
        "NOPERM" => (Config, "the user may not do this"),
        "NOCLUSTER" => (Config, "the server is not part of a cluster"),
        "DENIED" => (Config, "the server refuses this client"),
        "WRONGTYPE" => (Corrupt, "the key holds something else"),
        _ => (Backend, ""),
    }
}

impl From<&ErrorReply> for Fault {
    fn from(error: &ErrorReply) -> Self {
        let code = code(error);
        let (kind, detail) = classify(code);
        let cause = Some(Cause(format!("the server replied {code}")));
        Self { kind, detail, maybe_applied: false, cause }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => ErrorKind::Timeout,
            _ => ErrorKind::Unavailable,
        };
        let cause = Some(Cause(error.to_string()));
        Self { kind, detail: "", maybe_applied: false, cause }
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

    /// The same, but for one that says nothing more than that the server refused.
    pub(super) fn or(self, kind: ErrorKind, detail: &'static str) -> Self {
        if self.kind == ErrorKind::Backend { Self { kind, detail, ..self } } else { self }
    }

    /// Whether the user is known, but may not do this.
    pub(super) fn lacks_permission(&self) -> bool {
        self.cause.as_ref().is_some_and(|cause| cause.0.ends_with("NOPERM"))
    }

    /// Whether another try may go better.
    pub(super) const fn passes(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    /// Whether nothing is known but that there was no answer in time.
    pub(super) const fn is_silence(&self) -> bool {
        matches!(self.kind, ErrorKind::Timeout) && self.cause.is_none()
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
        Verdict::of(&ErrorReply::new(text.to_owned()))
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
