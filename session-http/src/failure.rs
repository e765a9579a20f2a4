//! The response of a request whose session failed.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use session_core::{Error, ErrorKind, Operation};

/// The status that answers a session error.
///
/// - 503, when the request may be tried again as it is: the store is down or slow, or the lock was
///   not free in time.
/// - 409, when the session went on without this request: it was ended, or changed in a way that
///   leaves nothing to merge, or its lock was lost; or when a log-in
///   is refused because its principal has as many sessions as he may have. Nothing was saved.
/// - 403, when the request is refused: its CSRF token is missing or wrong.
/// - 500 for everything else.
#[must_use]
pub fn status_of(error: &Error) -> StatusCode {
    match error.kind() {
        _ if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::LockLost
        | ErrorKind::TooManySessions => StatusCode::CONFLICT,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The plain response of an error, without a word of what the error says: that is for the log.
pub(crate) fn page_of(error: &Error) -> Response<Bytes> {
    let status = status_of(error);
    let text = match status {
        StatusCode::SERVICE_UNAVAILABLE => "The session is not available. Please try again.\n",
        StatusCode::CONFLICT => "The session has changed meanwhile. Please try again.\n",
        StatusCode::FORBIDDEN => {
            "This request was refused. Please reload the page and try again.\n"
        }
        _ => "The session could not be used.\n",
    };
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A setting that cannot work.
pub(crate) fn wrong_setting(why: &str) -> Error {
    Error::new(ErrorKind::Config, "http", Operation::Open).with_detail(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_whether_to_try_again() {
        let decided = [
            (ErrorKind::AlreadyExists, 500),
            (ErrorKind::TooManySessions, 409),
            (ErrorKind::LockHeld, 503),
            (ErrorKind::InvalidId, 500),
            (ErrorKind::Config, 500),
            (ErrorKind::Unsupported, 500),
            (ErrorKind::Unavailable, 503),
            (ErrorKind::Timeout, 503),
            (ErrorKind::LockTimeout, 503),
            (ErrorKind::TooManyWaiters, 503),
            (ErrorKind::NotFound, 409),
            (ErrorKind::Conflict, 409),
            (ErrorKind::LockLost, 409),
            (ErrorKind::Forbidden, 403),
            (ErrorKind::Corrupt, 500),
            (ErrorKind::TooLarge, 500),
            (ErrorKind::Backend, 500),
        ];
        for kind in ErrorKind::ALL {
            let status = decided.iter().find(|(decided, _)| *decided == kind);
            let status = status.map(|(_, status)| *status).expect("every kind is decided on");
            let page = page_of(&Error::new(kind, "memory", Operation::Load));
            assert_eq!(page.status().as_u16(), status, "{kind:?}");
            assert_eq!(page.headers().contains_key(RETRY_AFTER), status == 503);
            assert_eq!(page.headers()[CACHE_CONTROL], "no-store");
        }
    }

    #[test]
    fn the_page_repeats_nothing_of_the_error() {
        let error = Error::new(ErrorKind::Backend, "memory", Operation::Load)
            .with_detail("redis-7.internal:6379 said WRONGPASS")
            .with_source(std::io::Error::other("planted"));
        let page = page_of(&error);
        let shown = format!("{:?} {:?}", page.headers(), page.body());
        for word in ["memory", "load", "redis", "WRONGPASS", "planted"] {
            assert!(!shown.contains(word), "{word} leaked: {shown}");
        }
    }
}
