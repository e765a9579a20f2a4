//! From what servers and connections report to the errors of the contract.

use std::{error::Error as StdError, fmt, io};

use session_core::{Error, ErrorKind, Operation};

use super::parse::{Refusal, Reply};
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

/// What was reported.
#[derive(Debug, Clone)]
struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Cause {}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => ErrorKind::Timeout,
            // A certificate that is not trusted, for instance.
            io::ErrorKind::InvalidData => ErrorKind::Config,
            _ => ErrorKind::Unavailable,
        };
        let cause = Some(Cause(error.to_string()));
        Self { kind, detail: "", maybe_applied: false, cause }
    }
}

impl Fault {
    pub(crate) const fn new(kind: ErrorKind, detail: &'static str) -> Self {
        Self { kind, detail, maybe_applied: false, cause: None }
    }

    pub(crate) const fn timeout() -> Self {
        Self::new(ErrorKind::Timeout, "")
    }

    /// What a reply means that is not among those that a command has.
    pub(crate) const fn of(reply: &Reply) -> Self {
        match reply {
            Reply::NoRoom => Self::new(
                ErrorKind::Unavailable,
                "the server has no memory for it, and may have dropped the session",
            ),
            Reply::Refused(Refusal::Unauthenticated) => {
                Self::new(ErrorKind::Config, "user or password are wrong")
            }
            Reply::Refused(Refusal::Unknown) => {
                Self::new(ErrorKind::Backend, "the server does not know the command")
            }
            Reply::Refused(Refusal::ByServer) => {
                Self::new(ErrorKind::Backend, "the server reported an error")
            }
            Reply::Refused(Refusal::ByClient) => {
                Self::new(ErrorKind::Backend, "the server refused the command")
            }
            _ => Self::new(ErrorKind::Backend, "the reply makes no sense"),
        }
    }

    /// Whether another try may go better.
    pub(super) const fn passes(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    pub(crate) const fn in_doubt(mut self, maybe_applied: bool) -> Self {
        self.maybe_applied |= maybe_applied;
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
