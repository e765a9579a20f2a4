//! How often session ids were refused, and why.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{keys::KeyId, presented::Refusal};

/// How many requests presented a session id that was refused before the store was asked, since the
/// program started. Made by [`WebSessions::diagnostics`](crate::WebSessions::diagnostics).
///
/// Each reason is also an event, written once a minute at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Diagnostics {
    /// Signed with a key that the ring does not have. When this grows on a node while users
    /// complain that they are logged out at random, **the nodes do not share their keys**: compare
    /// the nodes' [`KeyRing::ids`](crate::KeyRing::ids).
    pub unknown_key: u64,
    /// The id of that key, the last time.
    pub last_unknown_key: Option<KeyId>,
    /// The signature is not that of the key it names.
    pub forged: u64,
    /// Without a signature, which is demanded.
    pub unsigned: u64,
    /// No session id at all.
    pub malformed: u64,
    /// Several different ids in one request.
    pub ambiguous: u64,
    /// Over plain HTTP, though the id may only travel over TLS.
    pub plain_http: u64,
}

/// An event of one reason is written no more often.
const SILENCE: Duration = Duration::from_secs(60);

/// Counts refusals.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    seen: Diagnostics,
    said: [Said; 7],
}

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    times_since: u64,
}

impl Counters {
    /// Counts one; returns how many there were since the last event if it is time for another.
    pub(crate) fn count(&self, why: Refusal, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { seen, said: [a, b, c, d, e, f, g] } = &mut *state;
        let (counter, said) = match why {
            Refusal::UnknownKey(key) => {
                seen.last_unknown_key = Some(key);
                (&mut seen.unknown_key, a)
            }
            Refusal::Forged => (&mut seen.forged, b),
            Refusal::Unsigned => (&mut seen.unsigned, c),
            Refusal::Malformed => (&mut seen.malformed, d),
            Refusal::TooLong => (&mut seen.malformed, e),
            Refusal::Ambiguous => (&mut seen.ambiguous, f),
            Refusal::PlainHttp => (&mut seen.plain_http, g),
        };
        *counter += 1;
        said.is_due(now)
    }

    pub(crate) fn read(&self) -> Diagnostics {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).seen
    }
}

impl Said {
    fn is_due(&mut self, now: Instant) -> Option<u64> {
        self.times_since += 1;
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < SILENCE) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.times_since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_counted_and_one_a_minute_is_said() {
        let (counters, start) = (Counters::default(), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        let key = KeyId::parse("AAAAAAAA").unwrap();
        assert_eq!(counters.count(Refusal::UnknownKey(key), at(0)), Some(1));
        for second in 1..60 {
            assert_eq!(counters.count(Refusal::UnknownKey(key), at(second)), None);
        }
        assert_eq!(counters.count(Refusal::Forged, at(1)), Some(1), "another reason");
        assert_eq!(counters.count(Refusal::UnknownKey(key), at(60)), Some(60));
        let seen = counters.read();
        assert_eq!((seen.unknown_key, seen.forged, seen.malformed), (61, 1, 0));
        assert_eq!(seen.last_unknown_key, Some(key));
    }
}
