//! Sending an operation again when its reply was lost.

use std::time::Duration;

use crate::{Capabilities, Error, ErrorKind, Idempotency, Result};

/// How often an operation is sent again.
const MAX_RESENDS: u32 = 3;

/// Decides whether an operation is sent again under the same token: when it may have been applied,
/// and the store remembers tokens.
pub(super) struct Resend {
    idempotent: bool,
    sent_again: u32,
}

impl Resend {
    pub(super) fn new(capabilities: &Capabilities) -> Self {
        let idempotent = capabilities.idempotency != Idempotency::None;
        Self { idempotent, sent_again: 0 }
    }

    /// For operations that have the effect of one however often they are sent.
    pub(super) const fn of_repeatable() -> Self {
        Self { idempotent: true, sent_again: 0 }
    }

    /// Whether an attempt so far may have been applied without our knowing.
    pub(super) fn is_unsure_of<T>(&self, outcome: &Result<T>) -> bool {
        self.sent_again > 0 || outcome.as_ref().is_err_and(Error::maybe_applied)
    }

    /// Whether to send again; waits a little, with jitter, if so.
    pub(super) async fn is_due<T: Sync>(&mut self, outcome: &Result<T>) -> bool {
        let unknown = outcome.as_ref().is_err_and(Error::maybe_applied);
        if !unknown || !self.idempotent || self.sent_again >= MAX_RESENDS {
            return false;
        }
        self.sent_again += 1;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..20 << self.sent_again))).await;
        true
    }

    /// A refusal after a lost reply does not tell whether the first attempt was applied: others
    /// may have written since, more than the store remembers. Says so.
    pub(super) fn settle<T>(&self, outcome: Result<T>) -> Result<T> {
        let refused = |kind| {
            matches!(
                kind,
                ErrorKind::Conflict
                    | ErrorKind::NotFound
                    | ErrorKind::AlreadyExists
                    | ErrorKind::LockHeld
                    | ErrorKind::LockLost
            )
        };
        match outcome {
            Err(error) if self.sent_again > 0 && refused(error.kind()) => {
                Err(error.with_maybe_applied())
            }
            outcome => outcome,
        }
    }
}
