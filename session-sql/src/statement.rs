//! Statements with named values.
//!
//! A statement is written once, with `:name` where a value goes, and rendered for an engine: the text
//! with that engine's placeholders, and the names in their order.

use std::sync::Arc;

/// A value that a statement takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arg<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    /// No bytes.
    Null,
}

/// A value in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Int(i64),
    Bytes(Vec<u8>),
    Null,
}

/// A statement for one engine.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// The text, with the engine's placeholders.
    pub(crate) text: Arc<str>,
    /// Which value goes to which placeholder.
    pub(crate) names: Arc<[&'static str]>,
    /// Whether it only reads.
    pub(crate) reads: bool,
}
