//! One event for each turn in a session's life, through `tracing`, under the target `session`.
//!
//! Events carry the [`LogId`](crate::LogId) of the session, never its id or key.

use tracing::{debug, info, warn};

use crate::{ErrorKind, Key};

pub(super) fn created(key: &Key) {
    info!(target: "session", event = "created", session = %key.log_id(), "session created");
}

pub(super) fn rotated(old: &Key, new: &Key) {
    info!(
        target: "session",
        event = "rotated",
        session = %new.log_id(),
        former = %old.log_id(),
        "session id rotated"
    );
}

pub(super) fn authenticated(key: &Key) {
    info!(target: "session", event = "authenticated", session = %key.log_id(), "session authenticated");
}

pub(super) fn destroyed(key: &Key) {
    info!(target: "session", event = "destroyed", session = %key.log_id(), "session destroyed");
}

pub(super) fn revoked(key: &Key) {
    info!(target: "session", event = "revoked", session = %key.log_id(), "revoked session refused");
}

/// Stale cookies are everyday: expired sessions cannot be told from ids that never were.
pub(super) fn unknown(key: &Key) {
    debug!(target: "session", event = "unknown", session = %key.log_id(), "unknown or expired session id");
}

pub(super) fn retired(key: &Key) {
    warn!(
        target: "session",
        event = "retired_id_used",
        session = %key.log_id(),
        "an id that was rotated away was used after its grace: possibly stolen"
    );
}

pub(super) fn gone(key: &Key) {
    info!(
        target: "session",
        event = "gone",
        session = %key.log_id(),
        "session ended while a request was using it"
    );
}

pub(super) fn lock_lost(key: &Key) {
    warn!(target: "session", event = "lock_lost", session = %key.log_id(), "session lock lost");
}

pub(super) fn unreadable(key: &Key, kind: ErrorKind) {
    warn!(target: "session", event = "unreadable", session = %key.log_id(), ?kind, "session record cannot be read");
}
