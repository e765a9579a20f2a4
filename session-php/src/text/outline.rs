//! What values look like from outside, without their contents.

use std::mem;

use super::{
    chunk,
    scan::{Event, ScannedKey, Scanner, Sink},
};
use crate::{Error, ErrorKind, Result, graph::index};

/// How many slots values take, and where they refer to slots.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// Slots so far, over all values that were read.
    pub(crate) slots: u32,
    pub(crate) tokens: Vec<Token>,
    /// How many cases of enums were written out.
    pub(crate) enums: u32,
    /// How many levels there are in the deepest place.
    pub(crate) depth: usize,
}

/// The number in `r:` or `R:`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    /// Where its digits are.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// The slot that it names.
    pub(crate) slot: u32,
}

impl<'i> Sink<'i> for Outline {
    #[inline(always)]
    fn value(&mut self, event: Event<'i>) -> Result<(), (ErrorKind, &'static str)> {
        let reference = matches!(event, Event::Reference(_));
        self.slots += u32::from(!reference);
        self.enums += u32::from(matches!(event, Event::Enum { .. }));
        if let Event::Same(slot) | Event::Reference(slot) = event {
            let missing = (ErrorKind::Reference, "a reference to nothing");
            let number = u32::try_from(slot.number).ok().ok_or(missing)?;
            if number == 0 || number > self.slots {
                return Err(missing);
            }
            let (start, end) = (index(slot.start), index(slot.end));
            self.tokens.push(Token { start, end, slot: number });
        }
        Ok(())
    }

    #[inline(always)]
    fn key(&mut self, _: ScannedKey<'i>) {}

    fn close(&mut self) {}
}

impl Scanner<'_> {
    /// Reads over one whole value.
    pub(crate) fn outline(&mut self, outline: &mut Outline) -> Result<()> {
        let (input, floor) = (self.input, self.open.len());
        // How many elements the innermost array or object still wants; the value itself is in none.
        let mut wanted = 0;
        self.element(outline, &mut wanted)?;
        let (mut at, mut plain, mut depth) = (self.at, 0, self.open.len());
        while depth > floor {
            if wanted == 0 {
                self.at = at;
                self.expect(b'}')?;
                at += 1;
                depth -= 1;
                wanted = self.open.pop().unwrap_or_default();
                continue;
            }
            wanted -= 1;
            at = self.outline_key(at, depth, wanted)?;
            if let Some(end) = chunk::plain_end(input, at) {
                at = end;
                plain += 1;
                continue;
            }
            if let Some((count, first)) = self.alike.array(input, at, depth) {
                at = first;
                plain += 1;
                self.deeper(outline, &mut wanted, count, false)?;
            } else {
                self.at = at;
                outline.slots += plain;
                self.values += plain as usize;
                plain = 0;
                self.element(outline, &mut wanted)?;
                at = self.at;
            }
            depth = self.open.len();
        }
        self.at = at;
        outline.slots += plain;
        self.values += plain as usize;
        self.check_values()
    }

    /// Reads over a key; where the next value begins.
    #[inline(always)]
    fn outline_key(&mut self, at: usize, depth: usize, left: usize) -> Result<usize> {
        let input = self.input;
        if let Some(words) = chunk::words(input, at) {
            if let Some(end) = self.alike.known_end(words, depth, left) {
                return Ok(at + end + 2);
            }
            if let Some(end) = chunk::int_end(input, at, words.0) {
                return Ok(end);
            }
        }
        if let Some(key) = self.alike.key(input, at, depth, left) {
            return Ok(key.end + 2);
        }
        self.at = at;
        self.key()?;
        Ok(self.at)
    }

    /// Reads over a value up to its elements: from there on, they are those that are wanted.
    fn element(&mut self, outline: &mut Outline, wanted: &mut usize) -> Result<()> {
        self.values += 1;
        self.check_values()?;
        let (start, event) = (self.at, self.event()?);
        let opened = event.opened();
        outline.value(event).map_err(|(kind, detail)| Error::at(kind, detail, start))?;
        opened.map_or(Ok(()), |(count, object)| self.deeper(outline, wanted, count, object))
    }

    #[inline(always)]
    fn deeper(
        &mut self,
        outline: &mut Outline,
        wanted: &mut usize,
        count: usize,
        object: bool,
    ) -> Result<()> {
        self.check_depth(count, object)?;
        self.open.push(mem::replace(wanted, count));
        if count > 0 || object {
            outline.depth = outline.depth.max(self.open.len());
        }
        Ok(())
    }
}
