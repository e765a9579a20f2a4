//! What becomes of an entry that two requests changed at once.

use bytes::Bytes;
use serde_json::{Number, Value};

use crate::{Codec, Error, ErrorKind, Format, Operation, Result, decode_as};

/// How an entry is merged that was changed by two requests, each from the same former value.
///
/// A request that removed the entry wins over one that changed it only by saving last, under every
/// rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum MergeRule {
    /// The one that is saved last wins. The default.
    #[default]
    LastWins,
    /// The one that is saved last is refused with a [`Conflict`](ErrorKind::Conflict).
    Fail,
    /// The entry is an integer; what each request added to it is added up.
    Counter,
    /// The entry is a number; the greater one wins.
    Max,
    /// The entry is a list that is a set: what either added is in it, what either removed is not.
    /// Its elements must have a form in JSON.
    Union,
}

/// Merges one entry: `base` is what `mine` was made from, `theirs` is what was saved meanwhile. `None`
/// stands for no entry.
///
/// # Errors
/// [`Conflict`](ErrorKind::Conflict) when the rule is [`Fail`](MergeRule::Fail), the values are not of
/// the rule's kind, or a counter overflows.
pub fn merge_entry(
    rule: MergeRule,
    format: &dyn Format,
    codec: Codec,
    base: Option<&Bytes>,
    mine: Option<&Bytes>,
    theirs: Option<&Bytes>,
) -> Result<Option<Bytes>> {
    // Two that added the same to a counter still added twice.
    let agreed = mine == theirs && rule != MergeRule::Counter;
    if theirs == base || agreed || rule == MergeRule::LastWins {
        return Ok(mine.cloned());
    }
    let (Some(mine), false) = (mine, rule == MergeRule::Fail) else {
        return if rule == MergeRule::Fail { Err(conflict()) } else { Ok(None) };
    };
    let values = Values { format, codec };
    let (base, mine, theirs) = (values.of(base)?, values.of(Some(mine))?, values.of(theirs)?);
    let merged = match rule {
        MergeRule::Counter => sum(&base, &mine, &theirs)?,
        MergeRule::Max => greater(mine, theirs)?,
        _ => union(&list(base)?, list(mine)?, list(theirs)?),
    };
    format.encode_value(codec, &merged).map(Some)
}

struct Values<'a> {
    format: &'a dyn Format,
    codec: Codec,
}

impl Values<'_> {
    fn of(&self, bytes: Option<&Bytes>) -> Result<Value> {
        let Some(bytes) = bytes else { return Ok(Value::Null) };
        decode_as(self.format, self.codec, bytes).map_err(|_unfit| conflict())
    }
}

fn sum(base: &Value, mine: &Value, theirs: &Value) -> Result<Value> {
    let (base, mine, theirs) = (integer(base)?, integer(mine)?, integer(theirs)?);
    let sum = mine.checked_sub(base).and_then(|added| theirs.checked_add(added));
    let number = sum.and_then(Number::from_i128).ok_or_else(conflict)?;
    Ok(Value::Number(number))
}

fn integer(value: &Value) -> Result<i128> {
    match value {
        Value::Null => Ok(0),
        Value::Number(number) => number.as_i128().ok_or_else(conflict),
        _ => Err(conflict()),
    }
}

fn greater(mine: Value, theirs: Value) -> Result<Value> {
    let number = |value: &Value| value.as_f64().ok_or_else(conflict);
    if theirs.is_null() || number(&mine)? >= number(&theirs)? { Ok(mine) } else { Ok(theirs) }
}

fn list(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => Ok(list),
        _ => Err(conflict()),
    }
}

fn union(base: &[Value], mine: Vec<Value>, theirs: Vec<Value>) -> Value {
    let removed = |value: &Value| base.contains(value) && !mine.contains(value);
    let mut merged: Vec<Value> = theirs.iter().filter(|value| !removed(value)).cloned().collect();
    for value in mine {
        if !base.contains(&value) && !merged.contains(&value) {
            merged.push(value);
        }
    }
    Value::Array(merged)
}

fn conflict() -> Error {
    Error::new(ErrorKind::Conflict, "session", Operation::Save)
        .with_detail("the entry's merge rule cannot merge it")
}
