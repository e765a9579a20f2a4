//! Replies of a server, and how they are taken apart.

use bytes::Bytes;

/// What a server replies. Maps are arrays of names and values, sets are arrays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing.
    Nil,
    /// The simple string `OK`.
    Okay,
    /// An integer, or a truth value as one.
    Int(i64),
    /// A simple string, or a number that is no integer.
    SimpleString(String),
    /// Bytes, or a text whose form was told. They are part of what was read at once: who keeps them
    /// copies them.
    BulkString(Bytes),
    /// Several.
    Array(Vec<Self>),
    /// What is said without having been asked, and replies to subscriptions: its kind, then what
    /// belongs to it.
    Push(Vec<Self>),
    /// A refusal.
    Error(ErrorReply),
}

/// Why a server refused a command. Its text may quote names of keys.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ErrorReply(String);

impl ErrorReply {
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }

    /// The first word, which programs go by.
    pub(super) fn code(&self) -> &str {
        self.split().0
    }

    /// What is for people, or belongs to the code.
    pub(super) fn detail(&self) -> &str {
        self.split().1
    }

    /// Whether the server does not know the newer protocol, or not even how one asks for it.
    pub(super) fn is_about_the_protocol(&self) -> bool {
        self.code() == "NOPROTO"
            || self.code() == "ERR" && self.detail().starts_with("unknown command")
    }

    fn split(&self) -> (&str, &str) {
        self.0.split_once(' ').unwrap_or((&self.0, ""))
    }
}

/// Shows the code alone.
impl std::fmt::Debug for ErrorReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ErrorReply").field(&self.code()).finish()
    }
}

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
    pub(crate) fn bytes(&mut self) -> Option<Bytes> {
        match self.0.next()? {
            Value::BulkString(bytes) => Some(bytes),
            _ => None,
        }
    }
}
