//! One event for each turn in a session's life.

use std::{fmt, sync::Arc};

use tracing::{debug, info, warn};

use super::manager::SessionManager;
use crate::{ErrorKind, Key, LogId};

/// A turn in a session's life, as the audit hook is told of it
/// ([`SessionManagerBuilder::audit`](crate::SessionManagerBuilder::audit)).
///
/// Events carry the log-safe name of the session, never its id, its key or its data. Each is also
/// traced, under the target `session` and with [`name`](Self::name) as the field `event`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// It was stored for the first time.
    Created(LogId),
    /// Its id was changed.
    Rotated {
        /// Its name from now on.
        session: LogId,
        /// Its name so far.
        former: LogId,
    },
    /// It became a principal's.
    Authenticated(LogId),
    /// Its principal has shown again who he is.
    Reauthenticated(LogId),
    /// It was ended, by a log-out or by its principal from another session.
    Destroyed(LogId),
    /// It was ended to make room for a newer one of its principal.
    Evicted(LogId),
    /// It was presented after it had been revoked, and refused.
    Revoked(LogId),
    /// An id was presented under which there is nothing. A store does not tell a session that has
    /// expired from one that never was.
    UnknownId(LogId),
    /// An id that was rotated away was presented after its grace: possibly a stolen one.
    RetiredIdUsed(LogId),
    /// It ended while a request was using it.
    Gone(LogId),
    /// A holder lost its lock.
    LockLost(LogId),
    /// Its record cannot be read.
    Unreadable(LogId, ErrorKind),
    /// It was presented by a client with other properties than the one that logged in.
    ClientChanged(LogId),
    /// What was presented as an id was refused for this reason before the store was asked: it is
    /// malformed, several were presented, or its signature is wrong. There is no session to name. The
    /// web layer traces it, and not each when there are many.
    IdRefused(&'static str),
}

impl SessionEvent {
    /// The event's name in lower case, for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Rotated { .. } => "rotated",
            Self::Authenticated(_) => "authenticated",
            Self::Reauthenticated(_) => "reauthenticated",
            Self::Destroyed(_) => "destroyed",
            Self::Evicted(_) => "evicted",
            Self::Revoked(_) => "revoked",
            Self::UnknownId(_) => "unknown",
            Self::RetiredIdUsed(_) => "retired_id_used",
            Self::Gone(_) => "gone",
            Self::LockLost(_) => "lock_lost",
            Self::Unreadable(..) => "unreadable",
            Self::ClientChanged(_) => "client_changed",
            Self::IdRefused(_) => "cookie_refused",
        }
    }

    /// The log-safe name of the session, if there is one.
    #[must_use]
    pub const fn session(&self) -> Option<LogId> {
        match *self {
            Self::Created(session)
            | Self::Rotated { session, .. }
            | Self::Authenticated(session)
            | Self::Reauthenticated(session)
            | Self::Destroyed(session)
            | Self::Evicted(session)
            | Self::Revoked(session)
            | Self::UnknownId(session)
            | Self::RetiredIdUsed(session)
            | Self::Gone(session)
            | Self::LockLost(session)
            | Self::Unreadable(session, _)
            | Self::ClientChanged(session) => Some(session),
            Self::IdRefused(_) => None,
        }
    }

    fn trace(&self) {
        let (event, Some(session)) = (self.name(), self.session()) else { return };
        match self {
            Self::Created(_) => info!(target: "session", event, %session, "session created"),
            Self::Rotated { former, .. } => {
                info!(target: "session", event, %session, %former, "session id rotated");
            }
            Self::Authenticated(_) => {
                info!(target: "session", event, %session, "session authenticated");
            }
            Self::Reauthenticated(_) => {
                info!(target: "session", event, %session, "session authenticated again");
            }
            Self::Destroyed(_) => info!(target: "session", event, %session, "session destroyed"),
            Self::Evicted(_) => {
                info!(target: "session", event, %session, "session ended for a newer one");
            }
            Self::Revoked(_) => {
                info!(target: "session", event, %session, "revoked session refused");
            }
            // Stale cookies are everyday.
            Self::UnknownId(_) => {
                debug!(target: "session", event, %session, "unknown or expired session id");
            }
            Self::RetiredIdUsed(_) => warn!(
                target: "session",
                event,
                %session,
                "an id that was rotated away was used after its grace: possibly stolen"
            ),
            Self::Gone(_) => {
                info!(target: "session", event, %session, "session ended while a request was using it");
            }
            Self::LockLost(_) => warn!(target: "session", event, %session, "session lock lost"),
            Self::Unreadable(_, kind) => {
                warn!(target: "session", event, %session, ?kind, "session record cannot be read");
            }
            Self::ClientChanged(_) => warn!(
                target: "session",
                event,
                %session,
                "a session was presented by another client: possibly stolen"
            ),
            Self::IdRefused(_) => {}
        }
    }
}

/// What an application does about events.
#[derive(Clone)]
pub(super) struct AuditHook(pub(super) Arc<dyn Fn(&SessionEvent) + Send + Sync>);

impl fmt::Debug for AuditHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditHook(..)")
    }
}

impl SessionManager {
    /// Tells the audit hook of an id that was refused before the store was asked
    /// ([`SessionEvent::IdRefused`]): for the authors of web layers.
    pub fn id_refused(&self, reason: &'static str) {
        if let Some(AuditHook(hook)) = &self.settings().audit {
            hook(&SessionEvent::IdRefused(reason));
        }
    }

    /// Tells the application and the log of something that happened to the session under `key`.
    pub(super) fn tell(&self, event: impl FnOnce(LogId) -> SessionEvent, key: &Key) {
        let event = event(key.log_id());
        event.trace();
        if let Some(AuditHook(hook)) = &self.settings().audit {
            hook(&event);
        }
    }
}
