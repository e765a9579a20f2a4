//! What can go wrong with a request, in the words of the contract.

use std::{error::Error as StdError, io};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use session_core::{Error, ErrorKind, Operation};

use crate::BACKEND;

/// A request that has come to nothing.
#[derive(Debug)]
pub(crate) struct Fault {
    kind: ErrorKind,
    detail: Option<String>,
    /// Whether it may have been done all the same.
    pub(crate) in_doubt: bool,
    /// Whether it is worth another attempt.
    pub(crate) again: bool,
}

/// The code of a write whose condition was not met.
pub(crate) const REFUSED: &str = "ConditionalCheckFailedException";

impl Fault {
    /// No answer in time.
    pub(crate) fn timeout() -> Self {
        Self { kind: ErrorKind::Timeout, detail: None, in_doubt: true, again: true }
    }

    /// Nothing is amiss but that others were always faster.
    pub(crate) fn crowded() -> Self {
        let detail = Some("others changed the session all the time".to_owned());
        Self { kind: ErrorKind::Timeout, detail, in_doubt: false, again: false }
    }

    /// What an error of the SDK means. The error itself may quote what is stored, so it goes no
    /// further.
    pub(crate) fn of<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Self {
        match error {
            SdkError::TimeoutError(_) => Self::timeout(),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::timeout(),
            SdkError::DispatchFailure(failure) => failure
                .as_connector_error()
                .map_or_else(Self::unavailable, |error| Self::of_dispatch(error)),
            SdkError::ServiceError(told) => {
                let status = told.raw().status().as_u16();
                Self::of_code(told.err().code().unwrap_or_default(), told.err().message(), status)
            }
            SdkError::ConstructionFailure(_) => {
                Self::config("the request cannot be made; is there a region?")
            }
            _ => Self::unavailable(),
        }
    }

    fn of_dispatch(error: &(dyn StdError + 'static)) -> Self {
        let mut chain = Vec::new();
        let (mut link, mut refused) = (Some(error), false);
        while let Some(error) = link {
            let io = error.downcast_ref::<io::Error>();
            refused |= io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused);
            chain.push(error.to_string());
            link = error.source();
        }
        let text = chain.join(": ");
        if text.contains("credentials") || text.contains("identity") {
            // Where they are asked for does not answer; this request was not sent.
            if text.contains("timed out") || text.contains("error occurred while loading") {
                let detail = Some("the AWS SDK cannot load the credentials".to_owned());
                return Self { detail, in_doubt: false, ..Self::unavailable() };
            }
            return Self::config("the AWS SDK finds no credentials");
        }
        Self { detail: chain.pop(), in_doubt: !refused, ..Self::unavailable() }
    }

    fn of_code(code: &str, message: Option<&str>, status: u16) -> Self {
        let message = message.unwrap_or_default();
        match code {
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "TransactionConflictException"
            | "ReplicatedWriteConflictException" => {
                Self { detail: Some(code.to_owned()), in_doubt: false, ..Self::unavailable() }
            }
            "ResourceNotFoundException" => Self::config("there is no such table (yet)"),
            // DynamoDB's words, and those of DynamoDB Local.
            "ValidationException"
                if message.contains("schema") || message.contains("required keys") =>
            {
                Self::config("the key of the table is not the string `id` alone")
            }
            "ValidationException" if message.contains("size") => {
                let detail = Some("the item would be larger than DynamoDB takes".to_owned());
                Self { kind: ErrorKind::TooLarge, detail, in_doubt: false, again: false }
            }
            "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" => {
                Self::config("the credentials have expired")
            }
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "InvalidClientTokenId"
            | "MissingAuthenticationTokenException"
            | "MissingAuthenticationToken" => Self::config("the credentials are not accepted"),
            "AccessDeniedException" => Self::config("the credentials do not allow this request"),
            _ if status >= 500 => Self { detail: Some(code.to_owned()), ..Self::unavailable() },
            _ => {
                let detail = Some(code.to_owned());
                Self { kind: ErrorKind::Backend, detail, in_doubt: false, again: false }
            }
        }
    }

    fn unavailable() -> Self {
        Self { kind: ErrorKind::Unavailable, detail: None, in_doubt: true, again: true }
    }

    fn config(detail: &str) -> Self {
        let detail = Some(detail.to_owned());
        Self { kind: ErrorKind::Config, detail, in_doubt: false, again: false }
    }

    pub(crate) fn is_timeout(&self) -> bool {
        self.kind == ErrorKind::Timeout
    }

    /// With a doubt that was there before.
    pub(crate) fn in_doubt(mut self, in_doubt: bool) -> Self {
        self.in_doubt |= in_doubt;
        self
    }

    pub(crate) fn into_error(self, operation: Operation, writes: bool) -> Error {
        let error = Error::new(self.kind, BACKEND, operation);
        let error = match self.detail {
            Some(detail) => error.with_detail(detail),
            None => error,
        };
        if writes && self.in_doubt { error.with_maybe_applied() } else { error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_kind_and_says_whether_to_try_again() {
        for (code, message, status, kind, again, in_doubt) in [
            (
                "ProvisionedThroughputExceededException",
                "",
                400,
                ErrorKind::Unavailable,
                true,
                false,
            ),
            ("ThrottlingException", "", 400, ErrorKind::Unavailable, true, false),
            ("InternalServerError", "", 500, ErrorKind::Unavailable, true, true),
            ("ServiceUnavailable", "", 503, ErrorKind::Unavailable, true, true),
            ("ResourceNotFoundException", "", 400, ErrorKind::Config, false, false),
            (
                "ValidationException",
                "The provided key element does not match the schema",
                400,
                ErrorKind::Config,
                false,
                false,
            ),
            (
                "ValidationException",
                "Item size has exceeded",
                400,
                ErrorKind::TooLarge,
                false,
                false,
            ),
            ("ValidationException", "else", 400, ErrorKind::Backend, false, false),
            ("ExpiredTokenException", "", 400, ErrorKind::Config, false, false),
            ("UnrecognizedClientException", "", 400, ErrorKind::Config, false, false),
            ("AccessDeniedException", "", 400, ErrorKind::Config, false, false),
        ] {
            let fault = Fault::of_code(code, Some(message), status);
            assert_eq!(
                (fault.kind, fault.again, fault.in_doubt),
                (kind, again, in_doubt),
                "{code}"
            );
        }
    }

    #[test]
    fn a_refused_connection_leaves_no_doubt() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let fault = Fault::of_dispatch(&refused);
        assert!(!fault.in_doubt && fault.again);
        assert!(Fault::of_dispatch(&io::Error::from(io::ErrorKind::ConnectionReset)).in_doubt);
    }

    #[test]
    fn credentials_that_cannot_be_loaded_now_are_not_those_that_are_missing() {
        for (text, kind, again) in [
            ("the credential provider was not enabled: no credentials", ErrorKind::Config, false),
            ("credentials provider timed out after 5 seconds", ErrorKind::Unavailable, true),
            ("an error occurred while loading credentials", ErrorKind::Unavailable, true),
        ] {
            let fault = Fault::of_dispatch(&io::Error::other(text));
            assert_eq!((fault.kind, fault.again, fault.in_doubt), (kind, again, false), "{text}");
        }
    }
}
