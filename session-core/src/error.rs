//! One opaque error for every store and for the session handle.

use std::{error::Error as StdError, fmt, time::Duration};

use crate::Record;

/// A `Result` whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the words of the contract.
///
/// Every refusal of a conditional operation has a kind of its own, so that it cannot be mistaken
/// for success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// `create` found a live record under the key. The record is untouched.
    AlreadyExists,
    /// The operation needs a live record and there is none: it never existed, was deleted, or its
    /// deadline has passed. Nothing was written; the session must not be brought back.
    NotFound,
    /// The record is not at the expected revision (or not of the expected incarnation). Nothing
    /// was written. [`Error::take_current`] may hold the record that won.
    Conflict,
    /// Somebody else holds a live lease on the key. Nothing was written.
    /// [`Error::retry_after`] says when the lease ends if nobody renews it.
    LockHeld,
    /// The lease that the operation names was taken or broken by somebody else. Nothing was
    /// written, and nothing will be under this lease.
    LockLost,
    /// The lock was not won within the time allowed. Nothing is left behind.
    LockTimeout,
    /// The queue of waiters for this lock is full.
    TooManyWaiters,
    /// The principal has as many sessions as the limit allows, and the log-in made none.
    TooManySessions,
    /// The payload is larger than the store takes. No request was sent, the old record stands.
    TooLarge,
    /// The session id is not well formed. No request was sent.
    InvalidId,
    /// A stored record cannot be read: damaged, or of a version newer than this program.
    Corrupt,
    /// The store cannot be reached or refuses to serve.
    Unavailable,
    /// The store did not answer in time.
    Timeout,
    /// The caller did not show that it may do this. No store says so; the layers above it do.
    Forbidden,
    /// The configuration is wrong.
    Config,
    /// The store declares (see [`Capabilities`](crate::Capabilities)) that it cannot do this.
    Unsupported,
    /// Anything else that the store or its client reports.
    Backend,
}

impl ErrorKind {
    /// All kinds there are, for tables that have to decide on each.
    pub const ALL: [Self; 17] = [
        Self::AlreadyExists,
        Self::NotFound,
        Self::Conflict,
        Self::LockHeld,
        Self::LockLost,
        Self::LockTimeout,
        Self::TooManyWaiters,
        Self::TooManySessions,
        Self::TooLarge,
        Self::InvalidId,
        Self::Corrupt,
        Self::Unavailable,
        Self::Timeout,
        Self::Forbidden,
        Self::Config,
        Self::Unsupported,
        Self::Backend,
    ];

    /// The kind's name in lower case, as it appears in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyExists => "already_exists",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::LockHeld => "lock_held",
            Self::LockLost => "lock_lost",
            Self::LockTimeout => "lock_timeout",
            Self::TooManyWaiters => "too_many_waiters",
            Self::TooManySessions => "too_many_sessions",
            Self::TooLarge => "too_large",
            Self::InvalidId => "invalid_id",
            Self::Corrupt => "corrupt",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Forbidden => "forbidden",
            Self::Config => "config",
            Self::Unsupported => "unsupported",
            Self::Backend => "backend",
        }
    }

    const fn describe(self) -> &'static str {
        match self {
            Self::AlreadyExists => "a live record exists under this key",
            Self::NotFound => "no live record",
            Self::Conflict => "the record changed since it was read",
            Self::LockHeld => "locked by another holder",
            Self::LockLost => "the lock was lost to another holder",
            Self::LockTimeout => "the lock was not free in time",
            Self::TooManyWaiters => "too many waiters for this lock",
            Self::TooManySessions => "too many sessions of this principal",
            Self::TooLarge => "the payload is too large",
            Self::InvalidId => "the session id is not well formed",
            Self::Corrupt => "the stored record cannot be read",
            Self::Unavailable => "the store is unavailable",
            Self::Timeout => "the store did not answer in time",
            Self::Forbidden => "refused",
            Self::Config => "the configuration is not valid",
            Self::Unsupported => "not supported",
            Self::Backend => "the store reported an error",
        }
    }
}

/// The operation that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`SessionStore::create`](crate::SessionStore::create)
    Create,
    /// [`SessionStore::load`](crate::SessionStore::load)
    Load,
    /// [`SessionStore::save`](crate::SessionStore::save)
    Save,
    /// [`SessionStore::touch`](crate::SessionStore::touch)
    Touch,
    /// [`SessionStore::delete`](crate::SessionStore::delete)
    Delete,
    /// [`SessionStore::lock`](crate::SessionStore::lock)
    Lock,
    /// [`SessionStore::renew`](crate::SessionStore::renew)
    Renew,
    /// [`SessionStore::release`](crate::SessionStore::release)
    Release,
    /// [`SessionStore::sweep`](crate::SessionStore::sweep)
    Sweep,
    /// [`SessionStore::ping`](crate::SessionStore::ping)
    Ping,
    /// A method of [`PrincipalIndex`](crate::PrincipalIndex).
    Index,
    /// A method of [`Enumeration`](crate::Enumeration).
    Enumerate,
    /// Building a store or a manager from its configuration.
    Open,
    /// Making or parsing a session id.
    Id,
    /// Reading a payload or a value.
    Decode,
    /// Writing a payload or a value.
    Encode,
    /// Rotating a session id.
    Rotate,
    /// Making a session a principal's.
    Login,
}

impl Operation {
    /// The operation's name in lower case, as it appears in messages and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Load => "load",
            Self::Save => "save",
            Self::Touch => "touch",
            Self::Delete => "delete",
            Self::Lock => "lock",
            Self::Renew => "renew",
            Self::Release => "release",
            Self::Sweep => "sweep",
            Self::Ping => "ping",
            Self::Index => "index",
            Self::Enumerate => "enumerate",
            Self::Open => "open",
            Self::Id => "id",
            Self::Decode => "decode",
            Self::Encode => "encode",
            Self::Rotate => "rotate",
            Self::Login => "login",
        }
    }
}

type Source = Box<dyn StdError + Send + Sync>;

struct Inner {
    kind: ErrorKind,
    backend: &'static str,
    operation: Operation,
    detail: Option<Box<str>>,
    maybe_applied: bool,
    retry_after: Option<Duration>,
    current: Option<Box<Record>>,
    source: Option<Source>,
}

/// An error of a store or of the session handle; one word wide.
///
/// `Display` is one line and does not repeat [`source`](std::error::Error::source). No text of an
/// error holds an id, a digest or a payload; `Debug` shows of the record that won only its
/// revision and size.
pub struct Error(Box<Inner>);

impl Error {
    /// An error of `kind` that `backend` met in `operation`.
    #[must_use]
    pub fn new(kind: ErrorKind, backend: &'static str, operation: Operation) -> Self {
        Self(Box::new(Inner {
            kind,
            backend,
            operation,
            detail: None,
            maybe_applied: false,
            retry_after: None,
            current: None,
            source: None,
        }))
    }

    /// Adds a detail for people. It must hold no id, digest, payload or credential.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into().into_boxed_str());
        self
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the record that won a conflict.
    #[must_use]
    pub fn with_current(mut self, record: Option<Record>) -> Self {
        self.0.current = record.map(Box::new);
        self
    }

    /// Adds the time after which another attempt may succeed.
    #[must_use]
    pub fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.0.retry_after = after;
        self
    }

    /// Says that the write may have been applied although its outcome is unknown.
    #[must_use]
    pub fn with_maybe_applied(mut self) -> Self {
        self.0.maybe_applied = true;
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The store that reported the error, or `"session"` for the session handle itself.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.0.backend
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// Whether the same call may succeed later without anything else being done first.
    ///
    /// A [`Conflict`](ErrorKind::Conflict) is not retryable in this sense: the record must be
    /// read again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::LockHeld
                | ErrorKind::LockTimeout
                | ErrorKind::TooManyWaiters
                | ErrorKind::Unavailable
                | ErrorKind::Timeout
        )
    }

    /// Whether the write may have taken effect although the call failed (its reply was lost).
    ///
    /// The same operation may be sent again with the same [`OpToken`](crate::OpToken); within the
    /// store's [`Idempotency`](crate::Idempotency) window it takes effect once.
    #[must_use]
    pub fn maybe_applied(&self) -> bool {
        self.0.maybe_applied
    }

    /// For [`LockHeld`](ErrorKind::LockHeld) and [`LockTimeout`](ErrorKind::LockTimeout): when
    /// the present lease ends if nobody renews it.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Takes the record that won a [`Conflict`](ErrorKind::Conflict), where the store had it at
    /// no extra cost. It spares the caller one `load`.
    #[must_use]
    pub fn take_current(&mut self) -> Option<Record> {
        self.0.current.take().map(|record| *record)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        write!(f, "{} {}: {}", inner.backend, inner.operation.as_str(), inner.kind.describe())?;
        if let Some(detail) = &inner.detail {
            write!(f, ": {detail}")?;
        }
        if inner.maybe_applied {
            write!(f, " (the write may have been applied)")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("backend", &inner.backend)
            .field("operation", &inner.operation)
            .field("detail", &inner.detail)
            .field("maybe_applied", &inner.maybe_applied)
            .field("retry_after", &inner.retry_after)
            .field("current", &inner.current)
            .field("source", &inner.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_line_and_leaves_the_source_out() {
        let error = Error::new(ErrorKind::Unavailable, "memory", Operation::Load)
            .with_detail("connection refused")
            .with_source(std::io::Error::other("the cause"));
        assert_eq!(error.to_string(), "memory load: the store is unavailable: connection refused");
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("the cause"));
    }

    #[test]
    fn all_kinds_are_listed() {
        for (at, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at, "{kind:?}");
        }
        assert_eq!(ErrorKind::ALL.len(), ErrorKind::Backend as usize + 1, "the last one");
    }

    #[test]
    fn an_error_is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
