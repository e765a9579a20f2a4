//! How a case ends, and the checks that end it.

use std::{error::Error as StdError, fmt, panic::Location, time::Duration};

use session_core::{Error, ErrorKind, Result};

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It holds, perhaps with a remark on how it was shown.
    Passed(Option<String>),
    /// It does not hold, and why.
    Failed(String),
    /// It does not apply to this store or cannot be shown with this fixture, and why.
    Ignored(String),
}

/// What a case returns.
pub(crate) type Outcome = Result<(), Failure>;

/// Why a case does not hold: a sentence, and where in the case it was found.
pub(crate) struct Failure(String);

impl Failure {
    #[track_caller]
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self(format!("{message} (at {})", Location::caller()))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self::new(format_args!("unexpected error: {}", chain(&error)))
    }
}

impl From<tokio::task::JoinError> for Failure {
    #[track_caller]
    fn from(error: tokio::task::JoinError) -> Self {
        let text = error.try_into_panic().map_or_else(|error| error.to_string(), panic_text);
        Self::new(format_args!("a task panicked: {text}"))
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = format!("{error} [{:?}]", error.kind());
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// The message of a panic.
pub(crate) fn panic_text(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload
            .downcast::<&'static str>()
            .map_or_else(|_| "(no message)".to_owned(), |text| (*text).to_owned()),
    }
}

/// Fails the case with a message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::outcome::Failure::new(format_args!($($message)+)));
        }
    };
}

/// Fails the case with a message and both values unless they are equal.
macro_rules! ensure_eq {
    ($left:expr, $right:expr, $($message:tt)+) => {
        match (&$left, &$right) {
            (left, right) => {
                if *left != *right {
                    let message = format_args!($($message)+);
                    return Err($crate::outcome::Failure::new(format_args!(
                        "{message}: {left:?} is not {right:?}"
                    )));
                }
            }
        }
    };
}

pub(crate) use {ensure, ensure_eq};

/// Checks that an operation was refused with `kind`, and hands out the error.
#[track_caller]
pub(crate) fn refused<T: fmt::Debug>(
    result: Result<T>,
    kind: ErrorKind,
    what: impl fmt::Display,
) -> Result<Error, Failure> {
    refused_as(result, &[kind], what)
}

/// Checks that an operation was refused with one of `kinds`, and hands out the error.
#[track_caller]
pub(crate) fn refused_as<T: fmt::Debug>(
    result: Result<T>,
    kinds: &[ErrorKind],
    what: impl fmt::Display,
) -> Result<Error, Failure> {
    match result {
        Err(error) if kinds.contains(&error.kind()) => Ok(error),
        Err(error) => {
            let found = chain(&error);
            Err(Failure::new(format_args!("{what}: expected {kinds:?}, found {found}")))
        }
        Ok(value) => Err(Failure::new(format_args!(
            "{what}: expected {kinds:?}, but it succeeded with {value:?}"
        ))),
    }
}

/// Bounds a step that must not wait: far longer than any store needs, shorter than a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a step that must end soon, and fails instead of hanging.
pub(crate) async fn soon<T>(
    what: &str,
    step: impl Future<Output = T> + Send,
) -> Result<T, Failure> {
    within(PATIENCE, what, step).await
}

/// Runs a step that must end within `bound`, and fails instead of hanging.
pub(crate) async fn within<T>(
    bound: Duration,
    what: &str,
    step: impl Future<Output = T> + Send,
) -> Result<T, Failure> {
    let outcome = tokio::time::timeout(bound, step).await;
    outcome.map_err(|_elapsed| Failure::new(format_args!("{what}: not done after {bound:?}")))
}
