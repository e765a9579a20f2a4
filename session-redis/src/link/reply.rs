//! Replies of a server, taken apart.

pub(crate) use redis::Value;

/// The parts of an array, one after the other.
#[derive(Debug)]
pub(crate) struct Parts(std::vec::IntoIter<Value>);

impl Parts {
    /// The parts of a script's reply, which is a number alone where there is nothing to add.
    pub(crate) fn of(value: Value) -> Option<Self> {
        match value {
            Value::Int(_) => Some(Self(vec![value].into_iter())),
            Value::Array(parts) => Some(Self(parts.into_iter())),
            _ => None,
        }
    }

    /// The next part, a number.
    pub(crate) fn number(&mut self) -> Option<i64> {
        match self.0.next()? {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    /// The next part, an array.
    pub(crate) fn array(&mut self) -> Option<Vec<Value>> {
        match self.0.next()? {
            Value::Array(parts) => Some(parts),
            _ => None,
        }
    }

    /// The next part, bytes.
    pub(crate) fn bytes(&mut self) -> Option<Vec<u8>> {
        match self.0.next()? {
            Value::BulkString(bytes) => Some(bytes),
            _ => None,
        }
    }
}
