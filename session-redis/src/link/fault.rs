//! From what servers and connections report to the errors of the contract.

use redis::RedisError;
use session_core::{Error, ErrorKind, Operation};

use crate::BACKEND;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Fault {
    kind: ErrorKind,
    detail: &'static str,
    /// Whether the request may have been done nonetheless.
    maybe_applied: bool,
    source: RedisError,
}

impl From<RedisError> for Fault {
    fn from(source: RedisError) -> Self {
        let (kind, detail) = classify(&source);
        Self { kind, detail, maybe_applied: source.is_timeout() || source.is_io_error(), source }
    }
}

fn classify(error: &RedisError) -> (ErrorKind, &'static str) {
    match error.code() {
        Some("OOM") => (ErrorKind::Unavailable, "the server's memory is full"),
        Some("READONLY") => (ErrorKind::Unavailable, "the server is a replica"),
        Some("NOAUTH" | "WRONGPASS") => (ErrorKind::Config, "user or password are wrong"),
        Some("NOPERM") => (ErrorKind::Config, "the user may not do this"),
        _ if error.is_timeout() => (ErrorKind::Timeout, ""),
        _ if error.is_io_error() || error.is_cluster_error() => (ErrorKind::Unavailable, ""),
        _ => (ErrorKind::Backend, ""),
    }
}

impl Fault {
    /// The error of an operation. `writes`: whether it could have changed something.
    pub(crate) fn into_error(self, operation: Operation, writes: bool) -> Error {
        let error = Error::new(self.kind, BACKEND, operation).with_source(self.source);
        let error = if self.detail.is_empty() { error } else { error.with_detail(self.detail) };
        if writes && self.maybe_applied { error.with_maybe_applied() } else { error }
    }
}
