//! What the scripts say.

use std::time::Duration;

use bytes::Bytes;
use session_core::{Error, ErrorKind, Meta, Operation, Record, Result, Revision, Ttl};
use sha1::{Digest, Sha1};

use crate::{
    BACKEND,
    answer::{nonsense, refused},
    link::Parts,
    scripts::code,
};

/// A reply, taken apart.
pub(super) struct Reply {
    code: i64,
    parts: Parts,
    resent: bool,
}

impl Reply {
    pub(super) fn new(operation: Operation, mut parts: Parts, resent: bool) -> Result<Self> {
        let code = parts.number().ok_or_else(|| nonsense(operation))?;
        Ok(Self { code, parts, resent })
    }

    pub(super) const fn is_ok(&self) -> bool {
        self.code == code::OK
    }

    /// The record that follows, if there is one.
    pub(super) fn record(&mut self) -> Option<Record> {
        let value = self.parts.bytes()?;
        Some(record(&value, self.parts.number()?))
    }

    pub(super) fn done(mut self, operation: Operation) -> Result<()> {
        if self.is_ok() { Ok(()) } else { Err(self.refusal(operation)) }
    }

    /// The error of a refusal.
    pub(super) fn refusal(&mut self, operation: Operation) -> Error {
        let Some(kind) = refused(self.code) else { return nonsense(operation) };
        let mut error = Error::new(kind, BACKEND, operation);
        if kind == ErrorKind::LockHeld {
            // PHP takes locks that never lapse.
            let left = self.parts.number().and_then(|millis| u64::try_from(millis).ok());
            error = error.with_retry_after(left.map(Duration::from_millis));
        }
        if kind == ErrorKind::Conflict {
            error = error.with_current(self.record());
        }
        if self.resent { error.with_maybe_applied() } else { error }
    }
}

/// The record of stored bytes with so many milliseconds left.
pub(super) fn record(value: &[u8], left: i64) -> Record {
    let remaining = match u64::try_from(left) {
        // Never zero: the server has just shown that the record lives.
        Ok(millis) => Duration::from_millis(millis.max(1)).into(),
        Err(_) => Ttl::NEVER,
    };
    // The bytes are part of what was read at once, which is not to be kept.
    let (revision, payload) = (revision(value), Bytes::copy_from_slice(value));
    Record::new(payload, Meta::new(), revision, remaining)
}

/// The revision of stored bytes: the first half of their SHA-1, which scripts can make as well.
pub(super) fn revision(value: &[u8]) -> Revision {
    let digest = Sha1::digest(value);
    Revision::of_content(digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte)))
}

/// A revision as the scripts compare it.
pub(super) fn hex(revision: Revision) -> String {
    format!("{:032x}", revision.version())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_what_the_server_makes_of_the_bytes() {
        // `redis.sha1hex('')`
        assert_eq!(hex(revision(b"")), "da39a3ee5e6b4b0d3255bfef95601890");
        assert_eq!(hex(revision(b"a|i:1;")).len(), 32);
    }
}
