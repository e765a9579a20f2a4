//! What a server's answers mean to the store.

use std::time::Duration;

use session_core::{Error, ErrorKind, Operation, Record, Result, Revision};

use crate::{
    BACKEND,
    link::{Answer, Fault, Parts, Value},
    record::{self, Damage},
    scripts::code,
};

/// What came of a write of which nothing is left to be found out.
pub(crate) enum Plain {
    Done,
    /// The whole script has to do it, or to tell why not. `in_doubt`: whether it may have been done.
    Not {
        in_doubt: bool,
        /// Whether the server did not even understand it.
        unknown: bool,
    },
}

impl Plain {
    /// It was not tried.
    pub(crate) const NO: Self = Self::Not { in_doubt: false, unknown: false };

    pub(crate) fn of(operation: Operation, answer: &Answer) -> Result<Self> {
        match answer.values.first() {
            Some(Value::Okay) => Ok(Self::Done),
            Some(Value::Nil) => Ok(Self::Not { in_doubt: answer.resent, unknown: false }),
            _ => Err(nonsense(operation)),
        }
    }
}

/// What a script or a command said, taken apart.
pub(crate) struct Reply {
    pub(crate) code: i64,
    pub(crate) parts: Parts,
    resent: bool,
}

impl Reply {
    pub(crate) fn of(operation: Operation, mut answer: Answer) -> Result<Self> {
        let parts = answer.values.pop().and_then(Parts::of);
        let mut parts = parts.ok_or_else(|| nonsense(operation))?;
        let code = parts.number().ok_or_else(|| nonsense(operation))?;
        if code == code::OK && !answer.acknowledged {
            return Err(Fault::unacknowledged().into_error(operation, true));
        }
        Ok(Self { code, parts, resent: answer.resent })
    }

    /// The error of a refusal.
    pub(crate) fn refusal(mut self, operation: Operation) -> Result<Error> {
        if self.code == code::CORRUPT {
            return Err(corrupt(operation));
        }
        let kind = refused(self.code).ok_or_else(|| nonsense(operation))?;
        let mut error = Error::new(kind, BACKEND, operation);
        if kind == ErrorKind::LockHeld {
            let millis = self.parts.number().and_then(|millis| u64::try_from(millis).ok());
            error = error.with_retry_after(millis.map(Duration::from_millis));
        }
        if let (ErrorKind::Conflict, Some(value)) = (kind, self.parts.bytes()) {
            error = error.with_current(self.record(operation, &value).unwrap_or_default());
        }
        Ok(if self.resent { error.with_maybe_applied() } else { error })
    }

    /// The record in a value that is followed by the server's time.
    pub(crate) fn record(&mut self, operation: Operation, value: &[u8]) -> Result<Option<Record>> {
        let now = self.parts.number().and_then(|now| u64::try_from(now).ok());
        let now = now.ok_or_else(|| nonsense(operation))?;
        record::decode(value, now).map_err(|Damage| corrupt(operation))
    }

    pub(crate) fn done(self, operation: Operation) -> Result<()> {
        if self.code == code::OK { Ok(()) } else { Err(self.refusal(operation)?) }
    }

    /// The new revision, which is that of the draft where the reply tells none, and whether the
    /// principal may be another one now.
    pub(crate) fn revision(
        mut self,
        operation: Operation,
        drafted: Revision,
    ) -> Result<(Revision, bool)> {
        if self.code != code::OK {
            return Err(self.refusal(operation)?);
        }
        let Some(bytes) = self.parts.bytes() else { return Ok((drafted, false)) };
        let revision = record::revision(&bytes).map_err(|Damage| nonsense(operation))?;
        Ok((revision, self.parts.number().is_some()))
    }
}

/// What a script refuses by this code.
pub(crate) const fn refused(code: i64) -> Option<ErrorKind> {
    Some(match code {
        code::NOT_FOUND => ErrorKind::NotFound,
        code::CONFLICT => ErrorKind::Conflict,
        code::HELD => ErrorKind::LockHeld,
        code::LOST => ErrorKind::LockLost,
        code::EXISTS => ErrorKind::AlreadyExists,
        _ => return None,
    })
}

/// The milliseconds in a reply to `TIME`.
pub(crate) fn server_time(reply: Value) -> Option<u64> {
    let mut parts = Parts::of(reply)?;
    let mut next = || str::from_utf8(&parts.bytes()?).ok()?.parse::<u64>().ok();
    Some(next()? * 1_000 + next()? / 1_000)
}

pub(crate) fn nonsense(operation: Operation) -> Error {
    Error::new(ErrorKind::Backend, BACKEND, operation).with_detail("the reply makes no sense")
}

pub(crate) fn corrupt(operation: Operation) -> Error {
    Error::new(ErrorKind::Corrupt, BACKEND, operation)
        .with_detail("what is stored is damaged or not a session")
}
