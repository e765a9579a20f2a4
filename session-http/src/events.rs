//! The events that only the web layer knows of, beside those of the session handle: one each,
//! through `tracing`, under the same target `session`. None of them carries an id.

use session_core::{Error, ErrorKind};
use tracing::{error, info, warn};

use crate::{KeyRing, presented::Refusal};

/// `times` is how often this happened since the event was last written.
pub(crate) fn refused(why: Refusal, times: u64, ring: Option<&KeyRing>) {
    let reason = why.as_str();
    match why {
        Refusal::UnknownKey(key) => {
            let own: Vec<String> =
                ring.into_iter().flat_map(KeyRing::ids).map(|id| id.to_string()).collect();
            warn!(
                target: "session",
                event = "nodes_do_not_share_keys",
                %key,
                ring = own.join(" "),
                times,
                "session id signed with a key that this node does not have: nodes do not share \
                 keys, a key was retired too early, or the id was made up"
            );
        }
        // Robots send such values all the time.
        Refusal::Malformed => {
            info!(target: "session", event = "cookie_refused", reason, times, "session id refused");
        }
        _ => {
            warn!(target: "session", event = "cookie_refused", reason, times, "session id refused");
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

/// A handler that was still at work when its response was finished had the session exclusively.
pub(crate) fn let_go_late() {
    warn!(
        target: "session",
        event = "let_go_late",
        "exclusive session dropped after the response: its changes are given up; commit it"
    );
}

pub(crate) fn messages_dropped(cause: &Error) {
    warn!(
        target: "session",
        event = "messages_dropped",
        error = %cause,
        "flash messages dropped: this release cannot read them"
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
        | ErrorKind::Forbidden
        | ErrorKind::TooManySessions
        | ErrorKind::TooManyWaiters => {
            info!(target: "session", event = "refused", ?kind, operation, backend, error = %cause, "session request refused");
        }
        _ => {
            error!(target: "session", event = "store_error", ?kind, operation, backend, error = %cause, source, "session store failed");
        }
    }
}
