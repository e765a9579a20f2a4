//! From what databases and connections report to the errors of the contract.

use std::{borrow::Cow, error::Error as StdError, fmt};

use session_core::{Error, ErrorKind, Operation};
use sqlx::error::DatabaseError;

/// So much of a server's message is shown at most.
const MESSAGE: usize = 300;

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    kind: ErrorKind,
    detail: Cow<'static, str>,
    /// Whether another try may go better.
    passes: bool,
    /// Whether the statement may have been carried out nonetheless.
    maybe_applied: bool,
    cause: Option<Cause>,
}

/// What was reported, without what may quote a value.
#[derive(Debug, Clone)]
struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Cause {}

/// What an error calls for.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// There is a row with that key.
    Taken,
    /// It passes; nothing was done, and the connection is well.
    Again(Fault),
    /// It passes on a new connection, if at all; nothing was done.
    Stale(Fault),
    /// The connection is gone; the statement may have been carried out.
    Lost(Fault),
    /// It passes, but the server is going, or has lost its part to another one; nothing was done.
    Elsewhere(Fault),
    /// It stays; the connection is well.
    Never(Fault),
    /// It stays; nothing was done, and the server closes the connection.
    Closed(Fault),
    /// It stays; the statement may have been carried out, and the state of the connection is not known.
    Broken(Fault),
}

/// What an error of a database calls for, by its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Taken,
    Again,
    Stale,
    Lost,
    Elsewhere,
    Never,
    Closed,
}

/// What an engine makes of its error.
pub(super) struct Class {
    pub(super) call: Call,
    pub(super) kind: ErrorKind,
    pub(super) detail: &'static str,
    /// The code, as people look it up.
    pub(super) code: String,
    /// Whether the message is about the statement or the user, and quotes no value.
    pub(super) harmless: bool,
}

/// For errors of a table or column that is not there.
pub(super) const MIGRATE: &str =
    "a table or column is missing: run `migrate()`, or apply the schema file by hand";

impl Verdict {
    pub(super) fn of(error: sqlx::Error, classify: fn(&dyn DatabaseError) -> Class) -> Self {
        use ErrorKind::{Backend, Config, Unavailable};
        match error {
            sqlx::Error::Database(error) => Self::of_class(classify(&*error), error.message()),
            sqlx::Error::Io(error) => {
                Self::Lost(Fault::passing(Unavailable, "").caused_by(error.to_string()))
            }
            sqlx::Error::WorkerCrashed => {
                Self::Lost(Fault::passing(Unavailable, "the connection's thread has ended"))
            }
            sqlx::Error::Tls(error) if is_distrust(&*error) => Self::Never(untrusted(&*error)),
            sqlx::Error::Tls(error) if cut_off(&*error) => {
                Self::Lost(Fault::passing(Unavailable, "").caused_by(error.to_string()))
            }
            sqlx::Error::Tls(error) => Self::Never(untrusted(&*error)),
            sqlx::Error::Configuration(_) => {
                Self::Never(Fault::lasting(Config, "a setting of the connection is not valid"))
            }
            // Before anything was sent.
            sqlx::Error::Encode(_) => {
                Self::Never(Fault::lasting(Backend, "a value cannot be sent"))
            }
            // Their texts may quote what was read.
            sqlx::Error::Protocol(_) => {
                Self::Broken(Fault::lasting(Backend, "the server's reply cannot be read"))
            }
            _ => Self::Broken(Fault::lasting(Backend, "the driver failed")),
        }
    }

    /// What an error of logging in calls for; where it is not about trust, as `otherwise` says.
    pub(super) fn of_login(error: sqlx::Error, otherwise: fn(sqlx::Error) -> Self) -> Self {
        match error {
            sqlx::Error::Io(error) if is_distrust(&error) => Self::Never(untrusted(&error)),
            error => otherwise(error),
        }
    }

    fn of_class(class: Class, message: &str) -> Self {
        let Class { call, kind, detail, code, harmless } = class;
        let mut cause = format!("the database reported {code}");
        if harmless {
            cause.push_str(": ");
            cause.extend(
                message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE),
            );
        }
        let passes = !matches!(call, Call::Never | Call::Closed);
        let fault = Fault { passes, ..Fault::lasting(kind, detail) }.caused_by(cause);
        match call {
            Call::Taken => Self::Taken,
            Call::Again => Self::Again(fault),
            Call::Stale => Self::Stale(fault),
            Call::Lost => Self::Lost(fault),
            Call::Elsewhere => Self::Elsewhere(fault),
            Call::Never => Self::Never(fault),
            Call::Closed => Self::Closed(fault),
        }
    }

    /// The fault of connecting, where nothing is ever done.
    /// Nobody waited for the answer.
    #[cfg(feature = "php")]
    pub(crate) fn no_answer() -> Self {
        Self::Broken(Fault::timeout("the statement took too long"))
    }

    pub(crate) fn into_fault(self) -> Fault {
        match self {
            Self::Taken => Fault::lasting(ErrorKind::Backend, "a key is taken"),
            Self::Again(fault)
            | Self::Stale(fault)
            | Self::Lost(fault)
            | Self::Elsewhere(fault)
            | Self::Never(fault)
            | Self::Closed(fault)
            | Self::Broken(fault) => fault,
        }
    }
}

/// Whether the server has a certificate that must not be trusted. It comes as an error of a read.
fn is_distrust(error: &(dyn StdError + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::InvalidData)
        || error.source().is_some_and(is_distrust)
}

fn untrusted(error: &dyn StdError) -> Fault {
    Fault::lasting(ErrorKind::Config, "no encrypted connection").caused_by(error.to_string())
}

/// Whether the connection ended while it was being encrypted.
fn cut_off(error: &(dyn StdError + 'static)) -> bool {
    error.is::<std::io::Error>() || error.source().is_some_and(cut_off)
}

impl Fault {
    pub(super) fn lasting(kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), passes: false, maybe_applied: false, cause: None }
    }

    pub(super) fn passing(kind: ErrorKind, detail: &'static str) -> Self {
        Self { passes: true, ..Self::lasting(kind, detail) }
    }

    pub(super) fn timeout(detail: &'static str) -> Self {
        Self::passing(ErrorKind::Timeout, detail)
    }

    pub(super) fn caused_by(mut self, cause: String) -> Self {
        self.cause = Some(Cause(cause));
        self
    }

    /// Although its kind of fault may pass, this one does not.
    pub(super) fn for_good(self) -> Self {
        let (kind, detail) = (ErrorKind::Backend, Cow::Borrowed(""));
        Self { kind, detail, passes: false, ..self }
    }

    /// Whether another try may go better.
    pub(super) const fn passes(&self) -> bool {
        self.passes
    }

    pub(crate) const fn in_doubt(mut self, maybe_applied: bool) -> Self {
        self.maybe_applied = maybe_applied;
        self
    }

    /// Whether nothing is known but that there was no answer in time.
    pub(super) fn is_silence(&self) -> bool {
        self.kind == ErrorKind::Timeout && self.cause.is_none()
    }

    #[cfg(test)]
    pub(super) const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The error of an operation. What is sent again by itself has failed for good by then; where it
    /// was a write (`writes`) that may have been carried out, the error says so.
    pub(crate) fn into_error(
        self,
        backend: &'static str,
        operation: Operation,
        writes: bool,
    ) -> Error {
        let mut error = Error::new(self.kind, backend, operation);
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

    /// So a damaged record of TLS comes, and a certificate that must not be trusted.
    fn invalid() -> sqlx::Error {
        sqlx::Error::Io(std::io::ErrorKind::InvalidData.into())
    }

    fn otherwise(error: sqlx::Error) -> Verdict {
        Verdict::of(error, |_| unreachable!("it is no error of a database"))
    }

    #[test]
    fn a_damaged_reply_is_a_lost_one() {
        let verdict = otherwise(invalid());
        assert!(matches!(&verdict, Verdict::Lost(fault) if fault.passes()), "{verdict:?}");
    }

    #[test]
    fn who_is_not_trusted_is_not_tried_again() {
        let fault = Verdict::of_login(invalid(), otherwise).into_fault();
        assert!(fault.kind() == ErrorKind::Config && !fault.passes(), "{fault:?}");
    }
}
