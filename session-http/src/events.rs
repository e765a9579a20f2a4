//! The events that only the web layer knows of, beside those of the session handle: one each,
//! through `tracing`, under the same target `session`. None of them carries an id.

use session_core::{Error, ErrorKind};
use tracing::{error, info, warn};

use crate::presented::Refusal;

pub(crate) fn cookie_refused(why: Refusal) {
    let reason = why.as_str();
    match why {
        // Robots send such values all the time.
        Refusal::Malformed => {
            info!(target: "session", event = "cookie_refused", reason, "session cookie refused");
        }
        _ => {
            warn!(target: "session", event = "cookie_refused", reason, "session cookie refused");
        }
    }
}

pub(crate) fn dropped_on_plain_http() {
    warn!(
        target: "session",
        event = "dropped",
        "session not kept: its cookie is Secure and the request did not come over TLS"
    );
}

pub(crate) fn failed(cause: &Error) {
    let (kind, operation, backend) = (cause.kind(), cause.operation().as_str(), cause.backend());
    let source = std::error::Error::source(cause).map(tracing::field::display);
    match kind {
        ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::LockLost
        | ErrorKind::LockHeld
        | ErrorKind::LockTimeout
        | ErrorKind::TooManyWaiters => {
            info!(target: "session", event = "refused", ?kind, operation, backend, error = %cause, "session request refused");
        }
        _ => {
            error!(target: "session", event = "store_error", ?kind, operation, backend, error = %cause, source, "session store failed");
        }
    }
}
