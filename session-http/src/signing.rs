//! Whether and how ids are signed.

use session_core::Timestamp;

use crate::KeyRing;

/// Signs the session id that a cookie or a header carries: `id.key-id.mac`.
///
/// An id is 256 random bits, which nobody guesses; sessions are safe without a signature. It adds
/// that a made-up id is refused without a look into the store, and that planted cookies are told from
/// the browser's own ([`pick_signed`](Self::pick_signed)). It demands that all nodes have the same
/// [`KeyRing`]; when they do not, users seem to be logged in and logged out at random, which
/// [`Diagnostics::unknown_key`](crate::Diagnostics::unknown_key) tells.
///
/// # On a live fleet
///
/// Nobody is logged out when signatures come in two or three deployments:
///
/// 1. `Signing::new(ring).not_yet()` on all nodes: signed ids are accepted, none is signed.
/// 2. `Signing::new(ring).accept_unsigned_until(when)`: ids are signed. Who comes with an id that
///    is not gets it signed by the first response that uses the session. `when` is an absolute
///    lifetime away.
/// 3. From `when` on, ids without a signature are refused, without another deployment.
#[derive(Debug, Clone)]
pub struct Signing {
    ring: KeyRing,
    unsigned: Unsigned,
    picks: bool,
}

/// What becomes of ids without a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsigned {
    Refused,
    AcceptedUntil(Timestamp),
    Made,
}

impl Signing {
    /// Ids are signed with the newest key of the ring, and accepted when one of its keys signed
    /// them.
    #[must_use]
    pub const fn new(ring: KeyRing) -> Self {
        Self { ring, unsigned: Unsigned::Refused, picks: false }
    }

    /// Accepts ids without a signature as well, until `when`. Default: they are refused.
    ///
    /// It is a point in time and no duration, so that restarts do not prolong it.
    #[must_use]
    pub const fn accept_unsigned_until(mut self, when: Timestamp) -> Self {
        self.unsigned = Unsigned::AcceptedUntil(when);
        self
    }

    /// Does not sign yet, and accepts ids with and without a signature.
    #[must_use]
    pub const fn not_yet(mut self) -> Self {
        self.unsigned = Unsigned::Made;
        self
    }

    /// When a request carries several session cookies, takes the id that is signed, if that is one
    /// only. Default: such a request is one without a session.
    ///
    /// It helps against planted junk. Somebody with a session of his own can still plant his signed
    /// cookie beside that of a visitor; such a request is one without a session. While ids without a
    /// signature are accepted as well, so is one with a signed and an unsigned id.
    #[must_use]
    pub const fn pick_signed(mut self) -> Self {
        self.picks = true;
        self
    }

    pub(crate) const fn ring(&self) -> &KeyRing {
        &self.ring
    }

    pub(crate) const fn picks(&self) -> bool {
        self.picks
    }

    pub(crate) fn signs(&self) -> bool {
        self.unsigned != Unsigned::Made
    }

    pub(crate) fn accepts_unsigned(&self, now: Timestamp) -> bool {
        match self.unsigned {
            Unsigned::Refused => false,
            Unsigned::AcceptedUntil(when) => now < when,
            Unsigned::Made => true,
        }
    }
}

impl From<KeyRing> for Signing {
    fn from(ring: KeyRing) -> Self {
        Self::new(ring)
    }
}
