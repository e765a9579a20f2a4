//! Reads values into a graph.

use std::mem;

use super::{
    build::Builder,
    chunk::{self, Alike},
    scan::{SHORTEST_ELEMENT, Scanner, Sink as _},
};
use crate::{Error, Result, graph::Node};

impl<'i> Scanner<'i> {
    /// Builds one whole value.
    pub(crate) fn build(&mut self, builder: &mut Builder<'_, 'i>) -> Result<()> {
        let (input, floor) = (self.input, self.open.len());
        // How many elements the innermost array or object still wants; the value itself is in none.
        let mut wanted = 0;
        let mut alike = Alike::new();
        self.build_one(builder, &mut alike, &mut wanted)?;
        while self.open.len() > floor {
            if wanted == 0 {
                self.expect(b'}')?;
                self.owed -= 1;
                builder.close();
                wanted = self.open.pop().unwrap_or_default();
                continue;
            }
            wanted -= 1;
            self.owed -= SHORTEST_ELEMENT;
            if let Some((start, end)) = alike.key(input, self.at, self.open.len(), wanted) {
                builder.plain_key(start, input.get(start..end).unwrap_or_default());
                self.at = end + 2;
            } else if let Some((number, end)) = chunk::key_int(input, self.at) {
                builder.plain_number(number);
                self.at = end;
            } else {
                builder.key(self.key()?);
            }
            self.build_one(builder, &mut alike, &mut wanted)?;
        }
        Ok(())
    }

    /// Builds a value up to its elements: from there on, they are those that are wanted.
    #[inline(always)]
    fn build_one(
        &mut self,
        builder: &mut Builder<'_, 'i>,
        alike: &mut Alike,
        wanted: &mut usize,
    ) -> Result<()> {
        self.values += 1;
        self.check_values()?;
        if self.build_plain(builder).is_some() {
            return Ok(());
        }
        let (start, depth) = (self.at, self.open.len());
        let count = if let Some((count, first)) = alike.array(self.input, start, depth) {
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
            let Some((count, _)) = opened else { return Ok(()) };
            count
        };
        self.open.push(mem::replace(wanted, count));
        Ok(())
    }

    /// Builds a value that has no entries.
    #[inline(always)]
    fn build_plain(&mut self, builder: &mut Builder<'_, 'i>) -> Option<()> {
        let (input, at) = (self.input, self.at);
        let word = chunk::word(input, at)?;
        let (node, end) = match word.to_le_bytes() {
            [b's', ..] => {
                let (start, end) = chunk::string(input, at, word)?;
                self.at = end + 2;
                builder.plain_string(start, end);
                return Some(());
            }
            [b'i', ..] => chunk::int(input, at).map(|(value, end)| (Node::Int(value), end))?,
            [b'N', b';', ..] => (Node::Null, at + 2),
            [b'b', b':', bit @ (b'0' | b'1'), b';', ..] => (Node::Bool(bit == b'1'), at + 4),
            [b'd', ..] => chunk::float(input, at).map(|(value, end)| (Node::Float(value), end))?,
            _ => return None,
        };
        self.at = end;
        builder.plain(node);
        Some(())
    }
}
