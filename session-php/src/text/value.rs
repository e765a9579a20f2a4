//! Reads values into a graph.

use std::mem;

use super::{
    build::Builder,
    chunk,
    scan::{Scanner, Sink as _, need},
};
use crate::{Error, Result, graph::Node};

impl<'i> Scanner<'i> {
    /// Builds one whole value.
    pub(crate) fn build(&mut self, builder: &mut Builder<'_, 'i>) -> Result<()> {
        let (input, floor) = (self.input, self.open.len());
        // How many elements the innermost array or object still wants; the value itself is in none.
        let mut wanted = 0;
        self.build_one(builder, &mut wanted, floor)?;
        let (mut at, mut plain, mut depth) = (self.at, 0, self.open.len());
        while depth > floor {
            if wanted == 0 {
                self.at = at;
                self.expect(b'}')?;
                at += 1;
                builder.close();
                depth -= 1;
                wanted = self.open.pop().unwrap_or_default();
                if depth > floor {
                    self.owed -= need(wanted);
                }
                continue;
            }
            wanted -= 1;
            at = self.build_key(builder, at, depth, wanted)?;
            if let Some(end) = build_plain(builder, input, at) {
                at = end;
                plain += 1;
                continue;
            }
            self.at = at;
            self.values += plain;
            plain = 0;
            self.build_one(builder, &mut wanted, floor)?;
            (at, depth) = (self.at, self.open.len());
        }
        self.at = at;
        self.values += plain;
        self.check_values()
    }

    /// Builds a key; where the value begins.
    #[inline(always)]
    fn build_key(
        &mut self,
        builder: &mut Builder<'_, 'i>,
        at: usize,
        depth: usize,
        left: usize,
    ) -> Result<usize> {
        let input = self.input;
        if let Some(key) = self.alike.key(input, at, depth, left) {
            builder.plain_key(key, input);
            return Ok(key.end + 2);
        }
        if let Some(word) = chunk::word(input, at)
            && let Some((number, end)) = chunk::int(input, at, word)
        {
            builder.plain_number(number);
            return Ok(end);
        }
        self.at = at;
        builder.key(self.key()?);
        Ok(self.at)
    }

    /// Builds a value up to its elements: from there on, they are those that are wanted.
    fn build_one(
        &mut self,
        builder: &mut Builder<'_, 'i>,
        wanted: &mut usize,
        floor: usize,
    ) -> Result<()> {
        self.values += 1;
        self.check_values()?;
        let (start, depth) = (self.at, self.open.len());
        // What is owed to the array or object in which this value is, which has not been counted.
        let outer = if depth > floor { need(*wanted) } else { 0 };
        self.owed += outer;
        let word = chunk::word(self.input, start);
        let array = word.and_then(|word| self.alike.array(start, word, depth));
        let count = if let Some((count, first)) = array {
            self.at = first;
            self.promise(count, false)?;
            builder.plain_array(count);
            count
        } else {
            let event = self.event()?;
            let opened = event.opened();
            if let Some((count, object)) = opened {
                self.promise(count, object)?;
            }
            builder.value(event).map_err(|(kind, detail)| Error::at(kind, detail, start))?;
            let Some((count, _)) = opened else {
                self.owed -= outer;
                return Ok(());
            };
            count
        };
        self.open.push(mem::replace(wanted, count));
        Ok(())
    }
}

/// Builds a value that has no entries; its end.
#[inline(always)]
fn build_plain(builder: &mut Builder<'_, '_>, input: &[u8], at: usize) -> Option<usize> {
    let word = chunk::word(input, at)?;
    if chunk::is_string(word) {
        let (start, end) = chunk::string(input, at, word)?;
        builder.plain_string(start, end);
        return Some(end + 2);
    }
    let (node, end) = if let Some((value, end)) = chunk::int(input, at, word) {
        (Node::Int(value), end)
    } else if chunk::is_null(word) {
        (Node::Null, at + 2)
    } else if let Some(value) = chunk::bool(word) {
        (Node::Bool(value), at + 4)
    } else {
        chunk::float(input, at, word).map(|(value, end)| (Node::Float(value), end))?
    };
    builder.plain(node);
    Some(end)
}
