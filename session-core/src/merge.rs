//! What becomes of an entry that two requests changed at the same time.

mod value;

use std::cmp::Ordering;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use self::value::{Number, Value};
use crate::{Codec, Error, ErrorKind, Format, Operation, Result, decode_as};

/// How an entry is merged when two requests changed it.
///
/// A rule is asked only about an entry that both changed. It applies my change as if it had been
/// made after theirs, so my removal removes, and what they removed I start anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum MergeRule {
    /// My value stands.
    #[default]
    LastWins,
    /// Two different changes are a [`Conflict`](ErrorKind::Conflict).
    Fail,
    /// A whole number that is added to: my difference is added to their number. Two requests that
    /// both count from 5 to 6 make it 7. A missing entry counts as 0.
    ///
    /// Numbers from `i64::MIN` to `u64::MAX`; a sum outside is a [`Conflict`](ErrorKind::Conflict).
    Counter,
    /// The greater of two numbers. A whole number and a float are compared as floats.
    Max,
    /// A list that is a set: what I added is appended to theirs, and what I removed is taken from
    /// it. No element stays twice. Elements are equal when their values are; the order of a map's
    /// keys does not count, and `1` differs from `1.0`. In JSON, numbers from 2^63 on (which are
    /// floats to most programs) cannot be merged.
    Union,
}

/// Merges one entry of a document whose codec is `codec`. `base` is what `mine` was derived from;
/// `None` is an entry that is absent.
///
/// # Errors
/// - [`Conflict`](ErrorKind::Conflict): both changed it and the rule is [`MergeRule::Fail`], or the
///   values are not such as the rule can merge.
/// - [`Unsupported`](ErrorKind::Unsupported): the rule needs to know the type of the values, and
///   the codec does not store it.
pub fn merge_entry(
    rule: MergeRule,
    format: &dyn Format,
    codec: Codec,
    base: Option<&Bytes>,
    mine: Option<&Bytes>,
    theirs: Option<&Bytes>,
) -> Result<Option<Bytes>> {
    if mine == base {
        return Ok(theirs.cloned());
    }
    // Two equal changes are one change, but for a counter.
    if theirs == base || (mine == theirs && rule != MergeRule::Counter) {
        return Ok(mine.cloned());
    }
    let Some(mine) = mine else {
        return if rule == MergeRule::Fail { Err(both_changed()) } else { Ok(None) };
    };
    let merge = Merge { format, codec, base, mine, theirs };
    match rule {
        MergeRule::LastWins => Ok(mine.clone()),
        MergeRule::Fail => Err(both_changed()),
        MergeRule::Counter => merge.counter(),
        MergeRule::Max => merge.max(),
        MergeRule::Union => merge.union(),
    }
    .map(Some)
}

/// An entry that both changed and I did not remove.
struct Merge<'a> {
    format: &'a dyn Format,
    codec: Codec,
    base: Option<&'a Bytes>,
    mine: &'a Bytes,
    theirs: Option<&'a Bytes>,
}

impl Merge<'_> {
    fn counter(&self) -> Result<Bytes> {
        let [base, mine, theirs] = [self.base, Some(self.mine), self.theirs].map(|n| self.whole(n));
        // Each is within 65 bits, so their sum is within 128.
        let sum = theirs? + (mine? - base?);
        match (u64::try_from(sum), i64::try_from(sum)) {
            (Ok(sum), _) => self.encode(&sum),
            (_, Ok(sum)) => self.encode(&sum),
            _ => Err(conflict("the sum is beyond 64 bits")),
        }
    }

    /// A missing number is 0.
    fn whole(&self, bytes: Option<&Bytes>) -> Result<i128> {
        match bytes.map_or(Ok(Number::Whole(0)), |bytes| self.decode(bytes))? {
            Number::Whole(n) => Ok(n),
            Number::Float(_) => Err(unmergeable()),
        }
    }

    fn max(&self) -> Result<Bytes> {
        let mine: Number = self.decode(self.mine)?;
        let Some(theirs) = self.theirs else { return Ok(self.mine.clone()) };
        match self.decode::<Number>(theirs)?.partial_cmp(&mine) {
            Some(Ordering::Greater) => Ok(theirs.clone()),
            Some(_) => Ok(self.mine.clone()),
            None => Err(unmergeable()),
        }
    }

    fn union(&self) -> Result<Bytes> {
        let list = |bytes: Option<&Bytes>| bytes.map_or(Ok(Vec::new()), |bytes| self.decode(bytes));
        let (base, mine) = (list(self.base)?, list(Some(self.mine))?);
        let theirs: Vec<Value> = list(self.theirs)?;
        let union = value::union(&base, &mine, &theirs);
        // JSON's larger whole numbers were read as floats, and would be written back as such.
        if self.codec == Codec::Json && !union.iter().all(Value::is_below_2_63) {
            return Err(unmergeable());
        }
        self.encode(&union)
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &Bytes) -> Result<T> {
        if !self.codec.is_self_describing() {
            return Err(Error::new(ErrorKind::Unsupported, "session", Operation::Save)
                .with_detail("the codec does not store what this merge rule must know"));
        }
        decode_as(self.format, self.codec, bytes)
            .map_err(|source| unmergeable().with_source(source))
    }

    fn encode(&self, value: &dyn erased_serde::Serialize) -> Result<Bytes> {
        self.format.encode_value(self.codec, value)
    }
}

fn both_changed() -> Error {
    conflict("another request changed the same entry")
}

fn unmergeable() -> Error {
    conflict("the values are not such as the merge rule is for")
}

fn conflict(detail: &'static str) -> Error {
    Error::new(ErrorKind::Conflict, "session", Operation::Save).with_detail(detail)
}

#[cfg(test)]
mod tests;
