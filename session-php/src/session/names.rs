//! The names of a session's variables.

use std::slice;

use bytes::Bytes;

/// The names of a session's variables, in their order. They are bytes; with `php_serialize` they may
/// be numbers.
#[derive(Debug, Clone)]
pub struct Names<'a>(slice::Iter<'a, Bytes>);

impl<'a> Names<'a> {
    pub(super) fn new(names: &'a [Bytes]) -> Self {
        Self(names.iter())
    }
}

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.0.next().map(AsRef::as_ref)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Names<'_> {}

/// The name of a variable as `php_serialize` has it.
pub(super) fn of_number(number: i64) -> Bytes {
    Bytes::from(number.to_string())
}
