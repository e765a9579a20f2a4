//! The names of a session's variables.

use std::{borrow::Cow, collections::HashMap, slice};

use bytes::Bytes;

use crate::{
    graph::{Span, index},
    key::mark,
};

/// The names of a session's variables, in their order. They are bytes; with `php_serialize` they may
/// be numbers.
#[derive(Debug, Clone)]
pub struct Names<'a> {
    source: &'a [u8],
    left: slice::Iter<'a, Piece>,
}

impl<'a> Names<'a> {
    pub(super) fn new(source: &'a [u8], names: &'a [Piece]) -> Self {
        Self { source, left: names.iter() }
    }
}

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left.next().map(|name| name.bytes(self.source))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl ExactSizeIterator for Names<'_> {}

/// Bytes of what was read, or others. There may be many of them, so they are small.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Read(Span),
    Own(Box<Bytes>),
}

impl Piece {
    pub(super) fn read(start: usize, end: usize) -> Self {
        Self::Read(Span { start: index(start), len: index(end - start) })
    }

    pub(super) fn own(bytes: impl Into<Bytes>) -> Self {
        Self::Own(Box::new(bytes.into()))
    }

    /// The name of a variable that `php_serialize` has under a number.
    pub(super) fn number(number: i64) -> Self {
        Self::own(number.to_string())
    }

    pub(super) fn bytes<'a>(&'a self, source: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Read(span) => source.get(span.range()).unwrap_or_default(),
            Self::Own(bytes) => bytes,
        }
    }

    pub(super) fn shared(&self, source: &Bytes) -> Bytes {
        match self {
            Self::Read(span) => source.slice(span.range()),
            Self::Own(bytes) => (**bytes).clone(),
        }
    }
}

/// Up to so many names, looking at all of them is quicker than a table.
const FEW: usize = 16;

/// Names that were read.
#[derive(Debug, Default)]
pub(super) struct Known<'i> {
    pub(super) names: Vec<Piece>,
    marks: u64,
    numbers: HashMap<Cow<'i, [u8]>, u32>,
}

impl<'i> Known<'i> {
    /// The number of a name; whether it is new.
    pub(super) fn number(&mut self, source: &'i [u8], name: Piece) -> (usize, bool) {
        let bytes = name.bytes(source);
        let (count, mark) = (self.names.len(), mark(bytes));
        let is_marked = self.marks & mark != 0;
        self.marks |= mark;
        if count < FEW {
            let found =
                is_marked.then(|| self.names.iter().position(|it| it.bytes(source) == bytes));
            if let Some(known) = found.flatten() {
                return (known, false);
            }
        } else {
            if count == FEW {
                let names = self.names.iter().zip(0..);
                self.numbers = names.map(|(name, number)| (keyed(source, name), number)).collect();
            }
            if let Some(known) = self.numbers.get(bytes) {
                return (*known as usize, false);
            }
            self.numbers.insert(keyed(source, &name), index(count));
        }
        self.names.push(name);
        (count, true)
    }
}

fn keyed<'i>(source: &'i [u8], name: &Piece) -> Cow<'i, [u8]> {
    match name {
        Piece::Read(span) => Cow::Borrowed(source.get(span.range()).unwrap_or_default()),
        Piece::Own(bytes) => Cow::Owned(bytes.to_vec()),
    }
}
