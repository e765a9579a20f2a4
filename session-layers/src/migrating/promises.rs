//! What two stores promise together.

use session_core::{Capabilities, Idempotency, RevisionKind, Support, Sweeping};

use super::Phase;

/// The weaker promise of each, but for what only the store that is written to has to keep.
pub(super) fn of_both(old: &Capabilities, new: &Capabilities, phase: Phase) -> Capabilities {
    let written = match phase {
        Phase::Prepare => old,
        Phase::Move => new,
    };
    let mut both = written.clone();
    if phase == Phase::Prepare {
        both.locking = support(old.locking.is_yes() && new.locking.is_yes());
        both.max_waiters = old.max_waiters.min(new.max_waiters);
        both.max_payload = old.max_payload.min(new.max_payload);
    }
    if old.revision == RevisionKind::Content {
        both.revision = RevisionKind::Content;
    }
    both.idempotency = fewer(old.idempotency, new.idempotency);
    both.fifo = support(old.fifo.is_yes() && new.fifo.is_yes());
    both.wake_step = old.wake_step.max(new.wake_step).max(super::LONGEST_POLL);
    both.takeover_time = old.takeover_time.max(new.takeover_time).max(super::LONGEST_POLL);
    both.touch = support(old.touch.is_yes() && new.touch.is_yes());
    both.listing = support(old.listing.is_yes() && new.listing.is_yes());
    both.expiry_precision = old.expiry_precision.max(new.expiry_precision);
    both.clock_skew = old.clock_skew.max(new.clock_skew);
    both.staleness = old.staleness.max(new.staleness);
    if old.sweeping == Sweeping::Needed {
        both.sweeping = Sweeping::Needed;
    }
    both.evicts = old.evicts || new.evicts;
    both.survives_restart = old.survives_restart && new.survives_restart;
    both.survives_failover = old.survives_failover && new.survives_failover;
    both
}

const fn support(yes: bool) -> Support {
    if yes { Support::Yes } else { Support::No }
}

fn fewer(one: Idempotency, other: Idempotency) -> Idempotency {
    match (one, other) {
        (Idempotency::Window(one), Idempotency::Window(other)) => {
            Idempotency::Window(one.min(other))
        }
        _ => Idempotency::None,
    }
}
